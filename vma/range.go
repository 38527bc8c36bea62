package vma

import "fmt"

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
