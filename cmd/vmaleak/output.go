package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vmaleak/leak"
	"vmaleak/report"
)

// output is where a session's results go: the screen at each interval, files
// on request, from time to time, and at the end.
type output struct {
	s         *session
	tty       bool
	width     int
	text      io.Writer // the live report
	autosave  string    // "" = none, or known with the first target
	savedAt   time.Time
	tables    int
	saveFails int
}

const autosaveEvery = 10 * time.Minute

func newOutput(s *session) *output {
	o := &output{s: s, text: s.stdout, savedAt: s.started, width: 80}
	for _, name := range append(append([]string(nil), s.o.outputs...), s.o.jsons...) {
		if name == "-" {
			o.text = s.stderr // stdout is the document's
		}
	}
	if f, ok := o.text.(*os.File); ok {
		if ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
			o.tty = true
			if ws.Col >= 40 {
				o.width = int(ws.Col)
			}
		}
	}
	return o
}

// ready creates the ready file.
func (o *output) ready() error {
	if o.s.o.readyFile == "" {
		return nil
	}
	if err := os.WriteFile(o.s.o.readyFile, nil, 0o600); err != nil {
		return fmt.Errorf("create the ready file: %w", err)
	}
	return nil
}

func (o *output) snapshot(at time.Time, brief bool) (*leak.Snapshot, error) {
	h := o.s.header()
	h.Brief = brief
	sort.Slice(h.Warnings, func(i, j int) bool { return h.Warnings[i].Code < h.Warnings[j].Code })
	snap := o.s.books.Snapshot(at, h, o.s.facts)
	if err := snap.CheckValid(); err != nil {
		return snap, fmt.Errorf("check the ledger (this is a bug in vmaleak, please report it): %w", err)
	}
	return snap, nil
}

// interval shows the state.
func (o *output) interval(now time.Time) error {
	snap, err := o.snapshot(now, true)
	if err != nil {
		o.s.say("%v", err)
	}
	if o.tty && !o.s.o.noTUI {
		fmt.Fprint(o.text, "\x1b[H\x1b[2J")
	} else if !o.s.o.all {
		fmt.Fprintln(o.text)
	}
	if o.s.o.all {
		if !o.tty && now.Sub(o.s.started) < 10*time.Second {
			return nil
		}
		o.tables++
		return report.Table(o.text, snap)
	}
	if err := report.Text(o.text, snap, o.options(true)); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if now.Sub(o.savedAt) >= autosaveEvery {
		o.savedAt = now
		if err := o.save(now); err != nil {
			o.saveFails++
			o.s.warning("autosave", "an export could not be saved: "+err.Error(), 1)
			o.s.say("%v", err)
		}
	}
	return nil
}

func (o *output) options(live bool) report.TextOptions {
	return report.TextOptions{Top: o.s.o.top, MinSize: uint64(o.s.o.minSize), Width: o.width, Live: live}
}

// enough reports whether the one table of a pipe has been printed.
func (o *output) enough(time.Time) bool { return o.s.o.all && !o.tty && o.tables > 0 }

// export writes the JSON files, as SIGUSR1 asks.
func (o *output) export(now time.Time) error {
	if len(o.s.o.jsons) == 0 {
		return o.save(now)
	}
	snap, err := o.snapshot(now, false)
	var errs []error
	for _, name := range o.s.o.jsons {
		errs = append(errs, o.writeJSON(name, snap))
	}
	return errors.Join(append(errs, err)...)
}

// save writes the automatic export, unless something else was asked for.
func (o *output) save(now time.Time) error {
	if o.s.o.noSave || len(o.s.o.outputs)+len(o.s.o.jsons) > 0 {
		return nil
	}
	snap, err := o.snapshot(now, false)
	if o.autosave == "" {
		for _, p := range snap.Processes {
			if p.PID != nil {
				o.autosave = "vmaleak-" + strconv.Itoa(*p.PID) + ".json.zst"
				break
			}
		}
	}
	if o.autosave == "" {
		return err
	}
	return errors.Join(err, o.writeJSON(o.autosave, snap))
}

func (o *output) writeJSON(name string, snap *leak.Snapshot) error {
	if name == "-" {
		return report.JSON(o.s.stdout, snap)
	}
	return report.WriteFile(name, snap, fileOptions())
}

// final prints the last report and writes every file that was asked for.
func (o *output) final(now time.Time) error {
	if o.s.o.all {
		if o.tables > 0 && !o.tty {
			return nil
		}
		snap, err := o.snapshot(now, true)
		return errors.Join(err, report.Table(o.text, snap))
	}
	snap, err := o.snapshot(now, false)
	errs := []error{err}
	if o.tty && !o.s.o.noTUI {
		fmt.Fprint(o.text, "\x1b[H\x1b[2J")
	} else {
		fmt.Fprintln(o.text)
	}
	errs = append(errs, report.Text(o.text, snap, o.options(false)))
	for _, name := range o.s.o.jsons {
		errs = append(errs, o.writeJSON(name, snap))
	}
	for _, name := range o.s.o.outputs {
		errs = append(errs, o.writeByName(name, snap))
	}
	if len(o.s.o.jsons)+len(o.s.o.outputs) == 0 && !o.s.o.noSave && len(snap.Processes) > 0 {
		if o.autosave == "" {
			o.autosave = "vmaleak-" + strconv.Itoa(*snap.Processes[0].PID) + ".json.zst"
		}
		if err := o.writeJSON(o.autosave, snap); err != nil {
			errs = append(errs, err)
		} else {
			o.s.say("saved ./%s (vmaleak report %s shows it again)", o.autosave, o.autosave)
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

// writeByName chooses the format by the file's extension.
func (o *output) writeByName(name string, snap *leak.Snapshot) error {
	switch base := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst"); {
	case name == "-", filepath.Ext(base) == ".json":
		return o.writeJSON(name, snap)
	case filepath.Ext(base) == ".txt":
		return report.WriteText(name, snap, report.TextOptions{Top: o.s.o.top, MinSize: uint64(o.s.o.minSize), Width: 80}, fileOptions())
	}
	return usageError{fmt.Errorf("write %s: no format is known by this extension: use .json, .json.gz, .json.zst or .txt", name)}
}

// fileOptions makes files belong to the user who called sudo.
func fileOptions() report.FileOptions {
	var o report.FileOptions
	uid, err1 := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, err2 := strconv.Atoi(os.Getenv("SUDO_GID"))
	if os.Geteuid() == 0 && err1 == nil && err2 == nil {
		o.UID, o.GID = uid, gid
	}
	return o
}

// hasLeak reports whether the verdict is a leak: until suspects are judged,
// whether the outstanding memory of a pool grows beyond doubt.
func hasLeak(snap *leak.Snapshot) bool {
	for _, p := range snap.Processes {
		for _, s := range p.Suspects {
			if s.Verdict == "leak" {
				return true
			}
		}
		if len(p.Suspects) > 0 {
			continue
		}
		for _, pool := range p.Pools {
			if pool.Growth.Significant && pool.Growth.PerHour != nil && *pool.Growth.PerHour > 0 {
				return true
			}
		}
	}
	return false
}
