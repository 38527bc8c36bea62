package vma

import (
	"cmp"
	"fmt"
	"slices"
)

// Range is the addresses [Start, End) in bytes. The zero Range is empty.
type Range struct{ Start, End uint64 }

// Len is the length of r in bytes.
func (r Range) Len() uint64 { return r.End - r.Start }

// Empty reports whether r holds no address.
func (r Range) Empty() bool { return r.End <= r.Start }

// Contains reports whether addr lies in r.
func (r Range) Contains(addr uint64) bool { return r.Start <= addr && addr < r.End }

// Covers reports whether every address of o lies in r.
func (r Range) Covers(o Range) bool { return r.Start <= o.Start && o.End <= r.End }

// Overlaps reports whether r and o share an address.
func (r Range) Overlaps(o Range) bool { return r.Start < o.End && o.Start < r.End }

// Intersect is the addresses in both r and o; it may be Empty.
func (r Range) Intersect(o Range) Range {
	i := Range{max(r.Start, o.Start), min(r.End, o.End)}
	if i.Empty() {
		return Range{}
	}
	return i
}

// String is r as /proc/PID/maps writes it.
func (r Range) String() string { return fmt.Sprintf("%x-%x", r.Start, r.End) }

// union is ranges in order, those that overlap or adjoin joined, the empty left out.
func union(ranges []Range) []Range {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b Range) int { return cmp.Compare(a.Start, b.Start) })
	out := sorted[:0]
	for _, r := range sorted {
		switch n := len(out) - 1; {
		case r.Empty():
		case n >= 0 && r.Start <= out[n].End:
			out[n].End = max(out[n].End, r.End)
		default:
			out = append(out, r)
		}
	}
	return out
}
