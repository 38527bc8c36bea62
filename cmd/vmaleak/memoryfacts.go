package main

import (
	"slices"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize"
	"vmaleak/vma"
)

// How long the pages of all targets together may be looked at: at an
// interval, and for an export. What there was no time for is as it was last.
const (
	briefLook = 4 * time.Millisecond
	fullLook  = 800 * time.Millisecond
	leastLook = 200 * time.Microsecond // of one target

	fullChunks  = 100 * time.Millisecond
	briefChunks = 5 * time.Millisecond
	chunksEvery = time.Minute

	lookShare = 100 // at intervals, looking takes one hundredth of the time: tens of thousands of rows cost by their number
)

// looked is the last look at the pages of a target.
type looked struct {
	pages  []leak.Pages
	memory *leak.Memory
	at     time.Time
	took   time.Duration
}

// briefWalk is the resident size up to which the kernel is asked at every
// interval to count a process page by page: 5 ms a GiB.
const briefWalk = 512 << 20

// memoryFacts adds what of a live target is in memory. The regions must be known before.
func (s *session) memoryFacts(t *target, f *leak.Facts, brief bool) {
	look, walk := fullLook, uint64(symbolize.MaxWalk)
	if brief {
		look, walk = briefLook, briefWalk
	}
	s.stackFacts(t, f, brief)
	s.chunkFacts(t, f, brief)
	begin := time.Now()
	if !brief || begin.Sub(t.looked.at) > lookShare*t.looked.took {
		t.looked.pages, t.looked.memory = s.pagesOf(t, f.Regions, max(leastLook, look/time.Duration(max(len(s.targets), 1))))
		t.looked.at, t.looked.took = time.Now(), time.Since(begin)
	}
	f.Pages = t.looked.pages
	if t.looked.memory != nil {
		m := *t.looked.memory
		f.Memory = &m
	}
	r, err := symbolize.ReadResidencyWithin(t.sp.PID(), walk)
	if err != nil { // it has ended since, and with it its pages
		f.Pages, f.Memory = nil, nil
		return
	}
	f.Resident = &r.Anon
	if f.Memory == nil {
		f.Memory = &leak.Memory{}
	}
	file := r.File - min(r.File, r.Shmem)
	f.Memory.File, f.Memory.Shmem, f.Memory.Swap = &file, &r.Shmem, &r.Swap
}

// chunkFacts adds the blocks that malloc mapped for itself in memory of which
// nothing tells who mapped it: by their headers. Memory from before the trace
// changes little, hence they are looked for seldom.
func (s *session) chunkFacts(t *target, f *leak.Facts, brief bool) {
	if s.openPager(t); t.pager == nil {
		return
	}
	if now := time.Now(); !brief || now.Sub(t.chunksAt) > chunksEvery {
		look := fullChunks
		if brief {
			look = briefChunks
		}
		var ranges []symbolize.PageRange
		for _, r := range t.books.Untold(f.Regions) {
			ranges = append(ranges, symbolize.PageRange{Start: r.Start, End: r.End})
		}
		t.chunksAt, t.chunks = now, nil
		for _, c := range t.pager.Chunks(t.sp.PID(), ranges, look) {
			t.chunks = append(t.chunks, leak.Region{Range: vma.Range{Start: c.Start, End: c.End}, Category: leak.MallocChunk})
		}
	}
	f.Regions = slices.Concat(f.Regions, t.chunks)
}

// openPager opens the pages of a target once.
func (s *session) openPager(t *target) {
	if t.pager != nil || t.noPages {
		return
	}
	pager, err := symbolize.OpenPager(t.sp.PID())
	if err != nil {
		t.noPages = true
		s.warn.add("pages", "what is in memory of a process cannot be told: "+err.Error(), 1)
		return
	}
	t.pager = pager
}

// pagesOf counts the pages of the ledger's rows, and of those that are not the ledger's together.
func (s *session) pagesOf(t *target, regions []leak.Region, look time.Duration) ([]leak.Pages, *leak.Memory) {
	if t.pager == nil {
		return nil, nil
	}
	ours := t.books.Cuts(regions)
	all := make([]symbolize.PageRange, 0, len(ours)+64)
	for _, r := range ours {
		all = append(all, symbolize.PageRange{Start: r.Start, End: r.End})
	}
	for _, r := range outside(t.sp.VM(), ours) {
		all = append(all, symbolize.PageRange{Start: r.Start, End: r.End})
	}
	slices.SortFunc(all, func(a, b symbolize.PageRange) int {
		if a.Start < b.Start {
			return -1
		}
		return 1
	})
	counts, err := t.pager.Count(all, look)
	if err != nil {
		s.warn.add("pages", "what is in memory of a process cannot be told: "+err.Error(), 1)
		return nil, nil
	}
	pages := make([]leak.Pages, 0, len(ours))
	var elsewhere uint64
	whole := true
	for i := range counts {
		c := &counts[i]
		if len(ours) > 0 && ours[0].Start == c.Start {
			ours = ours[1:]
			if !c.At.IsZero() {
				pages = append(pages, leak.Pages{Range: vma.Range{Start: c.Start, End: c.End}, Resident: c.Resident, Swap: c.Swap,
					Huge: c.Huge, HugeUnknown: !c.HugeKnown, At: c.At})
			}
			continue
		}
		elsewhere += c.Resident
		whole = whole && !c.At.IsZero()
	}
	memory := &leak.Memory{}
	if whole {
		memory.Outside = &elsewhere
	}
	return pages, memory
}

// mostReserved bounds the reservations that are looked at: what was made inaccessible may still be in memory.
const mostReserved = 4 << 30

// outside is the rows that are not among the ledger's committed ones and may hold private pages.
func outside(vm *vma.Space, ours []vma.Range) (list []vma.Range) {
	for a := range vm.All() {
		for len(ours) > 0 && ours[0].End <= a.Start {
			ours = ours[1:]
		}
		if (!a.Kind.Exported() || a.Prot == 0 && a.Len() <= mostReserved) && a.End < 1<<63 && (len(ours) == 0 || !ours[0].Overlaps(a.Range)) {
			list = append(list, a.Range)
		}
	}
	return list
}
