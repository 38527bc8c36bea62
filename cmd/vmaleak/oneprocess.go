package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"vmaleak/symbolize"
)

// oneProcess is the process of that PID or, if a name is given, the only one of that name. verb is what is to be
// done, for errors: "peek into".
func oneProcess(verb string, pid int, name string) (*symbolize.Process, error) {
	if name != "" {
		matches, err := symbolize.Selector{Names: []string{name}}.Find()
		if err != nil {
			return nil, err
		}
		if len(matches) != 1 {
			var pids []string
			for _, m := range matches[:min(len(matches), 9)] {
				pids = append(pids, strconv.Itoa(m.PID))
			}
			if len(pids) == 0 {
				return nil, fmt.Errorf("%s a process: none matches %q; ps -e lists those that run", verb, name)
			}
			return nil, fmt.Errorf("%s a process: %d match %q: give one of them, -p %s", verb, len(matches), name, strings.Join(pids, ", "))
		}
		pid = matches[0].PID
	}
	p, err := symbolize.ReadProcess(pid)
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%s process %d: %w", verb, pid, err)
	case err != nil:
		return nil, fmt.Errorf("%s %w%s", verb, err, pidCure(err))
	}
	return p, nil
}
