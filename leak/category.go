package leak

import (
	"cmp"
	"slices"

	"vmaleak/vma"
)

// category is what the row a is for: as Regions say; else as the stack that
// mapped it says; else by its flags, and by where it lies. Other where nothing tells.
func (b *builder) category(a *vma.Area) string {
	if r := regionOf(b.regions, a.Range); r != nil {
		return r.Category
	}
	return b.judged(a)
}

// regionOf is the region that holds most of r, if that is half of it at least.
func regionOf(regions []Region, r vma.Range) *Region {
	i, _ := slices.BinarySearchFunc(regions, r.Start, endsBefore)
	var best *Region
	var most uint64
	for ; i < len(regions) && regions[i].Start < r.End; i++ {
		if n := regions[i].Intersect(r).Len(); n > most {
			best, most = &regions[i], n
		}
	}
	if 2*most < r.Len() {
		return nil
	}
	return best
}

// boundary is the first address above at where something else may begin.
func (b *builder) boundary(at uint64) uint64 {
	next := ^uint64(0)
	for _, list := range [...][]Region{b.regions, b.shapes()} {
		i, _ := slices.BinarySearchFunc(list, at, endsBefore)
		if i < len(list) && list[i].Start > at {
			next = min(next, list[i].Start)
		} else if i < len(list) {
			next = min(next, list[i].End)
		}
	}
	return next
}

func endsBefore(r Region, addr uint64) int {
	if r.End <= addr {
		return -1
	}
	return 1
}

// judged is the category of a row, or of a piece of one, that no region holds.
func (b *builder) judged(a *vma.Area) string {
	if a.Kind == vma.Heap || a.Op == vma.OpBrk {
		return BrkHeap
	}
	if p := b.purpose(b.s.ledger.stackOf(a.Stack)); p != unsaid {
		return p.category(a, b.e.JVM != nil)
	}
	if r := regionOf(b.shapes(), a.Range); r != nil {
		return r.Category
	}
	switch {
	case a.Op == vma.OpMmap && a.Flags&mapStack != 0:
		return ThreadStack
	case a.Prot&vma.ProtExec != 0 && a.Op == 0 && b.e.JVM != nil:
		return CodeCache
	case a.Op == vma.OpMmap && a.Flags&mapNoReserve != 0 && (a.Acquired == arenaSize || a.Acquired == 2*arenaSize):
		return MallocArena
	}
	return Other
}

// The flags of mmap that tell.
const (
	mapNoReserve = 0x4000
	mapStack     = 0x20000
)

// purpose is what the stack of that number says, asked once.
func (b *builder) purpose(stack uint32) purpose {
	if stack == 0 {
		return unsaid
	}
	p, asked := b.purposes[stack]
	if !asked {
		if st := b.stacks.of(stack).Stack; st != nil {
			p = purposeOf(st)
		}
		if b.purposes == nil {
			b.purposes = map[uint32]purpose{}
		}
		b.purposes[stack] = p
	}
	return p
}

// category is what a row is for that was acquired for p.
func (p purpose) category(a *vma.Area, jvm bool) string {
	switch p {
	case forMalloc, forDirect:
		// In an arena malloc makes pages of a reservation writable; the rest it maps as it is to be.
		switch {
		case a.Op == vma.OpMprotect, a.Op == vma.OpMmap && (a.Prot == 0 || a.Flags&mapNoReserve != 0):
			return MallocArena
		case p == forDirect:
			return DirectBuffer
		}
		return MallocChunk
	case forArena:
		return MallocArena
	case forStack:
		return ThreadStack
	case forHeap:
		if a.Acquired%(1<<20) != 0 { // heaps grow by regions; their tables by fractions of one
			return GC
		}
		return JavaHeap
	case forGC:
		return GC
	case forMetaspace:
		return Metaspace
	case forCode:
		return CodeCache
	case forLibrary:
		if jvm {
			return JNIMmap
		}
	}
	return Other
}

// sorted is regions in order and disjoint, whatever the edges gave: what
// overlaps the one before is cut.
func sorted(regions []Region) []Region {
	list := slices.DeleteFunc(slices.Clone(regions), func(r Region) bool { return r.Empty() || !slices.Contains(Categories[:], r.Category) })
	slices.SortStableFunc(list, func(x, y Region) int { return cmp.Compare(x.Start, y.Start) })
	out := list[:0]
	var end uint64
	for _, r := range list {
		if r.Start = max(r.Start, end); r.Empty() {
			continue
		}
		end = r.End
		out = append(out, r)
	}
	return out
}

// mixed is the category of an account whose rows differ.
var mixed string

// categoryPointer is the one pointer to a category's name.
func categoryPointer(category string) *string {
	if category == inBlocks {
		category = MallocArena
	}
	for i := range Categories {
		if Categories[i] == category {
			return &Categories[i]
		}
	}
	return &Categories[len(Categories)-1]
}
