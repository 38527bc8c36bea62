package leak

import (
	"testing"
	"time"

	"vmaleak/vma"
)

func TestBlocksThatComeFromArenasAreNoticed(t *testing.T) {
	arena, heap, chunk, other := MallocArena, BrkHeap, MallocChunk, Other
	grew := func(op vma.Op, n uint64) *vma.Area {
		return &vma.Area{Range: vma.Range{Start: 1 << 30, End: 1<<30 + n}, Prot: 3,
			Owner: vma.Owner{Op: op, Acquired: n, Calls: 1, At: 7e9, Origin: vma.Traced}}
	}
	merged := grew(vma.OpMprotect, 16<<20)
	merged.Calls = 100
	before := grew(vma.OpMprotect, 16<<20)
	before.Origin = vma.PreExisting
	for _, c := range []struct {
		name     string
		row      *vma.Area
		category *string
		free     uint64 // in arenas; 1 = unknown
		commits  uint64
		regime   bool
	}{
		{"a chunk of Netty's in an arena", grew(vma.OpMprotect, 16<<20), &arena, 1, 1, true},
		{"the same on the break", grew(vma.OpBrk, 16<<20), &heap, 1, 1, true},
		{"a new arena for a small block", grew(vma.OpMprotect, 135168), &arena, 1, 0, false},
		{"the break's usual step", grew(vma.OpBrk, 135168), &heap, 1, 0, false},
		{"a block of 120 KiB and the pad", grew(vma.OpMprotect, 120<<10+topPad), &arena, 1, 0, false},
		{"a mapping of its own", grew(vma.OpMmap, 16<<20), &chunk, 1, 0, false},
		{"a protection of somebody else", grew(vma.OpMprotect, 16<<20), &other, 1, 0, false},
		{"many small steps in one row", merged, &arena, 1, 0, false},
		{"from before the trace", before, &arena, 1, 0, false},
		{"little is free", grew(vma.OpMmap, 1<<20), &chunk, 1 << 20, 0, false},
		{"much is free", grew(vma.OpMmap, 1<<20), &chunk, 300 << 20, 0, true},
	} {
		b := builder{h: &Header{}, at: time.Unix(10, 0)}
		b.regime.row(c.row, c.category)
		f := &MallocFacts{Arenas: []Arena{{Free: c.free}}}
		if c.free == 1 {
			f = &MallocFacts{UnknownBecause: "no right to"}
		}
		r := b.regimeOf(f)
		if (r != nil) != c.regime || b.regime.commits != c.commits {
			t.Errorf("%s: %+v, %d commits", c.name, r, b.regime.commits)
		}
		if r != nil && (len(r.Why) == 0 || (r.Threshold != nil) != (c.commits > 0) || (r.Reusable == nil) != (c.free == 1)) {
			t.Errorf("%s: %+v", c.name, *r)
		}
	}
}
