package main

import (
	"fmt"
	"slices"
	"time"

	"vmaleak/leak"
	"vmaleak/report"
	"vmaleak/vma"
)

// said is which export it is, for people.
func (k *known) said() string {
	if k.at == nil {
		return k.from
	}
	return k.from + " (" + k.at.Local().Format(time.TimeOnly) + ")"
}

// chooseKnown takes the mappings of a suspect; without any, of the group that holds most. Nil: none of it is there any more.
func (o *peekOptions) chooseKnown(space *vma.Space, k *known) (*choice, error) {
	e := k.entry
	c := &choice{}
	var rows []*leak.Mapping
	switch {
	case o.suspect <= len(e.Suspects):
		s := &e.Suspects[o.suspect-1]
		rows = ofSuspect(e, s)
		c.what = fmt.Sprintf("suspect %d", o.suspect)
		if s.Pool != nil {
			c.what += ", " + report.Line(*s.Pool, poolWidth)
		}
		if s.Category != nil {
			c.what += ", " + *s.Category
		}
		if n := len(e.Suspects); n > 1 {
			c.why = append(c.why, fmt.Sprintf("the first of %d suspects: --suspect N shows another", n))
			if o.suspect > 1 {
				c.why[0] = fmt.Sprintf("one of %d suspects", n)
			}
		}
	case o.suspect > 1:
		return nil, fmt.Errorf("peek --suspect %d: %s names %d suspects", o.suspect, k.from, len(e.Suspects))
	default:
		var pool string
		var size uint64
		rows, pool, size = largestTraced(e)
		c.what = fmt.Sprintf("what %s holds", report.Line(pool, poolWidth))
		if size > 0 {
			c.what += fmt.Sprintf(" in mappings of %s B", report.Exact(size))
		}
		c.why = append(c.why, "no suspect is named: this is the group that holds most of what was mapped under trace")
	}
	for _, m := range rows {
		r := rangeOf(m)
		for a := range space.Over(r) {
			if a.Kind.Exported() && a.Prot&vma.ProtRead != 0 {
				c.parts = append(c.parts, part{a.Intersect(r), m.MappedAt})
			}
		}
	}
	if len(c.parts) == 0 {
		return nil, nil
	}
	c.why = append(c.why, "by "+k.said())
	if k.at != nil && time.Since(*k.at) > time.Minute {
		c.why = append(c.why, "what was mapped since then is not in it")
	}
	return c, nil
}

// poolWidth bounds the names of pools, which the target chooses: they are shown in errors too.
const poolWidth = 64

// ofSuspect is the mappings that a suspect is made of: of its threads, sizes and category, and with its stack if most have that.
func ofSuspect(e *leak.Entry, s *leak.Suspect) []*leak.Mapping {
	var all, same []*leak.Mapping
	for i := range e.Mappings {
		m := &e.Mappings[i]
		switch {
		case !isHeld(m) || m.Thread == nil:
			continue
		case len(s.Threads) > 0 && !slices.Contains(s.Threads, *m.Thread):
			continue
		case s.Category != nil && m.Category != nil && *s.Category != *m.Category:
			continue
		case s.SizeClass.Max > 0 && m.AcquiredLength != nil && (*m.AcquiredLength < s.SizeClass.Min || *m.AcquiredLength > s.SizeClass.Max):
			continue
		}
		all = append(all, m)
		if s.Stack != nil && m.Stack != nil && *s.Stack == *m.Stack {
			same = append(same, m)
		}
	}
	if uint64(len(same))*2 >= s.Mappings && len(same) > 0 {
		return same
	}
	return all
}

// isHeld reports whether a mapping is memory that was mapped under trace.
func isHeld(m *leak.Mapping) bool {
	return m.Start != nil && m.Committed > 0 && (m.Origin == vma.Traced.String() || m.Origin == vma.Inferred.String())
}

// largestTraced is the rows of one pool and length that hold most.
func largestTraced(e *leak.Entry) (rows []*leak.Mapping, pool string, size uint64) {
	type key struct {
		pool string
		size uint64
	}
	held := map[key]uint64{}
	of := func(m *leak.Mapping) (k key) {
		k.pool = "one thread"
		if m.Thread != nil && *m.Thread < len(e.Threads) {
			if th := &e.Threads[*m.Thread]; th.Pool != nil {
				k.pool = *th.Pool
			} else if th.Comm != nil {
				k.pool = *th.Comm
			}
		}
		if m.AcquiredLength != nil {
			k.size = *m.AcquiredLength
		}
		return k
	}
	var best key
	for i := range e.Mappings {
		if m := &e.Mappings[i]; isHeld(m) && !ofTheVM(m) {
			k := of(m)
			held[k] += m.Committed
			if held[k] > held[best] || held[k] == held[best] && k.size > best.size {
				best = k
			}
		}
	}
	for i := range e.Mappings {
		if m := &e.Mappings[i]; isHeld(m) && !ofTheVM(m) && of(m) == best {
			rows = append(rows, m)
		}
	}
	return rows, best.pool, best.size
}

// ofTheVM reports whether a virtual machine uses a mapping for itself, or a thread for its stack.
func ofTheVM(m *leak.Mapping) bool {
	if m.Category == nil {
		return false
	}
	switch *m.Category {
	case leak.JavaHeap, leak.ClassSpace, leak.Metaspace, leak.CodeCache, leak.GC, leak.ThreadStack:
		return true
	}
	return false
}
