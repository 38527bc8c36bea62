package strace

import (
	"container/heap"

	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

// next takes out the record whose turn it is: the earliest, with two
// exceptions that the addresses prove, since a call's end is known only as its
// start and duration, and strace takes the latter a little later:
//
//   - A call got memory from which an mremap that is under way moves away: the mremap goes first.
//   - An mmap without MAP_FIXED got memory that is still mapped, and another
//     thread is about to release it: the release goes first.
func (m *Merger) next() mergeHead {
	for {
		h := heap.Pop(&m.heads).(mergeHead)
		rec := h.reader.cur
		if h.at < rec.Event.Time { // an mremap comes up first when it begins
			h.at = rec.Event.Time
			heap.Push(&m.heads, h)
			m.moving++
			continue
		}
		if i := m.earlier(h); i >= 0 {
			o := heap.Remove(&m.heads, i).(mergeHead)
			heap.Push(&m.heads, h)
			m.begun(o)
			o.reader.cur.Event.Time = min(o.reader.cur.Event.Time, rec.Event.Time)
			return o
		}
		m.begun(h)
		return h
	}
}

// begun forgets that the mremap of h is under way, if it is one.
func (m *Merger) begun(h mergeHead) {
	if movesAway(h.reader.cur) && h.at == h.reader.cur.Event.Time {
		m.moving--
	}
}

// earlier is the head that must come before h, -1 if there is none.
func (m *Merger) earlier(h mergeHead) int {
	rec := h.reader.cur
	if rec.Kind != Call || rec.Event.Failed() || rec.AddressUnknown || rec.Event.Op != vma.OpMmap && rec.Event.Op != vma.OpMremap {
		return -1
	}
	if m.moving > 0 && !movesAway(rec) {
		for i, o := range m.heads.list {
			if o.reader != h.reader && o.at == o.reader.cur.Event.Time && movesAway(o.reader.cur) && takesSource(rec, o.reader.cur) {
				return i
			}
		}
	}
	if rec.Event.Op != vma.OpMmap || rec.Event.Flags&unix.MAP_FIXED != 0 {
		return -1
	}
	model := m.models[m.tracker.space(rec.TID)]
	got := vma.Range{Start: uint64(rec.Event.Ret), End: uint64(rec.Event.Ret) + pages(rec.Event.Len)}
	if model == nil || !overlapsAny(model, got) {
		return -1
	}
	for i, o := range m.heads.list {
		ev := &o.reader.cur.Event
		if o.reader.cur.Kind != Call || ev.Failed() || ev.Op != vma.OpMunmap && ev.Op != vma.OpMremap {
			continue
		}
		if got.Overlaps(vma.Range{Start: ev.Addr, End: ev.Addr + pages(ev.Len)}) {
			return i
		}
	}
	m.stats.Conflicts++
	return -1
}

// movesAway reports whether rec is an mremap that was under way for a known time.
func movesAway(rec *Record) bool {
	return rec.Kind == Call && rec.Event.Op == vma.OpMremap && !rec.Event.Failed() && rec.Duration > 0 && rec.Start != 0
}

// model keeps what is mapped in each space, for earlier.
func (m *Merger) model(rec *Record) {
	switch rec.Kind {
	case Call:
		s := m.models[rec.Space]
		if s == nil {
			s = vma.New(vma.Options{})
			m.models[rec.Space] = s
		}
		if !rec.AddressUnknown {
			ev := rec.Event
			applyKnown(s, &ev)
		}
	case Fork:
		if s := m.models[rec.Space]; s != nil && !rec.Shared {
			m.models[rec.ChildSpace] = s.Clone()
		}
	case Exec:
		m.forget(rec.Left)
	case Exit:
		m.forget(rec.Space)
	}
}

// forget drops the model of a space that the tracker has dropped.
func (m *Merger) forget(space uint32) {
	if m.tracker.spaces[space] == nil && space != m.tracker.root {
		delete(m.models, space)
	}
}
