package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"vmaleak/symbolize"
	"vmaleak/symbolize/content"
	"vmaleak/vma"
)

// peekOptions is the command line of peek.
type peekOptions struct {
	pid          int
	name         string
	suspect      int
	addrs        string // --range
	mapping      string // --mapping
	export       string
	traceFor     time.Duration
	pages        int
	withContents bool
	files        files
}

func newPeek(e env) *cobra.Command {
	o := &peekOptions{}
	cmd := &cobra.Command{
		Use:   "peek NAME|PID [--suspect N | --range START-END | --mapping ADDR]",
		Short: "Show what is in the memory that grows: format, dates, strings, records",
		Long: `peek reads a sample of the memory that grows, without stopping the process, and
says what it looks like: mail, HTTP, JSON, TLS, compressed data; from when it is,
by the dates in it; and which strings and records come again and again.

Which memory: --range or --mapping if given; else a suspect of an export of this
process (--export, or ./vmaleak-PID.json.zst); else what --for finds; else the
largest group of anonymous mappings that a JVM does not use for itself.

Only pages that are in memory are read: nothing is swapped in. What is shown is
the program's data, and may be secret: files hold none of it but --with-contents.`,
		Example: "  sudo vmaleak peek james\n  sudo vmaleak peek -p 16067 --for 30s\n  sudo vmaleak peek -p 16067 --range 7f46cc4db000-7f46cd4dc000 --pages 1024",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("peek looks into one process: these are %d", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args, cmd.Flags().Changed("pid"), cmd.Flags().Changed("suspect")); err != nil {
				return usageError{err}
			}
			return peek(cmd, e, o)
		},
	}
	f := cmd.Flags()
	f.IntVarP(&o.pid, "pid", "p", 0, "the process to look into, `PID`")
	f.IntVar(&o.suspect, "suspect", 1, "the memory of suspect `N` of the export")
	f.StringVar(&o.addrs, "range", "", "the memory between two addresses, `START-END` in hexadecimal")
	f.StringVar(&o.mapping, "mapping", "", "the mapping that holds an address, `ADDR` in hexadecimal")
	f.StringVar(&o.export, "export", "", "an export of this process, `FILE` (default ./vmaleak-PID.json.zst if it is of this process)")
	f.DurationVar(&o.traceFor, "for", 0, "trace the process this long first, to find what grows")
	f.IntVar(&o.pages, "pages", 1024, fmt.Sprintf("read `N` pages at most, of all that are in memory (up to %d)", content.MaxPages))
	f.BoolVar(&o.withContents, "with-contents", false, "the files hold strings and bytes of the program's memory too")
	o.files.add(f, "")
	return cmd
}

// check finds what is wrong with the command line itself.
func (o *peekOptions) check(args []string, pidGiven, suspectGiven bool) error {
	if len(args) == 1 {
		if pidGiven {
			return fmt.Errorf("peek looks into one process: give -p %d or %q, not both", o.pid, args[0])
		}
		if pid, err := strconv.Atoi(args[0]); err == nil {
			o.pid = pid
		} else {
			o.name = args[0]
		}
	}
	ways := 0
	for _, given := range []bool{suspectGiven, o.addrs != "", o.mapping != ""} {
		if given {
			ways++
		}
	}
	switch {
	case len(args) == 0 && !pidGiven:
		return errors.New("peek: no process: give a PID or a NAME")
	case o.name == "" && o.pid <= 0:
		return fmt.Errorf("%d is no PID: a PID is 1 or more", o.pid)
	case ways > 1:
		return errors.New("peek: give one of --suspect, --range and --mapping")
	case o.suspect < 1:
		return fmt.Errorf("--suspect %d: the first suspect is 1", o.suspect)
	case o.pages < 1 || o.pages > content.MaxPages:
		return fmt.Errorf("--pages %d is not between 1 and %d", o.pages, content.MaxPages)
	case o.traceFor < 0 || o.traceFor > 0 && o.traceFor < time.Second:
		return fmt.Errorf("--for %v: give a second or more", o.traceFor)
	case o.traceFor > 0 && (o.export != "" || o.addrs != "" || o.mapping != ""):
		return errors.New("peek: --for finds the memory by itself: leave out --export, --range and --mapping")
	}
	return o.files.check()
}

// peek looks into one process.
func peek(cmd *cobra.Command, e env, o *peekOptions) error {
	if err := o.files.canWrite(); err != nil {
		return err
	}
	p, err := o.process()
	if err != nil {
		return err
	}
	known, err := o.known(cmd.Context(), e, p)
	if err != nil {
		return err
	}
	space, err := readSpace(p.PID)
	if err != nil {
		return err
	}
	c, err := o.choose(p, space, known)
	if err != nil {
		return err
	}
	sample, err := content.Read(p.PID, c.ranges(), o.pages)
	if err != nil {
		return peekError(p.PID, c, sample, err)
	}
	if again, err := symbolize.ReadProcess(p.PID); err != nil || again.StartTicks != p.StartTicks {
		return fmt.Errorf("peek: process %d ended while it was read; what was read is thrown away", p.PID)
	}
	now := time.Now()
	found := content.Analyze(sample.Blocks, content.Options{PageSize: sample.PageSize,
		From: p.StartedAt.Add(-24 * time.Hour), To: now.Add(24 * time.Hour), Zone: time.Local})
	doc := newPeekDocument(p, c, sample, found, now)
	if err := doc.write(o.files.talk(e), true); err != nil {
		return fmt.Errorf("write what was found: %w", err)
	}
	return doc.save(e, o)
}

// process is the one that is meant.
func (o *peekOptions) process() (*symbolize.Process, error) {
	return oneProcess("peek into", o.pid, o.name)
}

// readSpace is /proc/PID/maps.
func readSpace(pid int) (*vma.Space, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("read the map of process %d: %w; %s", pid, err, curePeek)
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ESRCH), err == nil && len(bytes.TrimSpace(text)) == 0:
		return nil, fmt.Errorf("read the map of process %d: %w", pid, symbolize.ErrGone)
	case err != nil:
		return nil, fmt.Errorf("read the map of process %d: %w", pid, err)
	}
	space, err := vma.ParseMaps(text, vma.Options{})
	if err != nil {
		return nil, fmt.Errorf("read the map of process %d: %w", pid, err)
	}
	return space, nil
}

const curePeek = "run it as root, or with CAP_SYS_PTRACE: another user's memory, and with kernel.yama.ptrace_scope one's own too, is not to be read"

// peekError says why nothing was read, and what to do.
func peekError(pid int, c *choice, s *content.Sample, err error) error {
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("peek: %w; %s", err, curePeek)
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ESRCH):
		return fmt.Errorf("peek into process %d: %w", pid, symbolize.ErrGone)
	case !errors.Is(err, content.ErrNothing):
		return fmt.Errorf("peek: %w", err)
	case s.Skipped > 0 && s.Resident > 0:
		return fmt.Errorf("peek into %s: %d pages are in memory, but the kernel gives none of them out (device memory, or unmapped meanwhile); try again, or give another --range", c.what, s.Resident)
	}
	return fmt.Errorf("peek into %s: none of its %d pages is in memory: %d are swapped out, the others were never touched; peek does not bring pages back; give another --range",
		c.what, s.Total, s.Swapped)
}
