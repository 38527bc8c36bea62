package malloc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Options bounds one reading. The zero value is the default.
type Options struct {
	Time   time.Duration // processor time, 0 = 50 ms, and ten times as much in all; the list of mappings comes on top
	Blocks int           // free blocks that are looked at, 0 = 2,097,152: 32 MiB of our memory
}

// Report is what malloc held free at about one instant.
type Report struct {
	Arenas []Arena // the main one first
	Took   time.Duration
	Bytes  uint64 // read of the process's memory
}

// Range is the addresses [Start, End).
type Range struct{ Start, End uint64 }

// Arena is one arena. Sizes are bytes.
type Arena struct {
	Main      bool
	Start     uint64  // of its first memory
	Heaps     []Range // the used part of each, 64 MiB of addresses; of the main arena the break's area
	Committed uint64  // writable

	Free uint64 // all that is free: in bins, in fast lists, in the top
	Fast uint64 // of Free: in fast lists
	Top  uint64 // of Free: the end of the arena that was not handed out, or came back

	// Trimmable is what malloc_trim(3) would give back, TopResident what it would not: whole pages of Free that are in memory.
	Trimmable, TopResident uint64

	// Incomplete says why not everything was read, "" if it was. The figures are then lower bounds.
	Incomplete string
}

// Read looks at the arenas of a process, which needs ptrace's permission. An error that is ErrForeign says which malloc the
// process uses instead, or that what it uses is not known; ErrUnfit that glibc's is of an unknown kind; ErrGone that it has ended; ErrTime that there was too little time.
func Read(pid int, opt Options) (*Report, error) {
	began := time.Now()
	p, err := openProcess(pid)
	if err != nil {
		return nil, err
	}
	defer p.pagemap.Close()
	rows, err := readMaps(pid)
	if err != nil {
		return nil, err
	}
	r, err := readFrom(p, rows, opt)
	if err != nil {
		return nil, fmt.Errorf("read malloc's arenas of process %d: %w", pid, err)
	}
	r.Took = time.Since(began)
	return r, nil
}

// readFrom reads the arenas of a memory, whose areas are rows.
func readFrom(m memory, rows []row, opt Options) (*Report, error) {
	if opt.Time <= 0 {
		opt.Time = 50 * time.Millisecond
	}
	if opt.Blocks <= 0 {
		opt.Blocks = 1 << 21
	}
	c := startClock()
	defer c.stop()
	v, arenas, err := settled(m, rows, c, opt.Time)
	if err != nil {
		return nil, err
	}
	// What a trim gives back comes first: the large blocks, then those that would be merged to large ones.
	w := &walker{v: v, clock: c, left: opt.Blocks}
	large, fast, small := listsOf(arenas)
	for _, turn := range []struct {
		lists []*list
		until time.Duration
	}{{large, opt.Time * 5 / 8}, {fast, opt.Time * 6 / 8}, {small, opt.Time * 7 / 8}} { // the rest is for the pages
		if err := w.walk(turn.lists, turn.until); err != nil {
			return nil, err
		}
	}
	r := &Report{}
	for _, a := range arenas {
		sum, err := a.sum(v)
		if err != nil {
			return nil, err
		}
		r.Arenas = append(r.Arenas, sum)
	}
	r.Bytes = v.bytes
	return r, nil
}

// looks is how often arenas that do not fit are looked for again, at most a half of the time long.
const looks = 20

// settled finds the arenas. One whose bins change while they are read does not fit, and does the next moment.
func settled(m memory, rows []row, c *clock, most time.Duration) (v *view, arenas []*arena, err error) {
	for range looks {
		v = newView(m, func() bool { return c.used() > most })
		if arenas, err = findArenas(v, rows); !errors.Is(err, ErrUnfit) || c.used() > most/2 {
			break
		}
	}
	return v, arenas, err
}

// smallBins is how many bins, after that of the unsorted blocks, have blocks of one size below 1 KiB each.
const smallBins = 62

// listsOf makes the walks of all lists that are not empty.
func listsOf(arenas []*arena) (large, fast, small []*list) {
	for _, a := range arenas {
		for i := range binCount {
			l := a.bin(i)
			switch {
			case l.done():
				continue
			case i == 0 || i > smallBins:
				large = append(large, l)
			default:
				small = append(small, l)
			}
			a.lists = append(a.lists, l)
		}
		if !a.fast {
			continue
		}
		for i := range fastCount {
			if l := a.fastList(i); !l.done() {
				fast, a.lists = append(fast, l), append(a.lists, l)
			}
		}
	}
	return large, fast, small
}

// sum adds up what the walks of an arena found.
func (a *arena) sum(v *view) (Arena, error) {
	s := Arena{Main: a.main, Start: a.brk.Start, Committed: a.system, Top: a.top.size}
	if a.main && a.brk.End > a.brk.Start {
		s.Heaps = []Range{a.brk}
	}
	if !a.main {
		s.Committed = 0
		for _, h := range a.heaps {
			s.Heaps = append(s.Heaps, h.Range)
			s.Committed += h.writable
			s.Start = h.Start
		}
	}
	var why []string
	for _, l := range a.lists {
		if l.fast >= 0 {
			s.Fast += l.bytes
		}
		why = say(why, l.why)
	}
	runs, top := merge(a)
	s.Free = top.size
	for _, b := range runs {
		s.Free += b.size
	}
	s.Fast = min(s.Fast, s.Free-s.Top) // a block met twice
	pages := trimmed(runs)
	kept, given := a.topPages(top)
	if given.End > given.Start {
		pages = append(pages, given)
	}
	for _, p := range pages {
		n, err := v.residentIn(p.Start, p.End)
		s.Trimmable += n
		if err != nil && !errors.Is(err, ErrTime) {
			return s, err
		}
		if err != nil {
			why = say(why, tooLong)
			break
		}
	}
	n, err := v.residentIn(kept.Start, max(kept.Start, kept.End))
	s.TopResident = n
	if errors.Is(err, ErrTime) {
		why, err = say(why, tooLong), nil
	}
	s.Incomplete = strings.Join(why, "; ")
	return s, err
}

// say adds a reason that is not there yet.
func say(reasons []string, why string) []string {
	if why == "" || slices.Contains(reasons, why) {
		return reasons
	}
	return append(reasons, why)
}
