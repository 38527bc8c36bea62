package tracer

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"vmaleak/bpf"
	"vmaleak/vma"
)

// dispatch sends one record where it belongs.
func (t *Tracer) dispatch(e *bpf.Event) error {
	switch e.Op {
	case bpf.OpExec:
		t.execed(e)
		return nil
	case bpf.OpExit:
		t.exited(e)
		return nil
	}
	s := t.bySlot[e.Space]
	if s == nil || s.gen != e.Gen {
		s = t.unknown(e)
		if s == nil {
			return nil
		}
	}
	s.Events.Received++
	switch e.Op {
	case bpf.OpEnd:
		t.end(s, time.Unix(0, int64(e.TimeNs)+t.boot))
		return nil
	case bpf.OpShare:
		t.share(s, int(e.Ret))
		return nil
	case bpf.OpBlock, bpf.OpUnblock:
		return t.block(s, e)
	}
	r := &t.current
	*r = t.record(e)
	if e.Stack > bpf.StackTaken {
		r.ev.Stack = uint32(e.Stack - bpf.StackTaken)
	} else if e.Stack == bpf.StackTaken {
		var err error
		if r.ev.Stack, err = t.claimStack(s, e); err != nil {
			return err
		}
	}
	if e.Op == bpf.OpFork {
		r.fork, r.child, r.childGen = true, uint32(e.Addr), uint32(e.Len)
		if r.child != 0 {
			c := t.newSpace(r.child, r.childGen, int(e.Ret))
			c.Parent, c.Since = s.ID, time.Unix(0, r.ev.Time)
		}
	}
	if t.Backend.Mode == EnterExit {
		t.plain(s, e, r)
	} else {
		t.order(s, r, e.Fresh != 0)
	}
	return nil
}

// unknown is a record of a space that nobody announced: the fork or exec that
// did was lost. The space is seeded by itself.
func (t *Tracer) unknown(e *bpf.Event) *Space {
	if t.ignored == (bpf.SpaceRef{Space: e.Space, Gen: e.Gen}) {
		return nil
	}
	st := &t.states.all[e.Space%uint32(len(t.states.all))]
	if st.Gen != e.Gen || e.Op == bpf.OpEnd {
		t.noSpace++
		return nil
	}
	s := t.newSpace(e.Space, e.Gen, int(st.Tgid))
	t.openSeeded(s)
	return s
}

// newSpace makes the space of a slot, or finds it. It is neither opened nor ready.
func (t *Tracer) newSpace(slot, gen uint32, pid int) *Space {
	if s := t.bySlot[slot]; s != nil {
		if s.gen == gen {
			return s
		}
		t.finish(s, time.Now()) // its end was lost
	}
	s := &Space{
		ID: t.id(pid), PIDs: []int{pid}, Exec: t.execs[pid], slot: slot, gen: gen, state: &t.states.all[slot],
		watched: t.opt.Audit > 0, vm: vma.New(t.vmopt), Since: time.Now(), exits: map[int]bool{}, plain: map[uint32]record{},
	}
	t.bySlot[slot] = s
	return s
}

// id names the next space of a process: "PID", then "PID.1" after exec or when the number is used again.
func (t *Tracer) id(pid int) string {
	n := t.ids[pid]
	t.ids[pid]++
	if n == 0 {
		return fmt.Sprint(pid)
	}
	return fmt.Sprintf("%d.%d", pid, n)
}

// openSeeded announces a space whose model must come from /proc/PID/maps.
func (t *Tracer) openSeeded(s *Space) {
	if !s.opened {
		s.opened = true
		t.h.Open(s)
	}
	t.seed(s, s.win.base, vma.PreExisting)
}

