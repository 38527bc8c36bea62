package leak

import (
	"fmt"
	"time"

	"vmaleak/vma"
)

// Regime says that blocks that could have mappings of their own come from
// malloc's arenas: what is used again there makes no system call, so that growth is seen late, or not yet.
//
// glibc maps blocks from 128 KiB on by themselves, until the first such block is freed: then
// the bound rises to its size, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD). A bound that rose
// before the trace is known by what the arenas grow by.
type Regime struct {
	Threshold *uint64    `json:"threshold"` // bytes of a block that came from an arena for certain; nil: not seen
	Commits   uint64     `json:"commits"`   // calls by which arenas grew for such blocks, of memory that is still there
	Bytes     uint64     `json:"bytes"`     // of these
	Since     *time.Time `json:"since"`     // the first of them
	Reusable  *uint64    `json:"reusable"`  // bytes free inside arenas: growth up to that makes no system call; nil unknown
	Why       []string   `json:"why"`
}

const (
	mapThreshold = 128 << 10 // of malloc, until it rises
	topPad       = 128 << 10 // that malloc asks for besides
	manyReusable = 16 << 20
)

// regime collects the evidence, row by row.
type regime struct {
	largest, commits, bytes uint64
	first                   int64
}

// row looks at a row of the books: what an arena, or the break, grew by in one call, beyond
// what a block below the bound would have needed.
func (r *regime) row(a *vma.Area, category *string) {
	if category == nil || !owned(&a.Owner) || a.Calls != 1 || a.Prot == 0 {
		return
	}
	arena := *category == MallocArena && a.Op == vma.OpMprotect || *category == BrkHeap && a.Op == vma.OpBrk
	const slack = 2 * 4096 // headers, and the page that is not full
	if !arena || a.Acquired < mapThreshold+topPad+slack {
		return
	}
	r.commits++
	r.bytes += a.Len()
	r.largest = max(r.largest, a.Acquired-topPad-slack)
	if r.first == 0 || a.At < r.first {
		r.first = a.At
	}
}

// regimeOf makes Entry.MallocRegime; nil where nothing speaks for it.
func (b *builder) regimeOf(f *MallocFacts) *Regime {
	r := &b.regime
	e := Regime{Commits: r.commits, Bytes: r.bytes, Since: b.unix(r.first), Why: []string{}}
	if f != nil && f.UnknownBecause == "" {
		var free uint64
		for i := range f.Arenas {
			free += f.Arenas[i].Free
		}
		e.Reusable = &free
	}
	if r.commits > 0 {
		e.Threshold = &r.largest
		e.Why = append(e.Why, fmt.Sprintf("arenas grew %d times by more than a block below malloc's bound of %d bytes needs, at most for one of %d bytes",
			r.commits, mapThreshold, r.largest))
	}
	if e.Reusable != nil && *e.Reusable >= manyReusable {
		e.Why = append(e.Why, fmt.Sprintf("%d bytes are free inside arenas and will be used again first", *e.Reusable))
	}
	if len(e.Why) == 0 {
		return nil
	}
	return &e
}
