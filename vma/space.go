package vma

import (
	"fmt"
	"iter"

	"github.com/tidwall/btree"
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

	rows  btree.Map[uint64, row]
	delta Delta
	cut   []Area // scratch
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
func (s *Space) Len() int { return s.rows.Len() }

// All yields every area in order of address, opaque ones too.
func (s *Space) All() iter.Seq[Area] { return s.Over(whole) }

// Over yields the areas that share an address with r, whole, in order of address.
func (s *Space) Over(r Range) iter.Seq[Area] {
	return func(yield func(Area) bool) {
		it := s.rows.Iter()
		if !s.seek(&it, r.Start) {
			return
		}
		for ok := true; ok && it.Key() < r.End; ok = it.Next() {
			v := it.Value()
			if !yield(v.area(it.Key())) {
				return
			}
		}
	}
}

// seek puts it on the first row that ends above addr.
func (s *Space) seek(it *btree.MapIter[uint64, row], addr uint64) bool {
	if it.Seek(addr) {
		if it.Key() == addr || !it.Prev() {
			return true
		}
		if v := it.Value(); v.end > addr {
			return true
		}
		return it.Next()
	}
	if !it.Last() {
		return false
	}
	v := it.Value()
	return v.end > addr
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
func (s *Space) namedStack() (named Range) {
	var prot Prot
	for a := range s.All() {
		if a.Kind != Stack {
			continue
		}
		if named.End == a.Start && prot == a.Prot && !named.Empty() {
			named.End = a.End
		} else if !named.Contains(s.StackStart) {
			named, prot = a.Range, a.Prot
		}
	}
	if !named.Contains(s.StackStart) && s.StackStart != 0 {
		return Range{}
	}
	return named
}

// Fork is the child's space: a copy whose anonymous rows keep their owners' threads and stacks, as inherited.
func (s *Space) Fork() *Space {
	c := New(s.Options)
	c.StackStart = s.StackStart
	for a := range s.All() {
		if a.Kind != Opaque && a.Origin != PreExisting {
			a.Origin = Inherited
		} else if a.Kind.Exported() {
			a.Origin = Inherited
		}
		c.rows.Load(a.Start, a.row())
	}
	return c
}

// Clone is a copy of s that shares nothing with it.
func (s *Space) Clone() *Space {
	return &Space{Options: s.Options, StackStart: s.StackStart, rows: *s.rows.Copy()}
}

// remove takes [r.Start, r.End) out and returns the pieces, valid until the next remove.
func (s *Space) remove(r Range) []Area {
	s.cut = s.cut[:0]
	if r.Empty() {
		return s.cut
	}
	for a := range s.Over(r) {
		s.cut = append(s.cut, a)
	}
	for i, a := range s.cut {
		in := a.Intersect(r)
		if a.Start < in.Start { // the head keeps its key
			head := a
			head.End = in.Start
			s.rows.Set(head.Start, head.row())
		} else {
			s.rows.Delete(a.Start)
		}
		if in.End < a.End {
			tail := a
			tail.Start = in.End
			s.rows.Set(tail.Start, tail.row())
		}
		s.cut[i].Range = in
	}
	return s.cut
}

// insert puts a into a hole, merged with neighbours where their rows say the same or may be one.
func (s *Space) insert(a Area) {
	if a.Empty() {
		return
	}
	it := s.rows.Iter()
	if it.Seek(a.End) && it.Key() == a.End {
		v := it.Value()
		if next := v.area(a.End); mergeable(&a, &next) {
			merge(&a.Owner, &next.Owner)
			a.End = next.End
			s.rows.Delete(next.Start)
		}
	}
	s.rows.Descend(a.Start, func(start uint64, v row) bool {
		if start == a.Start { // never: a hole
			return true
		}
		if prev := v.area(start); prev.End == a.Start && mergeable(&prev, &a) {
			merge(&prev.Owner, &a.Owner)
			a.Start, a.Owner = start, prev.Owner
		}
		return false
	})
	s.rows.Set(a.Start, a.row())
}

// mergeable reports whether two adjacent areas may be one row: the same
// owner, or brk or mprotect calls of one thread, stack and protection.
func mergeable(a, b *Area) bool {
	if a.Prot != b.Prot || a.Kind != b.Kind {
		return false
	}
	if a.Owner == b.Owner {
		return a.Kind != Opaque || a.Op != OpShmat
	}
	return a.Op == b.Op && (a.Op == OpBrk || a.Op == OpMprotect) && a.Thread == b.Thread &&
		a.Stack == b.Stack && a.Origin == b.Origin && a.Origin == Traced
}

// merge makes o the owner of both areas' bytes: it is the earlier call's, and counts both calls.
func merge(o, with *Owner) {
	if o.Call == with.Call {
		return
	}
	calls, acquired := o.Calls+with.Calls, o.Acquired+with.Acquired
	if with.Call < o.Call {
		*o = *with
	}
	o.Calls, o.Acquired = calls, acquired
}

// Check returns an error if an invariant is broken: rows in order, disjoint, not empty and on page boundaries.
func (s *Space) Check() error {
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

func (s *Space) pages(n uint64) uint64 { return (n + s.PageSize - 1) &^ (s.PageSize - 1) }
