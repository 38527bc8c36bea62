package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"vmaleak/report"
	"vmaleak/symbolize"
	"vmaleak/tracer"
)

// traceOptions is the command line of trace.
type traceOptions struct {
	pids                               []int
	names                              []string
	command                            []string
	jvm, all                           bool
	comm, cgroup, unit, pod, container string
	duration, interval                 time.Duration
	top                                int
	minSize                            size
	outputs, jsons                     []string
	attach                             string
	noSave, noTUI                      bool
	readyFile                          string
	failOnLeak                         bool
	audit                              auditFlag
	ring                               size
	backend                            string
}

func traceCommand(cmd *cobra.Command, e env, o *traceOptions, args []string) error {
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		o.command = args[at:]
		args = args[:at]
		if len(o.command) == 0 {
			return usageError{errors.New("no command after --")}
		}
	}
	for _, a := range args {
		if pid, err := strconv.Atoi(a); err == nil {
			o.pids = append(o.pids, pid)
		} else {
			o.names = append(o.names, a)
		}
	}
	if err := o.check(); err != nil {
		return usageError{err}
	}
	if err := o.preflight(); err != nil {
		return err
	}
	s, err := newSession(e, o)
	if err != nil {
		return err
	}
	return errors.Join(s.run(cmd.Context()), s.close())
}

func (o *traceOptions) check() error {
	sel := o.selector()
	selected := len(sel.PIDs)+len(sel.Names) > 0 || sel.JVM || sel.Comm+sel.CGroup+sel.Unit+sel.Pod+sel.Container != ""
	switch {
	case !selected && len(o.command) == 0:
		return errors.New("nothing to trace: give a PID or a NAME, --jvm, --comm, --cgroup, -u, --pod, --container, or -- COMMAND")
	case selected && len(o.command) > 0:
		return errors.New("give either processes to trace or -- COMMAND, not both")
	case o.interval < 100*time.Millisecond:
		return fmt.Errorf("--interval %v is too short: at least 100ms", o.interval)
	case o.duration < 0:
		return fmt.Errorf("--duration %v is negative", o.duration)
	case o.top < 1:
		return fmt.Errorf("--top %d shows nothing: at least 1", o.top)
	case o.attach != "auto" && o.attach != "yes" && o.attach != "no":
		return fmt.Errorf("--attach=%s is none of auto, yes and no", o.attach)
	case o.backend != "" && o.backend != tracer.LockSequence && o.backend != tracer.EnterExit:
		return fmt.Errorf("--backend %s is neither %s nor %s", o.backend, tracer.LockSequence, tracer.EnterExit)
	case o.ring != 0 && (o.ring&(o.ring-1) != 0 || o.ring < size(os.Getpagesize()) || o.ring > 1<<30):
		return fmt.Errorf("--ring %d is no power of two between %d and 1 GiB", o.ring, os.Getpagesize())
	}
	for _, pid := range o.pids {
		if pid <= 0 {
			return fmt.Errorf("%d is no PID", pid)
		}
	}
	return nil
}

// selector is what the command line asks for, but for -- COMMAND.
func (o *traceOptions) selector() symbolize.Selector {
	return symbolize.Selector{PIDs: o.pids, Names: o.names, JVM: o.jvm, Comm: o.comm, CGroup: o.cgroup,
		Unit: o.unit, Pod: o.pod, Container: o.container}
}

// preflight finds out before hours of tracing whether the results can be written.
func (o *traceOptions) preflight() error {
	for _, name := range append(append([]string(nil), o.outputs...), o.jsons...) {
		if name == "-" {
			continue
		}
		if err := report.CanWrite(name); err != nil {
			return err
		}
	}
	if o.readyFile != "" {
		if err := os.Remove(o.readyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove an old ready file: %w", err)
		}
		if _, err := os.Stat(filepath.Dir(o.readyFile)); err != nil {
			return fmt.Errorf("prepare the ready file: %w", err)
		}
	}
	return nil
}
