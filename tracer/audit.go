package tracer

import (
	"sync/atomic"
	"time"

	"vmaleak/vma"
)

const (
	dirtyEvery    = 100 * time.Millisecond // between audits that dirty ranges ask for
	untracedEvery = time.Second            // between audits that untraced locks ask for
	flightTime    = 2 * time.Second        // how long a call may be on its way between lock and return
	quietTime     = 200 * time.Millisecond // how long a quiet instant is waited for
)

// settle looks at every space after the ring was read: gaps, snapshots that
// are due, ends. It runs at least every readAhead.
func (t *Tracer) settle(now time.Time) error {
	for _, s := range t.bySlot {
		if s.gone() {
			t.settleEnd(s, now)
			continue
		}
		if s.state.Gen != s.gen {
			continue // its end is in the ring
		}
		t.checkGap(s, now)
		if s.deaf && now.After(s.retryAt) {
			if err := t.resync(s, now); err != nil {
				return err
			}
		}
		if s.trouble != "" && s.snap == nil && !s.retryAt.IsZero() && now.After(s.retryAt) {
			t.seed(s, s.win.base, vma.Healed)
		}
		if !s.auditAt.IsZero() && now.After(s.auditAt) {
			t.audit(s)
		}
		if t.opt.Audit > 0 && s.ready {
			if n := s.auditable(); n != s.audited {
				t.wantAudit(s, now, untracedEvery)
			}
			if now.Sub(s.lastAudit) > t.opt.Audit {
				t.wantAudit(s, now, 0)
			}
		}
	}
	if err := t.sweepStacks(now); err != nil {
		return err
	}
	if now.After(t.scanAt) {
		t.scanAt = now.Add(time.Second)
		t.syncClock()
		if err := t.scan(now); err != nil {
			return err
		}
	}
	if now.After(t.skipsAt) {
		t.skipsAt = now.Add(10 * time.Second)
		t.countSkips(now)
	}
	return nil
}

// countSkips asks the kernel how many of our programs it skipped (it tells
// since 5.12). If it skipped both programs of one call nothing else tells: every
// space is audited. It is a bpf(2) call for each program, so it is made rarely.
func (t *Tracer) countSkips(now time.Time) {
	var n uint64
	for _, c := range t.progs {
		for _, p := range c.Programs {
			if st, err := p.Stats(); err == nil {
				n += st.RecursionMisses
			}
		}
	}
	if n == t.skips {
		return
	}
	t.skips = n
	for _, s := range t.bySlot {
		t.wantAudit(s, now, untracedEvery)
	}
}

// checkGap decides whether the number that s waits for is on its way or lost.
func (t *Tracer) checkGap(s *Space, now time.Time) {
	if s.deaf || !s.ready {
		return
	}
	lost := losses(s.state)
	waiting := s.win.held > 0 || atomic.LoadUint64(&s.state.Lockseq) > s.win.base
	switch {
	case !waiting:
		s.stalled = time.Time{}
		s.lossSeen = lost
	case lost != s.lossSeen:
		s.lossSeen = lost
		t.lose(s)
	case s.idleSeq > s.win.base && t.drained(): // reported, the ring was read, and it is not there
		t.lose(s)
	case s.stalled.IsZero():
		s.stalled = now
	case now.Sub(s.stalled) > flightTime:
		t.lose(s)
	}
}

// resync makes the model anew after a loss. It needs an instant at which every
// number drawn has been reported: then all changes so far are in the map, and
// all reports that are not lost are in the ring.
func (t *Tracer) resync(s *Space, now time.Time) error {
	s.snap = nil
	seq, ok := quiet(s.state)
	for deadline := now.Add(quietTime); !ok && time.Now().Before(deadline); seq, ok = quiet(s.state) {
	}
	if !ok && t.stuck(s, now) {
		ok = true // what is still out was skipped by the kernel: no report will come
	}
	if !ok {
		s.trouble = "events were lost, and no instant without a call in flight was found yet"
		s.retryAt = time.Now().Add(time.Second)
		return nil
	}
	for t.note(); !t.drained(); {
		if err := t.read(time.Now()); err != nil {
			return err
		}
	}
	late := s.late
	s.late = nil
	missing, runs := s.win.skip(seq, func(r *record) { late = append(late, *r) })
	s.Events.Lost += missing
	s.Events.Gaps += runs
	s.Events.Resyncs++
	s.trouble = ""
	s.retryAt = time.Time{}
	s.lossSeen = losses(s.state)
	s.stalled = time.Time{}
	t.seed(s, seq, vma.Healed)
	for i := range late {
		t.claim(s, &late[i])
	}
	return nil
}

// stuck reports whether the same numbers have been out for longer than any call
// takes while no other was drawn: their threads stand still behind a report
// that the kernel skipped.
func (t *Tracer) stuck(s *Space, now time.Time) bool {
	drawn, done := atomic.LoadUint64(&s.state.Lockseq), atomic.LoadUint64(&s.state.Completed)
	if drawn != s.outDrawn || done != s.outDone {
		s.outDrawn, s.outDone, s.outSince = drawn, done, now
	}
	return now.Sub(s.outSince) > flightTime
}

// wantAudit schedules an audit, no sooner than every after the last one.
func (t *Tracer) wantAudit(s *Space, now time.Time, every time.Duration) {
	if t.opt.Audit < 0 && !s.settling {
		return
	}
	at := s.lastAudit.Add(every)
	if at.Before(now) {
		at = now
	}
	if s.auditAt.IsZero() || at.Before(s.auditAt) {
		s.auditAt = at
	}
}

// audit begins a comparison with /proc/PID/maps.
func (t *Tracer) audit(s *Space) {
	if s.snap != nil || s.deaf || !s.ready || s.trouble != "" {
		return
	}
	s.auditAt = time.Time{}
	s.audited = s.auditable()
	truth, s1, err := t.readMaps(s)
	if err != nil {
		s.lastAudit = time.Now()
		return
	}
	s.snap = &snapshot{kind: audit, s0: s.win.base, s1: s1, truth: truth}
	if s.snap.done(s.win.base) {
		t.snapped(s)
	}
}

// compare ends an audit. What was in doubt is taken from the map at once, as
// far as this audit is sure itself; other differences must show in two audits
// running to count as drift.
func (t *Tracer) compare(s *Space, n *snapshot) {
	s.Events.Audits++
	if sure := s.dirty.minus(n.doubt); len(sure) > 0 {
		_, d := s.vm.Reconcile(n.truth, sure, s.origin)
		t.h.Apply(s, &vma.Event{Time: time.Now().UnixNano()}, d)
		s.dirty = s.dirty.and(n.doubt)
	}
	t.settled(s)
	var diffs []vma.Difference
	for _, d := range s.vm.Diff(n.truth) {
		for _, r := range (ranges{d.Range}).minus(n.doubt).minus(s.dirty) {
			diffs = append(diffs, vma.Difference{Range: r, Have: d.Have, Want: d.Want})
		}
	}
	var drift ranges
	for _, d := range diffs {
		for _, p := range s.prior {
			if in := d.Intersect(p.Range); !in.Empty() && p.Have == d.Have && p.Want == d.Want {
				drift = drift.add(in)
				s.Events.DriftBytes += in.Len()
			}
		}
	}
	s.prior = diffs
	if len(diffs) > 0 {
		t.wantAudit(s, time.Now(), dirtyEvery)
	}
	if len(drift) > 0 {
		_, d := s.vm.Reconcile(n.truth, drift, vma.Healed)
		t.h.Apply(s, &vma.Event{Time: time.Now().UnixNano()}, d)
	}
}
