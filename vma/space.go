package vma

import (
	"fmt"
	"iter"
)

// Options is what a space must know of its kernel. The zero value is x86-64 Linux 6.17 or later.
type Options struct {
	PageSize    uint64 // bytes, 0 = 4096
	HugePage    uint64 // default huge page in bytes, 0 = 2 MiB
	FixedBreaks bool   // a failed MAP_FIXED or MREMAP_FIXED may have unmapped its target (before 6.17)
}

// Space models one address space: its areas, disjoint and in order of address.
// It is pure: no clock, no I/O. One goroutine owns it. The zero Space is not
// usable; see New.
type Space struct {
	Options
	StackStart uint64 // mm->start_stack: tells which part of the main stack is named [stack]

	rows  rows
	calls uint64 // events without a number that were applied: their calls' numbers
	call  uint64 // number of the event being applied
	delta Delta
	cut   []Area // scratch of remove
	moved []Area // scratch of move
}

// Delta is what one event did to anonymous memory. Its slices belong to the
// Space and hold until the next Apply or Reconcile.
type Delta struct {
	Released    []Area // pieces that left their owners
	Acquired    []Area // pieces that came, owned by the event's thread (or healed)
	Decommitted []Area // pieces as they were before they became PROT_NONE; their owner keeps them

	// Dirty are ranges that the event may have changed in a way it does not
	// tell: only /proc/PID/maps knows. Their areas stand as they were.
	Dirty []Range
}

func (d *Delta) reset() {
	d.Released, d.Acquired, d.Decommitted, d.Dirty = d.Released[:0], d.Acquired[:0], d.Decommitted[:0], d.Dirty[:0]
}

// Whole is every address, for a Delta.Dirty whose extent is unknown.
var whole = Range{0, ^uint64(0)}

// New makes an empty space.
func New(o Options) *Space {
	if o.PageSize == 0 {
		o.PageSize = 4096
	}
	if o.HugePage == 0 {
		o.HugePage = 2 << 20
	}
	return &Space{Options: o}
}

// Len is the number of rows.
func (s *Space) Len() int { return s.rows.n }

// All yields every area in order of address, opaque ones too. The space must
// not change meanwhile.
func (s *Space) All() iter.Seq[Area] { return s.Over(whole) }

// Over yields the areas that share an address with r, whole, in order of
// address. The space must not change meanwhile.
func (s *Space) Over(r Range) iter.Seq[Area] {
	return func(yield func(Area) bool) {
		for p := s.rows.seek(r.Start); !s.rows.end(p) && s.rows.span(p).Start < r.End; p = s.rows.next(p) {
			if !yield(s.rows.at(p)) {
				return
			}
		}
	}
}

// Exported yields the areas that an export lists: private anonymous memory,
// without the row that /proc names [stack].
func (s *Space) Exported() iter.Seq[Area] {
	named := s.namedStack()
	return func(yield func(Area) bool) {
		for a := range s.All() {
			if a.Kind == Stack && !named.Contains(a.Start) {
				a.Kind = Anon
			}
			if a.Kind.Exported() && !yield(a) {
				return
			}
		}
	}
}

// namedStack is the part of the main stack around StackStart with one
// protection: mprotect of another part splits the kernel's row, and only the
// row that holds StackStart keeps the name.
func (s *Space) namedStack() Range {
	p := s.rows.seek(s.StackStart)
	if s.rows.end(p) {
		return Range{}
	}
	named := s.rows.at(p)
	if named.Kind != Stack || !named.Contains(s.StackStart) {
		return Range{}
	}
	for q, ok := s.rows.prev(p); ok; q, ok = s.rows.prev(q) {
		a := s.rows.at(q)
		if a.Kind != Stack || a.Prot != named.Prot || a.End != named.Start {
			break
		}
		named.Start = a.Start
	}
	for q := s.rows.next(p); !s.rows.end(q); q = s.rows.next(q) {
		a := s.rows.at(q)
		if a.Kind != Stack || a.Prot != named.Prot || a.Start != named.End {
			break
		}
		named.End = a.End
	}
	return named.Range
}

// Fork is the child's space: a copy whose rows keep their owners' threads and
// stacks, as inherited.
func (s *Space) Fork() *Space {
	c := New(s.Options)
	c.StackStart, c.calls = s.StackStart, s.calls
	for a := range s.All() {
		if a.Kind != Opaque {
			a.Origin = Inherited
		}
		c.rows.insert(c.rows.last(), &a)
	}
	return c
}

// Clone is a copy of s that shares nothing with it that either changes: the
// two may live in different goroutines.
func (s *Space) Clone() *Space {
	return &Space{Options: s.Options, StackStart: s.StackStart, rows: s.rows.copy(), calls: s.calls}
}

// remove takes [r.Start, r.End) out and returns the pieces, valid until the next remove.
func (s *Space) remove(r Range) []Area {
	pieces, _ := s.removeAt(r)
	return pieces
}

