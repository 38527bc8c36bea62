package leak

import (
	"time"

	"vmaleak/vma"
)

// inMemory is what of some rows is in memory, in bytes.
type inMemory struct {
	resident, swap, huge uint64
	unread               uint64 // committed bytes of which nothing is known
	hugeUnknown          bool
}

func (m *inMemory) add(o *inMemory) {
	m.resident += o.resident
	m.swap += o.swap
	m.huge += o.huge
	m.unread += o.unread
	m.hugeUnknown = m.hugeUnknown || o.hugeUnknown
}

// whole is resident, nil if something was not read.
func (m *inMemory) whole() *uint64 {
	if m.unread > 0 {
		return nil
	}
	n := m.resident
	return &n
}

// pages hands out the counted pages of rows that are asked for in order of address.
type pages struct {
	list   []Pages
	next   int
	oldest time.Time
}

// of is what is in memory of committed addresses, which must not lie below those asked for last.
func (p *pages) of(r vma.Range) (m inMemory) {
	for p.next < len(p.list) && p.list[p.next].Start < r.Start {
		p.next++
	}
	m.unread = r.Len()
	for ; p.next < len(p.list) && p.list[p.next].End <= r.End; p.next++ {
		c := &p.list[p.next]
		n := c.Len()
		if c.Empty() || m.unread < n || c.Resident > n || c.Swap > n-c.Resident || c.Huge > c.Resident {
			continue
		}
		m.add(&inMemory{resident: c.Resident, swap: c.Swap, huge: c.Huge, hugeUnknown: c.HugeUnknown})
		m.unread -= n
		if p.oldest.IsZero() || c.At.Before(p.oldest) {
			p.oldest = c.At
		}
	}
	return m
}

// Cuts yields the parts of the committed rows of s, in order, of which Pages
// should tell: rows that nobody is known to have mapped are cut where regions, or heaps of malloc, may begin.
func (s *Space) Cuts(regions []Region) []vma.Range {
	var list []vma.Range
	if s.vm == nil {
		return list
	}
	regions = sorted(regions)
	for a := range s.vm.Exported() {
		if a.Committed() == 0 {
			continue
		}
		if a.Op != 0 {
			list = append(list, a.Range)
			continue
		}
		for len(regions) > 0 && regions[0].End <= a.Start {
			regions = regions[1:]
		}
		at := a.Start
		for i := 0; at < a.End; {
			end := a.End
			if next := at&^(arenaSize-1) + arenaSize; next > at {
				end = min(end, next)
			}
			for ; i < len(regions) && regions[i].Start < a.End; i++ {
				if r := &regions[i]; r.Start > at {
					end = min(end, r.Start)
					break
				} else if r.End > at {
					end = min(end, r.End)
					break
				}
			}
			list = append(list, vma.Range{Start: at, End: end})
			at = end
		}
	}
	return list
}

// minBlock is the least that malloc maps for itself.
const minBlock = 128 << 10

// Untold yields the parts of the committed rows of s, in order, of which
// neither regions nor a stack tell what they are for, and which may hold blocks that malloc mapped for itself.
func (s *Space) Untold(regions []Region) []vma.Range {
	var list []vma.Range
	if s.vm == nil {
		return list
	}
	regions = sorted(regions)
	add := func(start, end uint64) {
		if start < end && end-start >= minBlock {
			list = append(list, vma.Range{Start: start, End: end})
		}
	}
	for a := range s.vm.Exported() {
		if a.Prot != vma.ProtRead|vma.ProtWrite || a.Kind != vma.Anon || a.Op != 0 && (a.Op != vma.OpMmap || s.ledger.stackOf(a.Stack) != 0) {
			continue
		}
		for len(regions) > 0 && regions[0].End <= a.Start {
			regions = regions[1:]
		}
		at := a.Start
		for i := 0; i < len(regions) && regions[i].Start < a.End; i++ {
			add(at, regions[i].Start)
			at = max(at, regions[i].End)
		}
		add(at, a.End)
	}
	return list
}
