package heapdump

import (
	"cmp"
	"slices"
	"sort"
)

// Range is the addresses [Start, End).
type Range struct{ Start, End uint64 }

// union sorts ranges and joins those that touch.
func union(in []Range) []Range {
	in = slices.Clone(in)
	slices.SortFunc(in, func(a, b Range) int { return cmp.Compare(a.Start, b.Start) })
	var out []Range
	for _, r := range in {
		switch last := len(out) - 1; {
		case r.End <= r.Start:
		case last >= 0 && r.Start <= out[last].End:
			out[last].End = max(out[last].End, r.End)
		default:
			out = append(out, r)
		}
	}
	return out
}

// total is the bytes of ranges that do not overlap.
func total(ranges []Range) (n uint64) {
	for _, r := range ranges {
		n += r.End - r.Start
	}
	return n
}

// overlaps reports whether r has a byte in common with ranges, which are a union; of an empty r its start counts.
func overlaps(ranges []Range, r Range) bool {
	r.End = max(r.End, r.Start+1)
	i := sort.Search(len(ranges), func(i int) bool { return ranges[i].End > r.Start })
	return i < len(ranges) && ranges[i].Start < r.End
}

// common is the bytes that two unions share.
func common(a, b []Range) (n uint64) {
	for len(a) > 0 && len(b) > 0 {
		start, end := max(a[0].Start, b[0].Start), min(a[0].End, b[0].End)
		if end > start {
			n += end - start
		}
		if a[0].End < b[0].End {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return n
}
