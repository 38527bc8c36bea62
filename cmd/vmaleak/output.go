package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"vmaleak/leak"
	"vmaleak/report"
)

// output is where a session's results go: the screen at each interval, files
// on request, from time to time, and at the end.
type output struct {
	s       *session
	screen  *screen
	save    string // the file that the trace saves itself to, "" before the first target
	savedAt time.Time
}

const (
	autosaveEvery = 10 * time.Minute
	tableAfter    = 10 * time.Second // into a pipe the table of all JVMs goes once, after this time
)

func newOutput(s *session) *output {
	// The command's own output goes to the terminal too: do not draw over it.
	plain := s.o.noTUI || len(s.o.command) > 0 && !s.o.kill
	o := &output{s: s, screen: newScreen(s.o.files.talk(s.env), plain), savedAt: s.started}
	if s.o.all && o.screen.tty == nil && s.o.duration == 0 {
		s.o.duration = tableAfter
	}
	return o
}

// target tells of a space that is followed: the first one names the file that the trace saves itself to.
func (o *output) target(pid int) {
	if o.save == "" && o.s.o.saves() {
		o.save = saveName(pid)
	}
}

// ready creates the ready file.
func (o *output) ready() error {
	name := o.s.o.readyFile
	if name == "" {
		return nil
	}
	if err := errors.Join(os.WriteFile(name, nil, 0o600), ownFile(name)); err != nil {
		return fmt.Errorf("create the ready file: %w", err)
	}
	return nil
}

// snapshot is the state, complete or (brief) for a screen. One that breaks the
// sum rules comes with an error.
func (o *output) snapshot(at time.Time, brief bool) (*leak.Snapshot, error) {
	snap := o.s.books.Snapshot(at, o.s.header(at, brief),
		func(b *leak.Space) leak.Facts { return o.s.facts(b, brief) })
	o.s.forgetEnded()
	if err := snap.CheckValid(); err != nil {
		return snap, fmt.Errorf("check the ledger (this is a bug in vmaleak, please report it): %w", err)
	}
	return snap, nil
}

// render is the state as text.
func (o *output) render(snap *leak.Snapshot, live bool) ([]byte, error) {
	var b bytes.Buffer
	if o.s.o.all {
		err := report.Table(&b, snap)
		return b.Bytes(), err
	}
	shown, more := mostImportant(snap, o.s.o.top)
	text := o.text()
	text.Live = live
	err := report.Text(&b, shown, text)
	if more > 0 {
		fmt.Fprintf(&b, "%d more processes are not shown (--top %d); the export has them\n", more, o.s.o.top)
	}
	return b.Bytes(), err
}

func (o *output) text() report.TextOptions {
	columns, _ := o.screen.size()
	return report.TextOptions{Top: o.s.o.top, MinSize: uint64(o.s.o.minSize), Width: columns, FullStacks: o.s.o.fullStacks}
}

// mostImportant is snap with so many processes at most: those that live first,
// then those that held most at their end.
func mostImportant(snap *leak.Snapshot, most int) (shown *leak.Snapshot, more int) {
	if len(snap.Processes) <= most {
		return snap, 0
	}
	c := *snap
	c.Processes = slices.Clone(snap.Processes)
	slices.SortStableFunc(c.Processes, func(a, b *leak.Entry) int {
		switch {
		case a.Exited != b.Exited && a.Exited:
			return 1
		case a.Exited != b.Exited:
			return -1
		}
		return cmp.Compare(b.Totals.Outstanding, a.Totals.Outstanding)
	})
	c.Processes = c.Processes[:most]
	return &c, len(snap.Processes) - most
}

// interval shows the state, and saves it from time to time.
func (o *output) interval(now time.Time) error {
	if o.s.o.all && o.screen.tty == nil {
		return nil
	}
	snap, err := o.snapshot(now, true)
	if err != nil {
		o.s.complain("invalid", err)
	}
	text, err := o.render(snap, true)
	if err == nil {
		err = o.screen.live(text)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if o.save != "" && now.Sub(o.savedAt) >= autosaveEvery {
		o.savedAt = now
		if err := o.autosave(now); err != nil {
			o.s.complain("autosave", err)
		}
	}
	return nil
}

func (o *output) autosave(now time.Time) error {
	snap, err := o.snapshot(now, false)
	return errors.Join(err, writeJSON(o.s.stdout, o.save, snap))
}

// export writes what was asked for, as SIGUSR1 demands.
func (o *output) export(now time.Time) error {
	switch {
	case !o.s.o.files.none():
		snap, err := o.snapshot(now, false)
		return errors.Join(err, o.s.o.files.write(o.s.stdout, snap, o.text()))
	case o.save != "":
		return o.autosave(now)
	}
	return errors.New("SIGUSR1: there is nothing to write to; start the trace with --json FILE")
}

// final prints the last report and writes every file that was asked for.
func (o *output) final(now time.Time) error {
	snap, err := o.snapshot(now, false)
	errs := []error{err}
	text, err := o.render(snap, false)
	if err == nil {
		err = o.screen.final(text)
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("write the report: %w", err))
	}
	if o.s.cmd != nil && len(snap.Processes) == 0 {
		errs = append(errs, fmt.Errorf("trace: %s never began, so nothing was followed; is it a program?", o.s.o.command[0]))
	}
	if !o.s.o.files.none() {
		if err := o.s.o.files.write(o.s.stdout, snap, o.text()); err != nil {
			errs = append(errs, err, o.rescue(snap))
		}
	} else if o.save != "" {
		if err := writeJSON(o.s.stdout, o.save, snap); err != nil {
			errs = append(errs, err, o.rescue(snap))
		} else {
			o.s.say("saved ./%s (vmaleak report %s shows it again)", o.save, o.save)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if o.s.o.failOnLeak && hasLeak(snap) {
		return errLeak
	}
	return nil
}

// rescue keeps the result of a trace that could not be written where it was
// meant to go in the directory for temporary files.
func (o *output) rescue(snap *leak.Snapshot) error {
	if o.s.o.noSave {
		return nil
	}
	f, err := os.CreateTemp("", "vmaleak-*.json.zst")
	if err != nil {
		return nil // the first error says enough
	}
	name := f.Name()
	if err := errors.Join(f.Close(), writeJSON(nil, name, snap)); err != nil {
		return os.Remove(name)
	}
	o.s.say("the export was saved as %s instead", name)
	return nil
}

// hasLeak reports whether a suspect grows beyond doubt: what may be noise does not fail a build.
func hasLeak(snap *leak.Snapshot) bool {
	for _, p := range snap.Processes {
		if slices.ContainsFunc(p.Suspects, func(s leak.Suspect) bool { return s.Verdict == leak.VerdictLeak || s.Verdict == leak.VerdictGrowing }) {
			return true
		}
	}
	return false
}
