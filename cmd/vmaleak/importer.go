package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"vmaleak/leak"
	"vmaleak/strace"
	"vmaleak/symbolize"
	"vmaleak/symbolize/jvm"
	"vmaleak/vma"
)

// importer replays logs into a ledger.
type importer struct {
	env
	o     *importOptions
	loc   *time.Location
	date  time.Time
	limit uint64
	files map[strace.FileKind][]string

	names    map[uint32]string // by TID, from the latest dump
	jvm      string
	books    *leak.Ledger
	spaces   map[uint32]*imported
	stats    strace.Stats
	inferred int
	unknown  int
	assumed  int
	ticked   int64
	refusal  *strace.OutOfDirect // the last of the application's log
	notes    []string
	warns    []leak.Warning
}

// imported is one address space of a log.
type imported struct {
	vm     *vma.Space
	books  *leak.Space
	tids   map[uint32]bool
	events leak.Events
}

func (im *importer) warn(code, message string, count int64) {
	if count > 0 {
		im.warns = append(im.warns, leak.Warning{Code: code, Message: message, Count: uint64(count)})
	}
}

// readDumps takes threads' names from the dumps, later ones last.
func (im *importer) readDumps() error {
	for _, name := range im.files[strace.JstackFile] {
		f, _, err := strace.Open(name)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		dumps, err := jvm.ParseDump(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("import %s: %w", name, err)
		}
		bad := 0
		for _, d := range dumps {
			bad += d.Bad
			if d.JVM != "" {
				im.jvm = shortVersion(d.JVM)
			}
			for i := range d.Threads {
				if t := &d.Threads[i]; t.NID != 0 {
					im.names[uint32(t.NID)] = t.Name
				}
			}
		}
		im.warn("dump-lines", fmt.Sprintf("%s: lines that look like a thread's header could not be read", filepath.Base(name)), int64(bad))
	}
	return nil
}

// scanner is a Reader or a Merger.
type scanner interface {
	Scan() bool
	Record() *strace.Record
	Err() error
	Stats() strace.Stats
}

// open begins to read the strace logs, several as one.
func (im *importer) open() (scanner, func() error, error) {
	var readers []*strace.Reader
	var files []io.Closer
	closeAll := func() (err error) {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
		return err
	}
	for _, name := range im.files[strace.StraceFile] {
		f, _, err := strace.Open(name)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("import: %w", err), closeAll())
		}
		files = append(files, f)
		readers = append(readers, strace.NewReader(f, strace.Options{Name: name, Date: im.date, Location: im.loc, PID: strace.PIDOf(name)}))
	}
	if len(readers) == 1 {
		return readers[0], closeAll, nil
	}
	return strace.Merge(readers...), closeAll, nil
}

// each calls f with every record of the logs.
func (im *importer) each(f func(*strace.Record)) (stats strace.Stats, err error) {
	sc, closeAll, err := im.open()
	if err != nil {
		return stats, err
	}
	for sc.Scan() {
		f(sc.Record())
	}
	if err := errors.Join(sc.Err(), closeAll()); err != nil {
		return sc.Stats(), fmt.Errorf("import: read the strace log: %w", err)
	}
	return sc.Stats(), nil
}

// readStrace replays the log. It is read twice: the first time tells whether
// addresses are missing, for which alone all calls must be in memory at once.
func (im *importer) readStrace() error {
	firstBad := ""
	var err error
	if im.stats, err = im.each(func(r *strace.Record) {
		if r.Bad != nil && firstBad == "" {
			firstBad = r.Bad.Error()
		}
		if r.Assumed {
			im.assumed++
		}
	}); err != nil {
		return err
	}
	if im.stats.Calls == 0 {
		return fmt.Errorf("import: no call of mmap, munmap, mremap, brk or mprotect in %s; was the log recorded with -e trace=brk,mmap,munmap,mremap,mprotect?", im.files[strace.StraceFile][0])
	}
	im.books = leak.New(leak.Options{})
	im.spaces = map[uint32]*imported{}
	if im.stats.AddressUnknown == 0 {
		if _, err := im.each(im.replay); err != nil {
			return err
		}
	} else {
		var all []strace.Record
		if _, err := im.each(func(r *strace.Record) {
			if r.Kind != strace.Signal && r.Kind != strace.BadLine {
				all = append(all, *r)
			}
		}); err != nil {
			return err
		}
		im.inferred, im.unknown = strace.Infer(all)
		for i := range all {
			im.replay(&all[i])
		}
	}
	im.explain(firstBad)
	return nil
}

