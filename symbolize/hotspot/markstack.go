package hotspot

import "strconv"

const (
	markChunk    = 8 << 10 // bytes of a chunk of G1's mark stack
	maxMarkParts = 64
)

// g1MarkStack is where G1 keeps what it has still to mark, 32 MiB unless -XX:MarkStackSize says otherwise. Its marker, to which
// the heap refers, has it; what surrounds the pointer must be the sizes that the flags give.
//
//	until 22  most chunks, base, chunks
//	since 23  fewest chunks, most chunks, chunks, buckets, may grow, where the buckets' addresses are
func (vm *VM) g1MarkStack() []Region {
	least, most := vm.markChunks("MarkStackSize"), vm.markChunks("MarkStackSizeMax")
	f := vm.find()
	collected, size := f.static("Universe", "_collectedHeap"), f.size("G1CollectedHeap")
	if f.err() != nil || least == 0 || most < least {
		return nil
	}
	at, err := vm.u64(collected)
	if err != nil {
		return nil
	}
	heap, err := vm.bytes(at, int(min(size, maxCollector)))
	if err != nil {
		return nil
	}
	for ; len(heap) >= word; heap = heap[word:] {
		marker := le64(heap)
		if marker < pageSize || marker%word != 0 || marker > maxAddress {
			continue
		}
		body, err := vm.bytes(marker, 48*word)
		if err != nil {
			continue
		}
		for i := 0; i+6*word <= len(body); i += word {
			w := func(n int) uint64 { return le64(body[i+n*word:]) }
			switch {
			case w(0) == most && w(2) >= least && w(2) <= most && isTableAt(w(1)):
				return []Region{{Start: w(1), End: w(1) + w(2)*markChunk, Purpose: GC}}
			case w(0) == least && w(1) == most && w(2) >= least && w(2) <= most && w(3) > 0 && w(3) <= maxMarkParts:
				return vm.markBuckets(w(5), least, w(3))
			}
		}
	}
	return nil
}

// markBuckets are the parts of a mark stack that grows: of the first two each has least chunks, and each further one twice as many as
// the one before.
func (vm *VM) markBuckets(list, least, n uint64) (regions []Region) {
	for i := range n {
		at, err := vm.u64(list + i*word)
		if err != nil || at == 0 || !isTableAt(at) {
			break
		}
		chunks := least
		if i > 1 {
			chunks <<= min(i-1, 32)
		}
		regions = append(regions, Region{Start: at, End: at + chunks*markChunk, Purpose: GC})
	}
	return regions
}

// markChunks is a number of references that a flag gives, in chunks.
func (vm *VM) markChunks(flag string) uint64 {
	text, _ := vm.Flag(flag)
	n, err := strconv.ParseUint(text, 10, 48)
	if err != nil {
		return 0
	}
	return n * word / markChunk
}

// isTableAt reports whether there may be a table of a collector: where, is the kernel's choice.
func isTableAt(at uint64) bool { return at >= lowestTable && at%pageSize == 0 && at < maxAddress }
