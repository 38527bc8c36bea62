package leak

import (
	"math/rand/v2"
	"slices"
	"testing"

	"vmaleak/vma"
)

// pagesOf is random pages of the ranges, of which some are missing; and what of them is resident.
func pagesOf(rng *rand.Rand, cuts []vma.Range, missing int) (list []Pages, resident uint64) {
	list = []Pages{}
	for _, r := range cuts {
		if missing > 0 && rng.IntN(missing) == 0 {
			continue
		}
		p := Pages{Range: r, At: epoch, HugeUnknown: rng.IntN(9) == 0}
		p.Resident = uint64(rng.IntN(int(r.Len()/page)+1)) * page
		p.Swap = uint64(rng.IntN(int((r.Len()-p.Resident)/page)+1)) * page
		resident += p.Resident
		list = append(list, p)
	}
	return list, resident
}

func TestCategoriesAddUpWhateverHappens(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		b := newBench(t, Options{Accounts: 24, Threads: 4, Stack: numbered})
		for i := range 1000 {
			b.random(rng.IntN)
			if i%50 != 0 {
				continue
			}
			var regions []Region
			for range rng.IntN(6) {
				start := 0x10000000 + uint64(rng.IntN(64))*page
				regions = append(regions, Region{Range: vma.Range{Start: start, End: start + uint64(rng.IntN(20))*page},
					Category: Categories[rng.IntN(len(Categories))]})
			}
			cuts := b.s.Cuts(regions)
			list, resident := pagesOf(rng, cuts, rng.IntN(5))
			anon, outside := resident+10*page, uint64(7*page)
			snap := b.l.Snapshot(b.now, Header{Source: SourceLive, Brief: rng.IntN(2) == 0}, func(*Space) Facts {
				return Facts{Regions: regions, Pages: list, Resident: &anon, Memory: &Memory{Outside: &outside}}
			})
			if err := snap.CheckValid(); err != nil {
				t.Fatalf("seed %d, event %d: %v", seed, i, err)
			}
			e := snap.Processes[0]
			if *e.Books.Categories != resident {
				t.Fatalf("seed %d, event %d: categories hold %d bytes, the pages %d", seed, i, *e.Books.Categories, resident)
			}
			if len(list) == len(cuts) && (e.Books.Unread != 0 || *e.Books.Unexplained != 3*page) {
				t.Fatalf("seed %d, event %d: books are %+v", seed, i, e.Books)
			}
			var of uint64
			for _, r := range cuts {
				of += r.Len()
			}
			if of != e.Totals.Committed {
				t.Fatalf("seed %d, event %d: cuts are %d bytes, committed is %d", seed, i, of, e.Totals.Committed)
			}
		}
	}
}

func TestWhatIsResidentIsToldByMappingThreadPoolAndStack(t *testing.T) {
	b := newBench(t, Options{Stack: numbered})
	b.stack = func() uint32 { return 5 }
	b.mmap(tid(1), 0x100000, 4*page, 3)
	b.mmap(tid(1), 0x200000, 4*page, 3)
	b.mmap(tid(2), 0x300000, 4*page, 3)
	b.mmap(tid(2), 0x400000, 4*page, 0)
	at := func(start uint64, resident, swap, huge uint64) Pages {
		return Pages{Range: vma.Range{Start: start, End: start + 4*page}, Resident: resident * page, Swap: swap * page, Huge: huge * page, At: epoch}
	}
	entry := func(list ...Pages) *Entry {
		s := b.l.Snapshot(b.now, Header{Source: SourceLive}, func(*Space) Facts { return Facts{Pages: list} })
		if err := s.CheckValid(); err != nil {
			t.Fatal(err)
		}
		return s.Processes[0]
	}
	is := func(what string, got *uint64, want uint64) {
		t.Helper()
		if got == nil || *got != want*page {
			t.Errorf("%s is %v, want %d pages", what, got, want)
		}
	}
	e := entry(at(0x100000, 3, 1, 2), at(0x200000, 2, 0, 0), at(0x300000, 1, 0, 0))
	is("a mapping", e.Mappings[0].Resident, 3)
	is("swap of a mapping", e.Mappings[0].Swap, 1)
	is("huge pages of a mapping", e.Mappings[0].Huge, 2)
	if e.Mappings[3].Resident != nil {
		t.Error("of a reservation nothing is known")
	}
	is("the first thread", e.Threads[0].Resident, 5)
	is("the second thread", e.Threads[1].Resident, 1)
	is("a pool", e.Pools[0].Resident, 6)
	is("a stack", e.Pools[0].Stacks[0].Resident, 6)
	is("a category", e.Categories[0].Resident, 6)
	if e = entry(at(0x100000, 3, 0, 0)); e.Threads[0].Resident != nil || e.Pools[0].Resident != nil || e.Mappings[1].Resident != nil {
		t.Error("a sum of what was not read")
	}
	if c := e.Categories[0]; c.Unread != 8*page || *c.Resident != 3*page {
		t.Errorf("the category is %+v", c)
	}
	if e = entry(at(0x100000, 5, 0, 0), at(0x200000, 3, 2, 0), at(0x300000, 1, 0, 2)); e.Books.Unread != 12*page {
		t.Errorf("pages that cannot be are believed: %+v", e.Books)
	}
	if e = b.entry(); e.Threads[0].Resident != nil || e.Categories[0].Resident != nil || e.Books.Categories != nil {
		t.Error("nobody looked, yet something is known")
	}
}

