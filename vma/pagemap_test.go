package vma

import (
	"fmt"
	"maps"

	"golang.org/x/sys/unix"
)

// pagemap is the first oracle: an address space with one entry per page, in
// which every call is a loop over pages. It shares no code with Space.
type pagemap struct {
	pages [pagemapLen]page
	brk   int
}

// page is one page: kind 0 is a hole. Offset is the page's place in its shared
// memory segment.
type page struct {
	kind   Kind
	prot   Prot
	owner  Owner
	seg    uint64 // call that attached the segment, 0 none
	offset int
	segLen int
}

const (
	pagemapBase = 0x10000000
	pagemapLen  = 512
	pagemapHeap = 300 // first page of the heap
	pageBytes   = 4096
)

func pageAddr(i int) uint64 { return pagemapBase + uint64(i)*pageBytes }

// key is what the sums of deltas are kept by: brk and mprotect rows of one
// thread and stack may have been merged.
func (o Owner) key() Owner {
	if o.Op == OpBrk || o.Op == OpMprotect {
		return Owner{Op: o.Op, Thread: o.Thread, Stack: o.Stack, Origin: o.Origin}
	}
	return o
}

// sums is the exported bytes of each owner, and under the zero Owner the committed bytes.
func (m *pagemap) sums() map[Owner]int64 {
	out := map[Owner]int64{}
	var run Owner // of the pages just before
	var bytes, committed int64
	for _, p := range m.pages {
		if !p.kind.Exported() {
			continue
		}
		if p.owner != run {
			out[run.key()] += bytes
			run, bytes = p.owner, 0
		}
		bytes += pageBytes
		if p.prot != 0 {
			committed += pageBytes
		}
	}
	out[run.key()] += bytes
	out[Owner{}] += committed
	return out
}

// acquired is the owner of what ev acquires.
func acquired(ev *Event, pages int) Owner {
	o := Owner{Call: ev.Seq, At: ev.Time, Acquired: uint64(pages) * pageBytes, Thread: ev.Thread, Stack: ev.Stack, Calls: 1, Op: ev.Op, Origin: Traced}
	switch ev.Op {
	case OpMmap:
		o.Flags = ev.Flags
	case OpPkeyMprotect:
		o.Op = OpMprotect
	}
	return o
}

func (m *pagemap) mmap(ev *Event, at, n int) {
	for i := range n {
		m.pages[at+i] = page{kind: Opaque, prot: Prot(ev.Prot)}
		if ev.Flags&unix.MAP_ANONYMOUS != 0 && ev.Flags&unix.MAP_SHARED == 0 {
			m.pages[at+i] = page{kind: Anon, prot: Prot(ev.Prot), owner: acquired(ev, n)}
		}
	}
}

func (m *pagemap) munmap(at, n int) { clear(m.pages[at : at+n]) }

func (m *pagemap) mprotect(ev *Event, at, n int) {
	committed := 0
	for _, p := range m.pages[at : at+n] {
		if p.kind.Exported() && p.prot == 0 && ev.Prot != 0 {
			committed++
		}
	}
	for i := range n {
		p := &m.pages[at+i]
		switch {
		case p.kind == 0:
			if ev.Failed() {
				return
			}
			continue
		case p.kind.Exported() && p.prot == 0 && ev.Prot != 0:
			p.owner = acquired(ev, committed)
		}
		p.prot = Prot(ev.Prot)
	}
}

func (m *pagemap) setBrk(ev *Event, to int) {
	for i := m.brk; i < to; i++ {
		m.pages[i] = page{kind: Heap, prot: 3, owner: acquired(ev, to-m.brk)}
	}
	for i := to; i < m.brk; i++ {
		m.pages[i] = page{}
	}
	m.brk = to
}

// mremap is for the calls that canMremap admits.
func (m *pagemap) mremap(ev *Event, src, n, dst, to int, keep bool) {
	if n == 0 {
		for i := range to {
			m.pages[dst+i] = m.pages[src]
			m.pages[dst+i].offset += i
		}
		return
	}
	for i := to; i < n; i++ {
		m.pages[src+i] = page{}
	}
	kept, moves := min(n, to), dst != src
	anon := 0
	var pieces []page
	for i := range kept {
		pieces = append(pieces, m.pages[src+i])
		if m.pages[src+i].kind.Exported() {
			anon++
		}
	}
	last := m.pages[src+kept-1]
	if moves {
		for i, p := range pieces {
			if !keep {
				m.pages[src+i] = page{}
			} else if p.kind.Exported() {
				m.pages[src+i].owner = acquired(ev, anon)
			}
			if p.kind == 0 {
				continue // leaves the target as it is
			}
			if p.kind == Stack {
				p.owner = Owner{Origin: PreExisting}
			}
			if p.kind != Opaque {
				p.kind = Anon
			}
			m.pages[dst+i] = p
		}
	}
	for i := kept; i < to; i++ {
		p := last
		p.offset += i - kept + 1
		if p.kind.Exported() || p.kind == Stack && moves {
			p.kind, p.owner = Anon, acquired(ev, to-kept)
		}
		m.pages[dst+i] = p
	}
}

