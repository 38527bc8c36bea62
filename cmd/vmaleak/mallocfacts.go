package main

import (
	"errors"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize/malloc"
)

// How often malloc's arenas are read while a trace runs, and with how much processor time. An export has a reading of its
// own, which may take longer. A reading that was dear comes again the later for it: it takes 1 % of a processor at most.
const (
	mallocEvery = 10 * time.Second
	mallocRare  = time.Minute // where there is nothing to be read: another malloc
	mallocTime  = 50 * time.Millisecond
	mallocLast  = time.Second
	mallocWait  = 5 * time.Second // of an export, for all processes together
)

// mallocReader reads the arenas of one process at a time, beside the live loop.
type mallocReader struct {
	busy    bool
	answers chan mallocAnswer
}

func newMallocReader() mallocReader { return mallocReader{answers: make(chan mallocAnswer, 1)} }

type mallocAnswer struct {
	t     *target
	facts *leak.MallocFacts // nil: the process is gone
	again time.Duration
}

// mallocOf is what is known of one process's malloc, and when it is read again.
type mallocOf struct {
	facts *leak.MallocFacts
	due   time.Time
}

// lookAtMalloc takes an answer over, and has the next process read that is due.
func (s *session) lookAtMalloc(now time.Time) {
	select {
	case a := <-s.malloc.answers:
		s.malloc.busy = false
		a.t.arenas = mallocOf{a.facts, now.Add(a.again)}
	default:
	}
	for _, t := range s.targets {
		if s.malloc.busy {
			return
		}
		if t.proc == nil || t.ended || now.Before(t.arenas.due) {
			continue
		}
		if t.arenas.due.IsZero() { // one that has just begun may end at once, and has freed little
			t.arenas.due = now.Add(time.Second)
			continue
		}
		s.readMalloc(t, mallocTime)
	}
}

// readMalloc begins a reading.
func (s *session) readMalloc(t *target, limit time.Duration) {
	s.malloc.busy = true
	pid := t.sp.PID()
	go func() {
		facts, again := mallocFacts(pid, limit)
		s.malloc.answers <- mallocAnswer{t, facts, again}
	}()
}

// freshMalloc reads all processes' arenas for an export.
func (s *session) freshMalloc() error {
	deadline := time.Now().Add(mallocWait)
	settle := func() error {
		for s.malloc.busy && time.Now().Before(deadline) {
			if err := s.tr.Poll(time.Now().Add(2 * time.Millisecond)); err != nil {
				return err
			}
			select {
			case a := <-s.malloc.answers:
				s.malloc.busy = false
				a.t.arenas = mallocOf{a.facts, time.Now().Add(a.again)}
			default:
			}
		}
		return nil
	}
	if err := settle(); err != nil {
		return err
	}
	for _, t := range s.liveTargets() {
		if s.malloc.busy {
			s.warn.add("malloc-late", "there was no time to read malloc's arenas anew: their figures are older than the rest", 1)
			return nil
		}
		if t.proc == nil || t.ended {
			continue
		}
		s.readMalloc(t, mallocLast)
		if err := settle(); err != nil {
			return err
		}
	}
	return nil
}

// liveTargets is the targets of this moment: following events changes the map.
func (s *session) liveTargets() []*target {
	list := make([]*target, 0, len(s.targets))
	for _, t := range s.targets {
		list = append(list, t)
	}
	return list
}

// mallocFacts reads the arenas of a process, and says when it is worth reading them again.
func mallocFacts(pid int, limit time.Duration) (*leak.MallocFacts, time.Duration) {
	r, err := malloc.Read(pid, malloc.Options{Time: limit})
	f := &leak.MallocFacts{At: time.Now()}
	switch {
	case errors.Is(err, malloc.ErrGone):
		return nil, mallocRare
	case err != nil:
		f.UnknownBecause = err.Error()
		return f, mallocRare
	}
	for i := range r.Arenas {
		f.Arenas = append(f.Arenas, leakArena(&r.Arenas[i]))
	}
	return f, max(mallocEvery, 100*r.Took)
}

// leakArena is an arena in the words of the export.
func leakArena(a *malloc.Arena) leak.Arena {
	l := leak.Arena{Kind: leak.OtherArena, Start: leak.Addr(a.Start), Heaps: []leak.Addr{}, Committed: a.Committed, Free: a.Free,
		FreeResident: a.Trimmable, KeptResident: a.TopResident, Incomplete: str(a.Incomplete)}
	if a.Main {
		l.Kind = leak.MainArena
		return l
	}
	for _, h := range a.Heaps {
		l.Heaps = append(l.Heaps, leak.Addr(h.Start))
	}
	return l
}