// removeAt is remove, and tells the place of the first row behind r.
func (s *Space) removeAt(r Range) ([]Area, pos) {
	s.cut = s.cut[:0]
	p := s.rows.seek(r.Start)
	if r.Empty() {
		return s.cut, p
	}
	for !s.rows.end(p) {
		a := s.rows.at(p)
		if a.Start >= r.End {
			break
		}
		in := a
		in.Range = a.Intersect(r)
		s.cut = append(s.cut, in)
		switch {
		case a.Start < r.Start && a.End > r.End:
			s.rows.cutEnd(p, r.Start)
			a.Start = r.End
			s.rows.insert(s.rows.next(p), &a)
			return s.cut, s.rows.seek(r.End)
		case a.Start < r.Start:
			s.rows.cutEnd(p, r.Start)
			p = s.rows.next(p)
		case a.End > r.End:
			s.rows.cutStart(p, r.End)
			return s.cut, p
		default:
			b := s.rows.blocks[p.b].block
			j := p.i + 1
			for ; j < b.n && b.ranges[j].End <= r.End; j++ {
				s.cut = append(s.cut, b.area(j))
			}
			p = s.rows.remove(p, j)
		}
	}
	return s.cut, p
}

// insert puts a into a hole, merged with neighbours where their rows say the same or may be one.
func (s *Space) insert(a Area) {
	if !a.Empty() {
		s.insertAt(s.rows.seek(a.Start), a)
	}
}

// insertAt is insert before p.
func (s *Space) insertAt(p pos, a Area) {
	if prev, ok := s.rows.prev(p); ok && s.rows.span(prev).End == a.Start {
		if b := s.rows.at(prev); mergeable(&b, &a) {
			merge(&a.Owner, &b.Owner)
			a.Start = b.Start
			if p, ok = s.mergeNext(p, &a); ok {
				p = s.rows.remove(p, p.i+1)
				prev, _ = s.rows.prev(p)
			}
			s.rows.set(prev, &a)
			return
		}
	}
	if p, ok := s.mergeNext(p, &a); ok {
		s.rows.set(p, &a)
		return
	}
	s.rows.insert(p, &a)
}

// mergeNext takes the row at p into a if it may, and reports whether it did.
func (s *Space) mergeNext(p pos, a *Area) (pos, bool) {
	if s.rows.end(p) || s.rows.span(p).Start != a.End {
		return p, false
	}
	next := s.rows.at(p)
	if !mergeable(a, &next) {
		return p, false
	}
	merge(&a.Owner, &next.Owner)
	a.End = next.End
	return p, true
}

// mergeable reports whether two adjacent areas may be one row: the same
// owner, or brk or mprotect calls of one thread, stack and protection.
func mergeable(a, b *Area) bool {
	if a.Prot != b.Prot || a.Kind != b.Kind {
		return false
	}
	return a.Owner == b.Owner || a.Op == b.Op && (a.Op == OpBrk || a.Op == OpMprotect) &&
		a.Thread == b.Thread && a.Stack == b.Stack && a.Origin == b.Origin && a.Origin == Traced
}

// merge makes o the owner of both areas' bytes: it is the earlier call's, and
// counts both calls. Rows with the same first call have calls in common, how
// many is not known: the larger count stands.
func merge(o, with *Owner) {
	calls, acquired := o.Calls+with.Calls, o.Acquired+with.Acquired
	if o.Call == with.Call {
		calls, acquired = max(o.Calls, with.Calls), max(o.Acquired, with.Acquired)
	}
	if with.Call < o.Call {
		*o = *with
	}
	o.Calls, o.Acquired = calls, acquired
}

// Check returns an error if an invariant is broken: rows in order, disjoint, not empty and on page boundaries.
func (s *Space) Check() error {
	if err := s.rows.check(); err != nil {
		return err
	}
	var last uint64
	for a := range s.All() {
		switch {
		case a.Empty():
			return fmt.Errorf("area %v is empty", a.Range)
		case a.Start < last:
			return fmt.Errorf("area %v begins below %x, the end of the one before", a.Range, last)
		case a.Start%s.PageSize != 0 || a.End%s.PageSize != 0:
			return fmt.Errorf("area %v is not on page boundaries", a.Range)
		case a.Kind == 0 || a.Kind > Opaque:
			return fmt.Errorf("area %v has no kind", a.Range)
		case a.Kind.Exported() && a.Origin == 0:
			return fmt.Errorf("area %v has no origin", a.Range)
		}
		last = a.End
	}
	return nil
}

// span is the pages of a call's range. A range that no kernel accepts, which
// only a damaged log can hold, is empty. Pointer tags (arm64, LAM) are taken off.
func (s *Space) span(addr, n uint64) Range {
	addr &= 1<<56 - 1
	r := Range{addr, addr + s.pages(n)}
	if addr%s.PageSize != 0 || r.Len() < n || r.End < addr {
		return Range{}
	}
	return r
}

func (s *Space) pages(n uint64) uint64 { return (n + s.PageSize - 1) &^ (s.PageSize - 1) }