// canMremap says whether the kernel could do this: a resized source is one area.
func (m *pagemap) canMremap(src, n, dst, to int, fixed, keep bool) bool {
	p := m.pages[src]
	switch {
	case p.kind == 0 || src+max(n, 1) > pagemapLen || dst+to > pagemapLen || to == 0:
		return false
	case p.seg != 0 && p.offset+to > p.segLen: // beyond its end: the kernel oracle's
		return false
	case n == 0 && p.kind != Opaque, keep && n != to:
		return false
	case (dst != src || keep) && dst < src+n && src < dst+to:
		return false
	}
	for i := range n {
		q := m.pages[src+i]
		if n != to && i < to && (q.kind != p.kind || q.prot != p.prot || q.seg != p.seg) {
			return false
		}
	}
	for i := range to {
		inPlace := dst == src && i < n
		if !fixed && !inPlace && m.pages[dst+i].kind != 0 {
			return false
		}
	}
	return true
}

func (m *pagemap) shmat(ev *Event, at, n int) {
	for i := range n {
		m.pages[at+i] = page{kind: Opaque, prot: 3, seg: ev.Seq, offset: i, segLen: n}
	}
}

// shmdt removes the pages of the first segment whose first page is, or would be, at.
func (m *pagemap) shmdt(at int) bool {
	seg := uint64(0)
	for i := at; i < pagemapLen; i++ {
		p := &m.pages[i]
		if p.seg == 0 || i-p.offset != at || seg != 0 && p.seg != seg {
			continue
		}
		seg = p.seg
		*p = page{}
	}
	return seg != 0
}

// compare returns an error where s is not m: coverage, kind, protection and
// owner of each page, and rows as long as may be.
func (m *pagemap) compare(s *Space) error {
	at := 0
	var prev Area
	for a := range s.All() {
		i, j := int((a.Start-pagemapBase)/pageBytes), int((a.End-pagemapBase)/pageBytes)
		for ; at < i; at++ {
			if m.pages[at].kind != 0 {
				return fmt.Errorf("page %d: a hole, want %+v", at, m.pages[at])
			}
		}
		for ; at < j; at++ {
			p := m.pages[at]
			if a.Kind != p.kind || a.Prot != p.prot {
				return fmt.Errorf("page %d: %v %v, want %v %v", at, a.Kind, a.Prot, p.kind, p.prot)
			}
			if a.Kind == Opaque && p.seg != 0 && (a.Call != p.seg || uint64(a.At) != pageAddr(at-p.offset)) {
				return fmt.Errorf("page %d: segment %d at %x, want %d at %x", at, a.Call, a.At, p.seg, pageAddr(at-p.offset))
			}
			if !a.Kind.Exported() {
				continue
			}
			if a.Owner.key() != p.owner.key() {
				return fmt.Errorf("page %d: owner %+v, want %+v", at, a.Owner, p.owner)
			}
			if a.Call > p.owner.Call || a.Calls == 0 && a.Origin == Traced {
				return fmt.Errorf("page %d: %d calls from %d on, want %d among them", at, a.Calls, a.Call, p.owner.Call)
			}
		}
		if prev.End == a.Start && mergeable(&prev, &a) {
			return fmt.Errorf("rows %v and %v are one", prev, a)
		}
		prev = a
	}
	for ; at < pagemapLen; at++ {
		if m.pages[at].kind != 0 {
			return fmt.Errorf("page %d: a hole, want %+v", at, m.pages[at])
		}
	}
	return nil
}

// compareDelta returns an error where d is not the change from before to after, owner by owner.
func compareDelta(d *Delta, before, after map[Owner]int64) error {
	got := map[Owner]int64{}
	add := func(list []Area, sign int64) {
		for _, a := range list {
			got[a.Owner.key()] += sign * int64(a.Len())
			got[Owner{}] += sign * int64(a.Committed())
		}
	}
	add(d.Acquired, 1)
	add(d.Released, -1)
	for _, a := range d.Decommitted {
		got[Owner{}] -= int64(a.Committed())
	}
	want := maps.Clone(after)
	for o, n := range before {
		want[o] -= n
	}
	zero := func(_ Owner, n int64) bool { return n == 0 }
	maps.DeleteFunc(got, zero)
	maps.DeleteFunc(want, zero)
	if !maps.Equal(got, want) {
		return fmt.Errorf("delta %v, want %v", got, want)
	}
	return nil
}
