package tracer

import (
	"time"

	"vmaleak/vma"
)

// order takes a numbered record; it is applied when all numbers below it are.
func (t *Tracer) order(s *Space, r *record, fresh bool) {
	seq := r.ev.Seq
	switch {
	case seq == 0:
		t.unnumbered(s, r, fresh)
		return
	case seq <= s.win.base: // given up, healed, and here it is
		if s.Events.Lost > 0 {
			s.Events.Lost--
		}
		t.claim(s, r)
		return
	case !s.win.put(r):
		t.lose(s)
		return
	}
	if seq == s.win.base+1 {
		t.run(s)
	}
}

// run applies what is in order.
func (t *Tracer) run(s *Space) {
	if !s.ready || s.deaf {
		return
	}
	for r := s.win.next(); r != nil; r = s.win.next() {
		t.apply(s, r)
		s.win.pop()
		s.stalled = time.Time{}
		if s.snap != nil && s.snap.done(s.win.base) {
			t.snapped(s)
		}
	}
}

// apply changes the model as the kernel changed the space.
func (t *Tracer) apply(s *Space, r *record) {
	s.Events.Applied++
	if r.fork {
		// Mid-way through a seed the model holds what came after the fork, too.
		t.forked(s, r, !s.deaf && (s.snap == nil || s.snap.kind == audit))
		return
	}
	if r.ev.Op == vma.OpVoid {
		return
	}
	if r.ev.Failed() {
		s.Events.Failed++
	}
	if s.snap != nil {
		s.snap.replay(s.vm, &r.ev)
	}
	s.dirty = carry(s.dirty, s.vm.PageSize, &r.ev)
	d := s.vm.Apply(&r.ev)
	if len(d.Dirty) > 0 {
		t.soil(s, d.Dirty)
	}
	t.h.Apply(s, &r.ev, d)
}

// soil notes ranges that the next audit must put right.
func (t *Tracer) soil(s *Space, dirty []vma.Range) {
	const most = 1024
	for _, r := range dirty {
		s.dirty = s.dirty.add(r)
	}
	if len(s.dirty) > most {
		s.dirty = ranges{{Start: 0, End: ^uint64(0)}}
	}
	if s.snap != nil { // its text was read before
		s.snap.question(dirty...)
	}
	t.wantAudit(s, time.Now(), dirtyEvery)
}

// unnumbered is a call that succeeded without a number: it held the lock
// before its space was registered, or the lock's program was skipped. Either
// way the model may lack it.
func (t *Tracer) unnumbered(s *Space, r *record, fresh bool) {
	if r.fork {
		t.forked(s, r, false)
		return
	}
	if r.ev.Op == vma.OpVoid {
		return
	}
	if fresh {
		// What it did is older than the trace; nothing is missing behind it.
		if s.ready && !s.deaf {
			s.settled = false
			t.seed(s, s.win.base, vma.PreExisting)
		}
		return
	}
	s.Events.Lost++
	s.Events.Gaps++
	const most = 1024
	if len(s.late) < most {
		s.late = append(s.late, *r)
	}
	t.lose(s)
}

// claim gives a record that came too late for its place the healed bytes that it tells of.
func (t *Tracer) claim(s *Space, r *record) {
	if r.fork {
		t.forked(s, r, false)
		return
	}
	if !s.ready || r.ev.Op == vma.OpVoid {
		return
	}
	if d := s.vm.Claim(&r.ev); len(d.Acquired) > 0 {
		t.h.Apply(s, &r.ev, d)
	}
}

// lose says that numbers of s are gone for good.
func (t *Tracer) lose(s *Space) {
	if s.deaf {
		return
	}
	s.deaf = true
	s.stalled = time.Time{}
}
