package tracer

import (
	"slices"

	"vmaleak/vma"
)

// ranges is a set of addresses: disjoint, in order.
type ranges []vma.Range

// add returns the set with r in it.
func (s ranges) add(r vma.Range) ranges {
	if r.Empty() {
		return s
	}
	i, _ := slices.BinarySearchFunc(s, r.Start, func(a vma.Range, start uint64) int {
		if a.End < start {
			return -1
		}
		return 1
	})
	j := i
	for ; j < len(s) && s[j].Start <= r.End; j++ {
		r.Start, r.End = min(r.Start, s[j].Start), max(r.End, s[j].End)
	}
	return slices.Replace(s, i, j, r)
}

// minus returns what of the set is not in o.
func (s ranges) minus(o ranges) (out ranges) {
	for _, r := range s {
		for _, cut := range o {
			if cut.End <= r.Start {
				continue
			}
			if cut.Start >= r.End {
				break
			}
			if r.Start < cut.Start {
				out = append(out, vma.Range{Start: r.Start, End: cut.Start})
			}
			r.Start = cut.End
			if r.Empty() {
				break
			}
		}
		if !r.Empty() {
			out = append(out, r)
		}
	}
	return out
}

// and returns what is in both sets.
func (s ranges) and(o ranges) ranges { return s.minus(s.minus(o)) }

// without returns the set with no address of r in it; the receiver is used up.
func (s ranges) without(r vma.Range) ranges {
	i := s.above(r.Start)
	j := i
	for ; j < len(s) && s[j].Start < r.End; j++ {
	}
	if i == j || r.Empty() {
		return s
	}
	var rest [2]vma.Range
	keep := rest[:0]
	if s[i].Start < r.Start {
		keep = append(keep, vma.Range{Start: s[i].Start, End: r.Start})
	}
	if r.End < s[j-1].End {
		keep = append(keep, vma.Range{Start: r.End, End: s[j-1].End})
	}
	return slices.Replace(s, i, j, keep...)
}

// above is the index of the first range that ends above addr.
func (s ranges) above(addr uint64) int {
	i, _ := slices.BinarySearchFunc(s, addr, func(a vma.Range, addr uint64) int {
		if a.End <= addr {
			return -1
		}
		return 1
	})
	return i
}

// covers reports whether every address of r is in the set; ranges that touch are one.
func (s ranges) covers(r vma.Range) bool {
	i := s.above(r.Start)
	return r.Empty() || i < len(s) && s[i].Start <= r.Start && r.End <= s[i].End
}

// overlaps reports whether the set shares an address with r.
func (s ranges) overlaps(r vma.Range) bool {
	i := s.above(r.Start)
	return i < len(s) && !r.Empty() && s[i].Start < r.End
}
