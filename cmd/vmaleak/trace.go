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
	jvm                                bool
	comm, cgroup, unit, pod, container string
	duration, interval                 time.Duration
	top                                int
	minSize                            size
	files                              files
	attach                             string
	stacks                             string
	stackMin                           size
	stackRate                          int
	fullStacks                         bool
	malloc                             size
	noSave, noTUI                      bool
	readyFile                          string
	failOnLeak                         bool
	audit                              auditFlag
	ring                               size
	backend                            string

	all  bool // one row for each JVM: the program's call without an argument
	kill bool // the command ends with the trace: demo
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
	if !cmd.HasParent() && !o.selected() && len(o.command) == 0 {
		o.all, o.jvm, o.noSave, o.attach = true, true, true, "no"
	}
	return trace(cmd.Context(), e, o)
}

// selected reports whether any process is asked for, but for -- COMMAND.
func (o *traceOptions) selected() bool {
	return len(o.pids)+len(o.names) > 0 || o.jvm || o.comm+o.cgroup+o.unit+o.pod+o.container != ""
}

// maxStackRate is more than any thread can map.
const maxStackRate = 100_000_000

// check finds what is wrong with the command line itself.
func (o *traceOptions) check() error {
	switch {
	case !o.selected() && len(o.command) == 0:
		return errors.New("nothing to trace: give a PID or a NAME, --jvm, --comm, --cgroup, -u, --pod, --container, or -- COMMAND")
	case o.selected() && len(o.command) > 0:
		return errors.New("give either processes to trace or -- COMMAND, not both")
	case o.interval < 100*time.Millisecond:
		return fmt.Errorf("--interval %v is too short: at least 100ms", o.interval)
	case o.duration < 0:
		return fmt.Errorf("--duration %v is negative: give a time such as 10m", o.duration)
	case o.top < 1:
		return fmt.Errorf("--top %d shows nothing: at least 1", o.top)
	case o.attach != "auto" && o.attach != "yes" && o.attach != "no":
		return fmt.Errorf("--attach=%s is none of auto, yes and no", o.attach)
	case o.stacks != "auto" && o.stacks != "off":
		return fmt.Errorf("--stacks=%s is neither auto nor off", o.stacks)
	case o.stackRate < 0 || o.stackRate > maxStackRate:
		return fmt.Errorf("--stack-rate %d is not between 1 and %d", o.stackRate, maxStackRate)
	case o.backend != "" && o.backend != tracer.LockSequence && o.backend != tracer.EnterExit:
		return fmt.Errorf("--backend %s is neither %s nor %s", o.backend, tracer.LockSequence, tracer.EnterExit)
	case o.ring != 0 && (o.ring&(o.ring-1) != 0 || o.ring < size(os.Getpagesize()) || o.ring > 1<<30):
		return fmt.Errorf("--ring %d is no power of two between %d and 1 GiB", o.ring, os.Getpagesize())
	}
	for _, pid := range o.pids {
		if pid <= 0 {
			return fmt.Errorf("%d is no PID: a PID is 1 or more", pid)
		}
	}
	for _, name := range o.names {
		if name == "" {
			return errors.New("the NAME of a process to trace is empty")
		}
	}
	return o.files.check()
}

// selector is what the command line asks for, but for -- COMMAND.
func (o *traceOptions) selector() symbolize.Selector {
	return symbolize.Selector{PIDs: o.pids, Names: o.names, JVM: o.jvm, Comm: o.comm, CGroup: o.cgroup,
		Unit: o.unit, Pod: o.pod, Container: o.container}
}

// takesStacks reports whether stacks are asked for: one row for each JVM shows none.
func (o *traceOptions) takesStacks() bool {
	return o.stacks != "off" && (!o.all || !o.files.none())
}

// saves reports whether the trace saves itself to ./vmaleak-PID.json.zst.
func (o *traceOptions) saves() bool { return !o.noSave && o.files.none() }

// saveName is the file of a trace that saves itself.
func saveName(pid int) string { return "vmaleak-" + strconv.Itoa(pid) + ".json.zst" }

// preflight finds out before hours of tracing whether the command can start
// and the results can be written.
func (o *traceOptions) preflight() error {
	if len(o.command) > 0 {
		if _, err := lookCommand(o.command); err != nil {
			return err
		}
	}
	if err := o.files.canWrite(); err != nil {
		return err
	}
	if o.saves() {
		if err := report.CanWrite(saveName(0)); err != nil {
			return fmt.Errorf("save the trace to this directory: %w; or give --no-save", err)
		}
	}
	if o.readyFile == "" {
		return nil
	}
	if st, err := os.Lstat(o.readyFile); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("prepare the ready file %s: something else is there that is no file; give another name", o.readyFile)
	}
	if err := os.Remove(o.readyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove an old ready file: %w; give another name", err)
	}
	if _, err := os.Stat(filepath.Dir(o.readyFile)); err != nil {
		return fmt.Errorf("prepare the ready file: %w; make the directory first", err)
	}
	return nil
}
