package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vmaleak/report"
	"vmaleak/symbolize"
	"vmaleak/symbolize/jvm"
	"vmaleak/symbolize/malloc"
)

// trimOptions is the command line of trim.
type trimOptions struct {
	pid    int
	name   string
	dryRun bool
	json   string
}

func newTrim(e env) *cobra.Command {
	o := &trimOptions{}
	cmd := &cobra.Command{
		Use:   "trim NAME|PID",
		Short: "Have a JVM give back the memory that malloc keeps free, and show what came back",
		Long: `trim tells a leak from retention: memory that the program has freed, and that malloc
keeps. What malloc holds free is shown first, read from outside, since a trim
destroys that evidence. Then the JVM is told to trim (System.trim_native_heap by its
attach socket, as jcmd does), and what came back is shown by category. What does
not come back is in use.

The JVM stands still in malloc while it trims, a few milliseconds per 100 MiB; memory
that is needed again has to be fetched again.`,
		Example: "  sudo vmaleak trim -n james\n  sudo vmaleak trim -p 16067",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args, cmd.Flags().Changed("pid")); err != nil {
				return usageError{err}
			}
			return trim(cmd.Context(), e, o)
		},
	}
	f := cmd.Flags()
	f.IntVarP(&o.pid, "pid", "p", 0, "the process to trim, `PID`")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "only show what a trim would give back, of any program with glibc's malloc")
	f.StringVar(&o.json, "json", "", "write the result as JSON to `FILE` (- is stdout)")
	return cmd
}

// check finds what is wrong with the command line itself.
func (o *trimOptions) check(args []string, pidGiven bool) error {
	if len(args) == 1 {
		if pidGiven {
			return fmt.Errorf("trim is for one process: give -p %d or %q, not both", o.pid, args[0])
		}
		if pid, err := strconv.Atoi(args[0]); err == nil {
			o.pid = pid
		} else {
			o.name = args[0]
		}
	}
	switch {
	case len(args) == 0 && !pidGiven:
		return errors.New("trim: no process: give a PID or a NAME")
	case o.name == "" && o.pid <= 0:
		return fmt.Errorf("%d is no PID: a PID is 1 or more", o.pid)
	}
	return nil
}

// trimTime is the processor time that each reading may take: somebody waits for it.
const trimTime = 2 * time.Second

// trimTimeout is how long the JVM may take: it walks all its arenas.
const trimTimeout = time.Minute

// trimmed is what trim found out: the document of --json. Sizes are bytes.
type trimmed struct {
	PID    int        `json:"pid"`
	Name   string     `json:"name"`
	Before trimState  `json:"before"`
	After  *trimState `json:"after"`   // nil: nothing was trimmed
	Said   string     `json:"said"`    // by the JVM
	TookNS int64      `json:"took_ns"` // of the JVM
}

func trim(ctx context.Context, e env, o *trimOptions) error {
	if o.json != "" && o.json != "-" {
		if err := report.CanWrite(o.json); err != nil {
			return err
		}
	}
	p, err := oneProcess("trim", o.pid, o.name)
	if err != nil {
		return err
	}
	t := trimmed{PID: p.PID, Name: p.Name}
	out := e.stdout
	if o.json == "-" {
		out = e.stderr
	}
	if t.Before, err = readTrimState(p.PID); err != nil {
		return trimRefused(p, err)
	}
	if err := t.Before.text(out, p); err != nil {
		return err
	}
	if !o.dryRun {
		if err := t.run(ctx, p); err != nil {
			return err
		}
		if err := t.text(out); err != nil {
			return err
		}
	}
	return t.write(e, o.json)
}

// trimRefused says why nothing can be trimmed.
func trimRefused(p *symbolize.Process, err error) error {
	switch {
	case errors.Is(err, malloc.ErrForeign):
		return fmt.Errorf("trim %s: %w; a trim is glibc's, of another malloc it gives nothing back", trimName(p), err)
	case errors.Is(err, malloc.ErrUnfit):
		return fmt.Errorf("trim %s: %w; without figures nothing is trimmed here, but jcmd %d System.trim_native_heap does it all the same", trimName(p), err, p.PID)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("trim %s: %w; run it as root (sudo vmaleak trim …) or as the process's own user", trimName(p), err)
	}
	return fmt.Errorf("trim %s: %w", trimName(p), err)
}

// trimName names a process in an error.
func trimName(p *symbolize.Process) string {
	return fmt.Sprintf("process %d (%s)", p.PID, report.Line(p.Name, 60))
}

// run has the JVM trim.
func (t *trimmed) run(ctx context.Context, p *symbolize.Process) error {
	if !p.IsJVM {
		return fmt.Errorf("trim %s: it is no JVM, and nothing can be called in it from outside without stopping it; "+
			"the program itself can call malloc_trim(3), which gives back what is shown above (--dry-run only shows it)", trimName(p))
	}
	c, err := jvm.Dial(ctx, p.PID, jvm.Options{Start: true, Timeout: trimTimeout})
	if err != nil {
		return fmt.Errorf("trim %s: %w; nothing was trimmed", trimName(p), err)
	}
	defer c.Close()
	began := time.Now()
	said, err := c.Jcmd(ctx, "System.trim_native_heap")
	t.TookNS = int64(time.Since(began))
	if errors.Is(err, jvm.ErrRefused) {
		version, _ := c.Version(ctx)
		return fmt.Errorf("trim %s: its JVM %s has no System.trim_native_heap (it came with JDK 18, and with later updates of 11 and 17): %w", trimName(p), version, err)
	}
	if err != nil {
		return fmt.Errorf("trim %s: %w; whether it has trimmed is not known", trimName(p), err)
	}
	t.Said = strings.ToValidUTF8(strings.TrimSpace(string(said[:min(len(said), 1024)])), "\ufffd")
	after, err := readTrimState(p.PID)
	if err != nil {
		return fmt.Errorf("trim %s: it has trimmed (%q), but what came back could not be read: %w", trimName(p), t.Said, err)
	}
	t.After = &after
	return nil
}

// write writes the document.
func (t *trimmed) write(e env, name string) error {
	if name == "" {
		return nil
	}
	document := func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(t)
	}
	if name == "-" {
		return document(e.stdout)
	}
	return report.Write(name, fileOptions(), document)
}