// forked is called in the parent's order: the child's space is the parent's as it is now.
func (t *Tracer) forked(parent *Space, r *record, whole bool) {
	if r.child == 0 {
		t.register(parent) // no slot, or the parent was not registered when it forked
		return
	}
	c := t.bySlot[r.child]
	if c == nil || c.gen != r.childGen || c.opened {
		return
	}
	if !whole || atomic.LoadUint64(&parent.state.Dontfork) > 0 {
		c.vm = parent.vm.Fork()
		c.opened = true
		t.h.Open(c)
		t.seed(c, c.win.base, vma.Healed)
	} else {
		c.vm = parent.vm.Fork()
		c.opened, c.ready = true, true
		c.trouble = parent.trouble
		c.lastAudit = time.Now()
		t.h.Open(c)
	}
	t.run(c)
	if c.gone() {
		t.settleEnd(c, time.Now())
	}
}

// share adds a thread group to a space: vfork, or clone with CLONE_VM alone.
func (t *Tracer) share(s *Space, pid int) {
	delete(s.exits, pid) // the number may have been another's
	if !slices.Contains(s.PIDs, pid) {
		s.PIDs = append(s.PIDs, pid)
	}
}

// execed begins the space of a new image and takes its process from the old one.
func (t *Tracer) execed(e *bpf.Event) {
	pid := int(e.Ret)
	old := t.bySlot[uint32(e.Addr)]
	if old != nil && old.gen == uint32(e.Len) {
		old.exits[pid] = true
		if old.endedBy == "" || old.PID() == pid {
			old.endedBy = "exec"
		}
		t.execs[pid]++
	} else if e.Addr != 0 {
		t.execs[pid]++
	}
	s := t.newSpace(e.Space, e.Gen, pid)
	s.Since = time.Unix(0, int64(e.TimeNs)+t.boot)
	s.Events.Received++
	var comm [16]byte
	binary.NativeEndian.PutUint64(comm[:8], e.NewLen)
	binary.NativeEndian.PutUint64(comm[8:], e.Target)
	s.Comm, _, _ = strings.Cut(string(comm[:]), "\x00")
	t.openSeeded(s)
	if old != nil && old.gone() {
		t.settleEnd(old, time.Now())
	}
}

// exited notes how a thread group ended; its space ends by itself.
func (t *Tracer) exited(e *bpf.Event) {
	by := "exit"
	switch {
	case e.Flags&1 != 0:
		by = "oom"
	case e.Ret&0x7f != 0:
		by = "signal"
	}
	delete(t.execs, int(e.Tgid))
	s := t.bySlot[e.Space]
	if s == nil || s.gen != e.Gen {
		return
	}
	s.Events.Received++
	s.exits[int(e.Tgid)] = true
	if s.endedBy == "" || s.PID() == int(e.Tgid) {
		s.endedBy = by
	}
	if s.gone() {
		t.settleEnd(s, time.Now())
	}
}

// end is called when the kernel tears the space down: no record of it comes after.
func (t *Tracer) end(s *Space, at time.Time) {
	s.ended = at
	t.settleEnd(s, time.Now())
}

// settleEnd finishes an ended space once it is known why it ended, or after a while.
func (t *Tracer) settleEnd(s *Space, now time.Time) {
	if !s.opened && now.Sub(s.ended) < 2*time.Second { // the parent's fork is not applied yet
		return
	}
	if s.endedBy == "" && now.Sub(s.ended) < time.Second {
		return
	}
	t.finish(s, now)
}

func (t *Tracer) finish(s *Space, now time.Time) {
	if t.bySlot[s.slot] != s {
		return
	}
	if !s.opened {
		s.opened = true
		t.h.Open(s)
		s.trouble = "it was gone before its map could be read"
	}
	s.counters()
	if missing, runs := s.win.skip(s.win.top, func(r *record) { t.apply(s, r) }); missing > 0 {
		s.Events.Lost += missing
		s.Events.Gaps += runs
		s.trouble = "events were lost and the process ended before they were made up for"
	} else if s.deaf {
		s.trouble = "events were lost and the process ended before they were made up for"
	} else if s.snap != nil && s.snap.kind != audit && s.trouble == "" {
		s.trouble = "it ended before the comparison with /proc/PID/maps was complete"
	}
	s.snap = nil
	if s.ended.IsZero() {
		s.ended = now
	}
	by := s.endedBy
	if by == "" {
		by = "exit"
	}
	t.h.End(s, s.ended, by)
	t.leaveMalloc(s)
	t.free(s)
}
