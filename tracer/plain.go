package tracer

import (
	"time"

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
		s.deaf = true
		s.plain = map[uint32]record{}
		t.resync(s, time.Now(), false)
	}
	if r.fork {
		t.forked(s, r, s.trouble == "")
		return
	}
	if e.Phase == bpf.PhaseEnter {
		if r.ev.Op == vma.OpMunmap && r.ev.Addr%t.vmopt.PageSize == 0 && r.ev.Len != 0 {
			t.plainApply(s, r) // as if it succeeded: the exit record tells
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
	if enter.ev.Op == vma.OpMunmap {
		if r.ev.Failed() {
			t.soil(s, []vma.Range{{Start: enter.ev.Addr, End: enter.ev.Addr + enter.ev.Len}})
		}
		return
	}
	t.plainApply(s, &enter)
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
