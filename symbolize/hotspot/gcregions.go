package hotspot

import (
	"slices"
	"strconv"
)

const (
	marked       = 64      // bytes of the heap that a byte of a mark bitmap stands for
	markedTwice  = 32      // of Shenandoah's, which has two bits for each word
	cardSize     = 512     // that a byte of a card table, or of a table of block offsets, stands for
	lowestTable  = 4 << 30 // where they are is the kernel's choice: below are sizes that look like addresses
	maxCollector = 16 << 10
)

// gcRegions are the large tables of a collector: those that are exported, and those that the collector's own structures
// lead to, recognised by sizes that follow from the heap's. Task queues, remembered sets and what is small are not found.
func (vm *VM) gcRegions() ([]Region, error) {
	heaps, err := vm.heapRegions()
	if err != nil {
		return nil, err
	}
	heap := heaps[0]
	switch {
	case vm.isSet("UseZGC"):
		return vm.zTables(), nil
	case vm.isSet("UseG1GC"):
		return slices.Concat(vm.cardTable(heap), vm.g1Tables(heap), vm.g1MarkStack()), nil
	case vm.isSet("UseShenandoahGC"):
		return vm.shenandoahTables(heap), nil
	case vm.isSet("UseParallelGC"):
		return append(vm.cardTable(heap), vm.parallelTables()...), nil
	}
	return vm.cardTable(heap), nil
}

// cardTable is the table of those parts of the heap that were written to.
func (vm *VM) cardTable(heap Region) []Region {
	f := vm.find()
	set, table := f.static("BarrierSet", "_barrier_set"), f.offset("CardTableBarrierSet", "_card_table")
	mapAt, sizeAt := f.offset("CardTable", "_byte_map"), f.offset("CardTable", "_byte_map_size")
	if f.err() != nil { // before 10
		return nil
	}
	at, err := vm.u64(set)
	if err == nil {
		at, err = vm.u64(at + table)
	}
	if err != nil || at == 0 {
		return nil
	}
	low, err := vm.u64(at + mapAt)
	size, err2 := vm.u64(at + sizeAt)
	if err != nil || err2 != nil || size < (heap.End-heap.Start)/cardSize || size > (heap.End-heap.Start)/cardSize+pageSize || low%pageSize != 0 {
		return nil
	}
	return []Region{{Start: low, End: low + (size+pageSize-1)&^(pageSize-1), Purpose: GC}}
}

// g1Tables are what G1 commits beside the regions of its heap. Its manager of regions refers to a mapper for each of them,
// which has the range that it reserved.
func (vm *VM) g1Tables(heap Region) []Region {
	f := vm.find()
	collected, managerAt := f.static("Universe", "_collectedHeap"), f.offset("G1CollectedHeap", "_hrm")
	if f.err() != nil {
		return nil
	}
	at, err := vm.u64(collected)
	if err != nil {
		return nil
	}
	manager, err := vm.bytes(at+managerAt, 32*word)
	if err != nil {
		return nil
	}
	var regions []Region
	for i := range 32 {
		mapper := le64(manager[i*word:])
		if mapper == 0 || mapper%word != 0 || mapper > maxAddress {
			continue
		}
		if body, err := vm.bytes(mapper, 8*word); err == nil {
			for j := range 7 {
				low, high := le64(body[j*word:]), le64(body[(j+1)*word:])
				if isTable(heap, low, high-low, marked, cardSize) {
					regions = append(regions, Region{Start: low, End: high, Purpose: GC})
					break
				}
			}
		}
	}
	return regions
}

// isTable reports whether a range has the size of a table of the heap of which a byte stands for one of those numbers of bytes.
func isTable(heap Region, low, size uint64, bytes ...uint64) bool {
	if !isTableAt(low) || low < heap.End && low+size > heap.Start {
		return false
	}
	return slices.ContainsFunc(bytes, func(n uint64) bool {
		return size == ((heap.End-heap.Start)/n+pageSize-1)&^(pageSize-1)
	})
}