// explain turns what the log lacks into warnings.
func (im *importer) explain(firstBad string) {
	st := im.stats
	im.warn("address-unknown", "calls whose address is not in the log: their length counts, where they are is unknown", int64(im.unknown))
	im.warn("address-inferred", "calls whose address is not in the log, but fits the holes between the others exactly", int64(im.inferred))
	im.warn("result-assumed", "calls whose end is not in the log (<unfinished ...>): they are taken to have succeeded", int64(im.assumed))
	im.warn("orphans", "ends of calls whose beginning is not in the log", st.Orphans)
	im.warn("no-result", "calls that never returned", st.NoResult)
	im.warn("break-unknown", "brk calls whose previous break is not in the log", st.BreakUnknown)
	im.warn("bad-lines", "lines that could not be understood, the first: "+firstBad, st.Bad)
	im.warn("cut-lines", "lines longer than 1 MiB", st.Cut)
	im.warn("order", "calls put in order without the end of an earlier one", st.Forced)
	im.warn("clock", "times that run backwards", st.Backwards)
	if st.Undated {
		im.warn("undated", "the log's times have no date: give it with --date", 1)
	}
	if st.Untimed {
		im.warn("untimed", "lines without a time: nothing can be said of growth", 1)
	}
}

func (im *importer) space(id uint32, at time.Time) *imported {
	sp := im.spaces[id]
	if sp == nil {
		sp = im.begin(id, "", vma.New(vma.Options{}), at)
	}
	return sp
}

func (im *importer) begin(id uint32, parent string, vm *vma.Space, at time.Time) *imported {
	sp := &imported{vm: vm, tids: map[uint32]bool{}}
	p := leak.Process{Space: fmt.Sprint(id), Parent: parent, Name: filepath.Base(im.files[strace.StraceFile][0]),
		Backend: leak.Backend{Mode: "none"}}
	if im.jvm != "" {
		p.JVM = &leak.JVM{Version: &im.jvm}
	}
	sp.books = im.books.Open(p, sp.vm, at)
	im.spaces[id] = sp
	return sp
}

// replay applies one record.
func (im *importer) replay(r *strace.Record) {
	at := time.Unix(0, r.Event.Time)
	switch r.Kind {
	case strace.Fork:
		if !r.Shared {
			parent := im.space(r.Space, at)
			im.begin(r.ChildSpace, fmt.Sprint(r.Space), parent.vm.Fork(), at)
		}
		return
	case strace.Exec:
		if old := im.spaces[r.Left]; old != nil && r.Left != r.Space {
			old.books.End(at, leak.EndedExec)
		}
		return
	case strace.Call:
	default:
		return
	}
	sp := im.space(r.Space, at)
	ev := &r.Event
	sp.tids[ev.Thread.TID] = true
	sp.events.Received++
	if im.stats.Last > im.stats.First && ev.Time-im.ticked > (im.stats.Last-im.stats.First)/200 {
		im.ticked = ev.Time
		im.books.Tick(at)
	}
	if ev.Failed() {
		sp.events.Failed++
	}
	if r.AddressUnknown {
		if ev.Op == vma.OpMmap && vma.IsAnon(ev.Flags) {
			sp.books.Float(ev, (ev.Len+sp.vm.PageSize-1)&^(sp.vm.PageSize-1))
		}
		return
	}
	sp.events.Applied++
	sp.books.Book(ev, sp.vm.Apply(ev))
}

// facts names the threads of a space.
func (im *importer) facts(b *leak.Space) leak.Facts {
	because := "an strace log shows neither what was mapped before nor whether a line is missing"
	f := leak.Facts{UnverifiedBecause: because, Counters: im.counters()}
	for _, sp := range im.spaces {
		if sp.books != b {
			continue
		}
		f.Events = sp.events
		for tid := range sp.tids {
			t := leak.ThreadFacts{Thread: vma.Thread{TID: tid}}
			if name, ok := im.names[tid]; ok {
				t.Name = &name
				t.Pool = symbolize.Pool(name)
			}
			f.Threads = append(f.Threads, t)
		}
	}
	return f
}

func (im *importer) snapshot() (*leak.Snapshot, error) {
	end := time.Unix(0, im.stats.Last).In(im.loc)
	im.books.Tick(end)
	h := leak.Header{
		Tool:   leak.Tool{Version: version(), Options: map[string]string{}, Limits: map[string]int64{}},
		Source: leak.SourceStrace, StartedAt: time.Unix(0, im.stats.First).In(im.loc), Warnings: im.warns,
		Undated: im.stats.Undated || im.stats.Untimed,
	}
	snap := im.books.Snapshot(end, h, im.facts)
	if err := snap.CheckValid(); err != nil {
		return nil, fmt.Errorf("check the ledger (this is a bug in vmaleak, please report it): %w", err)
	}
	return snap, nil
}
