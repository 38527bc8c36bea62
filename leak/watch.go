package leak

import (
	"fmt"

	"vmaleak/vma"
)

// turnover is what has gone of the memory from before the trace, by class of
// call: what comes for it is no growth.
type turnover struct {
	bytes uint64
	track track
}

// The classes of what is not mapped as one block.
const (
	classBrk   = 254
	classArena = 255
)

// replaced remembers that ev released or uncommitted a, of no thread's account.
func (s *Space) replaced(ev *vma.Event, a *vma.Area) {
	n := a.Committed()
	if a.Origin != vma.PreExisting && a.Origin != vma.Inherited {
		return
	}
	class := sizeClass(a.Len())
	switch ev.Op {
	case vma.OpMunmap, vma.OpMremap:
	case vma.OpBrk:
		class = classBrk
	case vma.OpMprotect, vma.OpPkeyMprotect:
		if ev.Prot != 0 {
			return // a reservation from before the trace that is put to use
		}
		n, class = a.Len(), classArena
	default:
		return
	}
	if n == 0 {
		return
	}
	if s.turnover == nil {
		s.turnover = map[uint8]*turnover{}
	}
	t := s.turnover[class]
	if t == nil {
		t = &turnover{}
		s.turnover[class] = t
	}
	t.bytes += n
	t.track.add(max(ev.Time, s.lastAt), int64(t.bytes), 0)
}

// turnoverOf is the turnover of a kind.
func (s *Space) turnoverOf(k kind) *turnover {
	switch {
	case k.category == inBlocks:
		return nil
	case k.category == BrkHeap:
		return s.turnover[classBrk]
	case k.category == MallocArena:
		return s.turnover[classArena]
	}
	return s.turnover[k.class]
}

// watch samples the groups if it is time to: as they are since the event that
// d is of, and as they were before it. A burst is seen whole only then.
func (s *Space) watch(at int64, d *vma.Delta) {
	before := s.booked
	s.booked = max(s.booked, at)
	if at < s.sampleNext || at <= s.sampledAt {
		return
	}
	if s.eye == nil {
		s.eye = &builder{s: s, h: &Header{}, e: &Entry{JVM: s.p.JVM}}
	}
	b := s.eye
	b.stacks = stacks{ask: s.ledger.opt.Stack, asked: map[uint32]*named{}}
	b.layout, b.shaped = nil, false
	all := s.rowsByKind(b, false)
	s.fold(all)
	if before > s.sampledAt && before < at {
		s.record(before, b.undone(all, d))
	}
	s.record(at, all)
}

// change is what one event did to a kind.
type change struct{ committed, outstanding, calls int64 }

// undone is all without what d did.
func (b *builder) undone(all map[kind]*sums, d *vma.Delta) map[kind]*sums {
	did := map[kind]change{}
	add := func(areas []vma.Area, sign int64, outstanding bool) {
		for i := range areas {
			a := &areas[i]
			if !owned(&a.Owner) {
				continue
			}
			k := b.s.kindOf(a, b.s.books(&a.Owner), b.category(a))
			c := did[k]
			if outstanding {
				c.outstanding += sign * int64(a.Len())
				c.committed += sign * int64(a.Committed())
				c.calls += sign
			} else {
				c.committed += sign * int64(a.Len())
			}
			did[k] = c
		}
	}
	add(d.Acquired, 1, true)
	add(d.Released, -1, true)
	add(d.Decommitted, -1, false)
	out := make(map[kind]*sums, len(all)+len(did))
	for k, g := range all {
		out[k] = g
	}
	less := func(v uint64, by int64) uint64 { return uint64(max(int64(v)-by, 0)) }
	for k, c := range did {
		g := sums{}
		if all[k] != nil {
			g = *all[k]
		}
		g.committed, g.outstanding, g.calls = less(g.committed, c.committed), less(g.outstanding, c.outstanding), less(g.calls, c.calls)
		out[k] = &g
	}
	return out
}

// look looks at the groups once more, with what the facts tell, for the verdict.
func (b *builder) look() {
	s := b.s
	for i, t := range b.list {
		if t == nil {
			continue
		}
		for c := range t.all() {
			s.regroup(c, b.poolOf(i, c))
		}
	}
	s.eye = &builder{s: s, h: b.h, e: &Entry{JVM: b.e.JVM, Malloc: b.e.Malloc}, regions: b.regions, purposes: b.purposes}
	at := max(b.at.UnixNano(), s.lastAt, s.sampledAt)
	b.sums = s.rowsByKind(b, true)
	s.fold(b.sums)
	s.record(at, b.sums)
	if m := b.e.Malloc; m != nil {
		for _, u := range m.Uses {
			t := s.free[u.Category]
			if t == nil {
				t = &track{}
				if s.free == nil {
					s.free = map[string]*track{}
				}
				s.free[u.Category] = t
			}
			t.add(at, int64(u.Free), 0)
		}
	}
}

// nameless is the pool of a thread of which nothing is known yet: one of its own.
func nameless(t vma.Thread) string {
	return fmt.Sprintf("\x00%d:%d", t.TID, t.Start)
}

// regroup makes t count to a pool. What was kept as long as it had no name goes along.
func (s *Space) regroup(t *thread, pool string) {
	if pool == t.group {
		return
	}
	before := t.group
	t.group = pool
	if before == "" || before[0] != 0 {
		return
	}
	for k, g := range s.groups {
		if k.pool != before {
			continue
		}
		delete(s.groups, k)
		k.pool = pool
		into := s.groups[k]
		if into == nil {
			into = &group{}
			s.groups[k] = into
		}
		into.level.merge(&g.level)
		into.calls.merge(&g.calls)
	}
}
