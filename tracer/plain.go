package tracer

import (
	"vmaleak/bpf"
	"vmaleak/vma"
)

// plain takes a record of the enter-exit back end. Enter records carry the
// arguments, exit records the result; what a call releases counts from its
// beginning, so that another thread's call that reuses the range comes after.
func (t *Tracer) plain(s *Space, e *bpf.Event, r *record) {
	if lost := losses(s.state); lost != s.lossSeen {
		s.Events.Lost += lost - s.lossSeen
		s.Events.Gaps++
		s.lossSeen = lost
		s.Events.Resyncs++
		s.plain = map[uint32]record{}
		t.seed(s, s.win.base, vma.Healed)
	}
	if r.fork {
		t.forked(s, r, s.trouble == "")
		return
	}
	if e.Phase == bpf.PhaseEnter {
		if gone := t.released(&r.ev); !gone.Empty() { // as if it succeeded: the exit record tells
			early := record{ev: r.ev, tgid: r.tgid}
			early.ev.Op, early.ev.Addr, early.ev.Len, early.ev.Ret = vma.OpMunmap, gone.Start, gone.Len(), 0
			t.plainApply(s, &early)
			r.gone = gone
		}
		s.plain[e.Tid] = *r
		return
	}
	enter, ok := s.plain[e.Tid]
	delete(s.plain, e.Tid)
	if !ok || enter.ev.Op != r.ev.Op {
		if !r.ev.Failed() {
			t.unnumberedPlain(s)
		}
		return
	}
	enter.ev.Ret, enter.ev.Time = r.ev.Ret, r.ev.Time
	failed := r.ev.Failed() || enter.ev.Op == vma.OpBrk && uint64(r.ev.Ret) != enter.ev.Target
	if failed && !enter.gone.Empty() {
		t.soil(s, []vma.Range{enter.gone})
	}
	if enter.ev.Op == vma.OpMunmap || enter.ev.Op == vma.OpBrk && !enter.gone.Empty() {
		return
	}
	if enter.overrun && !r.ev.Failed() {
		// Another thread was given the source before we heard that it had
		// moved: what moved where is for /proc to say.
		t.soil(s, []vma.Range{{Start: uint64(enter.ev.Ret), End: uint64(enter.ev.Ret) + enter.ev.NewLen}})
		return
	}
	if enter.ev.Op == vma.OpMmap && !r.ev.Failed() {
		overrun(s, vma.Range{Start: uint64(enter.ev.Ret), End: uint64(enter.ev.Ret) + enter.ev.Len})
	}
	t.plainApply(s, &enter)
}

// released is what a call that begins will have released if it succeeds, as
// far as its arguments tell.
func (t *Tracer) released(ev *vma.Event) vma.Range {
	page := t.vmopt.PageSize
	up := func(n uint64) uint64 { return (n + page - 1) &^ (page - 1) }
	r := vma.Range{Start: ev.Addr, End: ev.Addr + up(ev.Len)}
	switch {
	case ev.Op == vma.OpBrk && ev.Target != 0:
		r = vma.Range{Start: up(ev.Target), End: up(ev.Addr)}
	case ev.Addr%page != 0:
		return vma.Range{}
	case ev.Op == vma.OpMunmap:
	case ev.Op == vma.OpMremap && ev.NewLen != 0:
		r.Start = ev.Addr + up(ev.NewLen)
	default:
		return vma.Range{}
	}
	if r.Empty() {
		return vma.Range{}
	}
	return r
}

// overrun marks the mremaps under way whose source is in r.
func overrun(s *Space, r vma.Range) {
	for tid, p := range s.plain {
		if src := (vma.Range{Start: p.ev.Addr, End: p.ev.Addr + p.ev.Len}); p.ev.Op == vma.OpMremap && src.Overlaps(r) {
			p.overrun = true
			s.plain[tid] = p
		}
	}
}

// unnumberedPlain is a call that began before its space was registered.
func (t *Tracer) unnumberedPlain(s *Space) {
	if s.ready {
		t.seed(s, s.win.base, vma.Healed)
	}
}

func (t *Tracer) plainApply(s *Space, r *record) {
	s.win.base++
	r.ev.Seq = s.win.base
	t.apply(s, r)
}