func TestARowFromBeforeTheTraceMayHoldSeveralCategories(t *testing.T) {
	text := "10000000-30000000 rw-p 00000000 00:00 0\n"
	vm, err := vma.ParseMaps([]byte(text), vma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := New(Options{})
	s := l.Open(Process{PID: 7, Space: "s1", JVM: &JVM{}}, vm, epoch)
	regions := []Region{{Range: vma.Range{Start: 0x11000000, End: 0x12000000}, Category: Metaspace},
		{Range: vma.Range{Start: 0x12000000, End: 0x22000000}, Category: JavaHeap}}
	untold := s.Untold(regions)
	if want := []vma.Range{{Start: 0x10000000, End: 0x11000000}, {Start: 0x22000000, End: 0x30000000}}; !slices.Equal(untold, want) {
		t.Errorf("untold are %v, want %v", untold, want)
	}
	cuts := s.Cuts(regions)
	if !slices.IsSortedFunc(cuts, func(a, b vma.Range) int { return int(int64(a.Start) - int64(b.Start)) }) || cuts[len(cuts)-1].End != 0x30000000 {
		t.Errorf("cuts are %v", cuts)
	}
	var list []Pages
	for _, r := range cuts {
		list = append(list, Pages{Range: r, Resident: page, At: epoch})
	}
	snap := l.Snapshot(epoch, Header{Source: SourceLive}, func(*Space) Facts { return Facts{Regions: regions, Pages: list} })
	if err := snap.CheckValid(); err != nil {
		t.Fatal(err)
	}
	e := snap.Processes[0]
	got := map[string]uint64{}
	for _, c := range e.Categories {
		got[c.Category] = c.Committed
		if c.Resident == nil || c.Unread != 0 {
			t.Errorf("of %s not all was read: %+v", c.Category, c)
		}
	}
	if got[JavaHeap] != 0x10000000 || got[Metaspace] != 0x1000000 || got[Other] != 0xf000000 {
		t.Errorf("categories are %v", got)
	}
	if *e.Mappings[0].Category != JavaHeap {
		t.Errorf("the row is mostly heap, not %s", *e.Mappings[0].Category)
	}
}

func TestTheBooksOfCategoriesMustBalance(t *testing.T) {
	for what, spoil := range map[string]func(e *Entry){
		"a category that is no one": func(e *Entry) { e.Categories[0].Category = "netty" },
		"one twice":                 func(e *Entry) { e.Categories = append(e.Categories, e.Categories[0]) },
		"bytes that nobody has":     func(e *Entry) { e.Categories[0].Mapped++ },
		"more resident than read":   func(e *Entry) { n := uint64(5 * page); e.Categories[0].Resident = &n },
		"another sum of what is":    func(e *Entry) { n := uint64(1); e.Books.Categories = &n },
		"unread that is not":        func(e *Entry) { e.Books.Unread++ },
		"a remainder that is not":   func(e *Entry) { *e.Books.Unexplained++ },
		"a mapping that overflows":  func(e *Entry) { n := uint64(5 * page); e.Mappings[0].Resident = &n },
		"huge pages of nothing":     func(e *Entry) { n := uint64(4 * page); e.Mappings[0].Huge = &n },
	} {
		b := newBench(t, Options{})
		b.mmap(tid(1), 0x100000, 4*page, 3)
		anon, outside := uint64(5*page), uint64(page)
		s := b.l.Snapshot(b.now, Header{Source: SourceLive}, func(*Space) Facts {
			return Facts{Resident: &anon, Memory: &Memory{Outside: &outside},
				Pages: []Pages{{Range: vma.Range{Start: 0x100000, End: 0x100000 + 4*page}, Resident: 3 * page, At: epoch}}}
		})
		if err := s.CheckValid(); err != nil {
			t.Fatal(err)
		}
		spoil(s.Processes[0])
		if s.CheckValid() == nil {
			t.Errorf("%s is let through", what)
		}
	}
}
