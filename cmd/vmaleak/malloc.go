package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"vmaleak/leak"
	"vmaleak/tracer"
)

// following is how far a target's malloc is followed.
type following struct {
	done   bool
	next   time.Time // when to try again
	tries  int
	why    string // why not
	healed uint64 // dropped records that were made good
	// Of the process, as last read: it may have ended.
	since time.Time
	calls uint64
}

// A program that has just begun maps its libc soon; one that has none may load it later.
const (
	mallocSoon  = 20 * time.Millisecond
	mallocTries = 100
	mallocLate  = 10 * time.Second
)

// standInHelper is the hidden first argument of the child on which the cost of probes is measured.
const standInHelper = "__stand-in"

// measureMalloc finds out what following malloc costs here; where it cannot, the cost is unknown.
func (s *session) measureMalloc() {
	if s.o.malloc == 0 {
		return
	}
	self, err := os.Executable()
	if err != nil {
		s.complain("malloc", fmt.Errorf("find our own program: %w", err))
		return
	}
	cost, err := s.tr.MeasureMalloc([]string{self, standInHelper})
	if err != nil {
		s.complain("malloc", err)
		return
	}
	small, followed := cost.Small.Nanoseconds(), cost.Followed.Nanoseconds()
	s.mallocCost = leak.BlockCost{CallNS: &small, TrackedNS: &followed}
}

// startMalloc follows malloc in the first targets. Where none of them has one, there is nothing to trace with --malloc.
func (s *session) startMalloc() error {
	if s.o.malloc == 0 {
		return nil
	}
	var errs []error
	for _, t := range s.targets {
		errs = append(errs, s.tryMalloc(t, time.Now()))
	}
	for _, t := range s.targets {
		if t.malloc.done || s.o.jvm {
			return nil
		}
	}
	return errors.Join(errs...)
}

// followMalloc follows malloc in targets that came since.
func (s *session) followMalloc(now time.Time) {
	if s.o.malloc == 0 {
		return
	}
	for _, t := range s.targets {
		if f := &t.malloc; f.done || now.Before(f.next) {
			continue
		}
		if t.malloc.tries == 0 && t.sp.Parent != "" { // most children execute another program, or end, at once
			t.malloc.tries, t.malloc.next = mallocTries, now.Add(scanEvery)
			continue
		}
		if err := s.tryMalloc(t, now); err != nil && t.malloc.tries == mallocTries {
			s.complain("malloc", err)
		}
	}
}

// tryMalloc follows malloc in a target, or says when to try again.
func (s *session) tryMalloc(t *target, now time.Time) error {
	f := &t.malloc
	_, err := s.tr.FollowMalloc(t.sp.PID())
	f.tries++
	if err == nil {
		f.done, f.why, f.since = true, "", s.tr.MallocSince(t.sp.PID())
		return nil
	}
	f.why, f.next = err.Error(), now.Add(mallocLate)
	if f.tries < mallocTries && errors.Is(err, tracer.ErrNoMalloc) {
		f.next = now.Add(mallocSoon)
	}
	return err
}

// Block implements tracer.BlockHandler.
func (s *session) Block(sp *tracer.Space, b *tracer.Block) {
	t := s.targets[sp]
	if t == nil {
		return
	}
	t.books.BookBlock(&leak.Block{ID: b.ID, Gone: b.Gone, Addr: b.Addr, Size: b.Size, At: b.Time, Thread: b.Thread, Stack: b.Stack,
		Failed: b.Failed, Untracked: b.Untracked})
	if b.ID != 0 && t.namer != nil && b.Thread != t.lastSeen {
		t.lastSeen = b.Thread
		t.namer.Saw(b.Thread.TID, b.Thread.Start)
	}
}

// healBlocks makes good the records of blocks that were dropped.
func (s *session) healBlocks(now time.Time) {
	if s.o.malloc == 0 {
		return
	}
	for _, t := range s.targets {
		dropped := t.sp.Events.Blocks.Dropped
		if dropped == t.malloc.healed {
			continue
		}
		live, err := s.tr.Live(t.sp)
		if err != nil {
			s.complain("malloc", err)
			continue
		}
		t.malloc.healed = dropped
		blocks := make([]leak.Block, len(live))
		for i, b := range live {
			blocks[i] = leak.Block{ID: b.ID, Addr: b.Addr, Size: b.Size, At: b.Time, Thread: b.Thread}
		}
		t.books.HealBlocks(blocks, now)
	}
}

// blockFacts is what is known of the following of a target's malloc, nil if it is not asked for.
func (s *session) blockFacts(t *target) *leak.BlockFacts {
	if s.o.malloc == 0 {
		return nil
	}
	if f := &t.malloc; f.done && !t.ended {
		f.calls = s.tr.MallocCalls(t.sp.PID())
	}
	c, cost := t.sp.Events.Blocks, s.mallocCost
	cost.Calls = t.malloc.calls
	return &leak.BlockFacts{MinSize: uint64(s.o.malloc), Since: t.malloc.since, Dropped: c.Dropped, Untracked: c.Untracked, Missed: c.Missed,
		Because: t.malloc.why, Cost: cost}
}
