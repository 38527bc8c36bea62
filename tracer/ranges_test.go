package tracer

import (
	"math/rand/v2"
	"slices"
	"testing"

	"vmaleak/vma"
)

// TestRangesAreSets compares the operations with a set of single addresses.
func TestRangesAreSets(t *testing.T) {
	const top = 64
	r := rand.New(rand.NewPCG(1, 2))
	draw := func() (s ranges, all [top]bool) {
		for range r.IntN(8) {
			a := r.Uint64N(top)
			x := vma.Range{Start: a, End: a + r.Uint64N(min(12, top-a)+1)}
			s = s.add(x)
			for i := x.Start; i < x.End; i++ {
				all[i] = true
			}
		}
		return s, all
	}
	check := func(what string, s ranges, want func(i uint64) bool) {
		t.Helper()
		for i := uint64(0); i < top; i++ {
			if got := s.overlaps(vma.Range{Start: i, End: i + 1}); got != want(i) {
				t.Fatalf("%s: %v at %d: %v", what, s, i, got)
			}
		}
		for i, a := range s {
			if a.Empty() || i > 0 && a.Start < s[i-1].End {
				t.Fatalf("%s: %v is not disjoint and in order", what, s)
			}
		}
	}
	for range 20000 {
		a, inA := draw()
		b, inB := draw()
		check("add", a, func(i uint64) bool { return inA[i] })
		check("minus", a.minus(b), func(i uint64) bool { return inA[i] && !inB[i] })
		if len(b) > 0 {
			r := b[0]
			check("without", slices.Clone(a).without(r), func(i uint64) bool { return inA[i] && !r.Contains(i) })
		}
		for _, r := range b {
			if got := a.covers(r); got != (len((ranges{r}).minus(a)) == 0) {
				t.Fatalf("covers: %v, %v: %v", a, r, got)
			}
		}
		check("and", a.and(b), func(i uint64) bool { return inA[i] && inB[i] })
	}
}