// shenandoahTables are its bitmaps, which its heap has as regions of memory: a first address and a number of words.
func (vm *VM) shenandoahTables(heap Region) []Region {
	f := vm.find()
	collected, size := f.static("Universe", "_collectedHeap"), f.size("ShenandoahHeap")
	if f.err() != nil {
		return nil
	}
	at, err := vm.u64(collected)
	if err != nil {
		return nil
	}
	body, err := vm.bytes(at, int(min(size, maxCollector)))
	if err != nil {
		return nil
	}
	var regions []Region
	for i := 0; i+2*word <= len(body); i += word {
		low, words := le64(body[i:]), le64(body[i+word:])
		if words < maxAddress/word && isTable(heap, low, words*word, markedTwice) {
			regions = append(regions, Region{Start: low, End: low + words*word, Purpose: GC})
		}
	}
	return regions
}

// The collector Parallel keeps its tables in two variables that are not exported.
const (
	parallelMarks   = "_ZN17PSParallelCompact12_mark_bitmapE"
	parallelSummary = "_ZN17PSParallelCompact13_summary_dataE"
)

// parallelTables are the spaces that Parallel's variables refer to: what looks like one must have its four addresses in order.
func (vm *VM) parallelTables() []Region {
	f := vm.find()
	low, high := f.offset("PSVirtualSpace", "_reserved_low_addr"), f.offset("PSVirtualSpace", "_reserved_high_addr")
	from, to := f.offset("PSVirtualSpace", "_committed_low_addr"), f.offset("PSVirtualSpace", "_committed_high_addr")
	if f.err() != nil || max(low, high, from, to) > 7*word {
		return nil
	}
	var regions []Region
	for _, name := range []string{parallelMarks, parallelSummary} {
		at, ok := vm.local(name)
		if !ok {
			continue
		}
		body, err := vm.bytes(at, 12*word)
		if err != nil {
			continue
		}
		for i := range 12 {
			space, err := vm.bytes(le64(body[i*word:]), 8*word)
			if err != nil {
				continue
			}
			l, h, a, b := le64(space[low:]), le64(space[high:]), le64(space[from:]), le64(space[to:])
			if l != 0 && (l|h|a|b)%pageSize == 0 && l <= a && a < b && b <= h && h < maxAddress {
				regions = append(regions, Region{Start: l, End: h, Purpose: GC})
			}
		}
	}
	return regions
}

// zMarkStacks is where ZGC without generations keeps the begin of what it has reserved for what it has still to mark, in a
// VM that has both with an X.
const zMarkStacks, xMarkStacks = "ZMarkStackSpaceStart", "XMarkStackSpaceStart"

// zTables are the maps of ZGC that are found for other reasons, with a word for each granule of the heap, and the space of its
// mark stacks.
func (vm *VM) zTables() []Region {
	h, err := vm.objects()
	if err != nil {
		return nil
	}
	var regions []Region
	add := func(variable, size uint64) {
		if at, err := vm.u64(variable); err == nil && isTableAt(at) && size < maxAddress {
			regions = append(regions, Region{Start: at, End: at + size, Purpose: GC})
		}
	}
	size := (h.z.offsetMask + 1) >> h.z.layout.granule * word
	if h.z.generational {
		return nil // its maps are a part of what malloc gave
	}
	add(h.z.old.variable, size)
	letter := vm.zLetter()
	f := vm.find()
	pages := f.offset(letter+"CollectedHeap", "_heap") + f.offset(letter+"Heap", "_page_table") + f.offset(letter+"PageTable", "_map") +
		f.offset(letter+"GranuleMapForPageTable", "_map")
	if heap, err := vm.u64(f.static("Universe", "_collectedHeap")); err == nil && f.err() == nil {
		add(heap+pages, size)
	}
	limit, _ := vm.Flag("ZMarkStackSpaceLimit")
	if n, err := strconv.ParseUint(limit, 10, 48); err == nil {
		variable, ok := vm.local(zMarkStacks)
		if letter == "X" {
			variable, ok = vm.local(xMarkStacks)
		}
		if ok {
			add(variable, n)
		}
	}
	return regions
}
