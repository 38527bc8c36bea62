package hotspot

import "fmt"

// heapRegions are the addresses that are reserved for the Java heap.
func (vm *VM) heapRegions() ([]Region, error) {
	if vm.isSet("UseZGC") {
		return vm.zRegions()
	}
	f := vm.find()
	collected, reserved := f.static("Universe", "_collectedHeap"), f.offset("CollectedHeap", "_reserved")
	startAt, wordsAt := f.offset("MemRegion", "_start"), f.offset("MemRegion", "_word_size")
	if err := f.err(); err != nil {
		return nil, err
	}
	heap, err := vm.raw.u64(collected)
	if err != nil {
		return nil, err
	}
	if heap == 0 {
		return nil, fmt.Errorf("%w: it has no heap yet", ErrNotReady)
	}
	start, err := vm.raw.u64(heap + reserved + startAt)
	if err != nil {
		return nil, err
	}
	words, err := vm.raw.u64(heap + reserved + wordsAt)
	if err != nil {
		return nil, err
	}
	if start == 0 || start%pageSize != 0 || words == 0 || words > maxAddress/word {
		return nil, fmt.Errorf("%w: its heap is at %#x, of %d words", ErrNotReady, start, words)
	}
	return []Region{{Start: start, End: start + words*word, Purpose: JavaHeap}}, nil
}

// zRegions are the addresses that ZGC may use for its heap: a power of two, far more than the heap's size. Without
// generations the heap is seen three times, once for each color.
func (vm *VM) zRegions() ([]Region, error) {
	h, err := vm.objects()
	if err != nil {
		return nil, err
	}
	size := h.z.offsetMask + 1
	if size < pageSize || size&(size-1) != 0 || size > maxAddress>>4 {
		return nil, fmt.Errorf("its offsets are below %#x", size)
	}
	regions := []Region{{Start: size, End: 2 * size, Purpose: JavaHeap}}
	if !h.z.generational {
		regions = append(regions, Region{Start: 2 * size, End: 3 * size, Purpose: JavaHeap}, Region{Start: 4 * size, End: 5 * size, Purpose: JavaHeap})
	}
	// It might be elsewhere in a VM to come: some object must be in there.
	ref, err := vm.mirrorAt(h.stringKlass)
	if err != nil {
		return nil, err
	}
	for _, r := range regions {
		if ref >= r.Start && ref < r.End {
			return regions, nil
		}
	}
	return nil, fmt.Errorf("objects are at %#x, which is in none of %#x", ref, regions)
}
