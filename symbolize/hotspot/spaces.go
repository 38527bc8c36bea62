package hotspot

import "errors"

// Spaces is what the VM holds beside the Java heap. Max is what is reserved.
type Spaces struct {
	Metaspace  Usage // without class space
	ClassSpace Usage
	CodeCache  Usage
	Threads    *uint64 // Java threads, the compilers' too
}

// Spaces returns how large metaspace, class space and the code cache are. What cannot be told is nil: metaspace's figures lie in
// no exported structure, so a libjvm.so that is stripped of its symbols leaves those of the last collection.
func (vm *VM) Spaces() (Spaces, error) {
	var s Spaces
	vm.cache.Drop()
	if at, ok := vm.table.static("Threads", "_number_of_threads"); ok {
		if n, err := vm.u32(at); err == nil && n <= maxThreads {
			count := uint64(n)
			s.Threads = &count
		}
	}
	s.Metaspace = vm.metaspaceUsage(&nonclass)
	s.ClassSpace = vm.metaspaceUsage(&class)
	if s.Metaspace.Committed == nil {
		vm.countedSpaces(&s)
	}
	var err error
	s.CodeCache, err = vm.codeUsage()
	return s, err
}

// metaspaceUsage is what the counters of metaspace or class space say.
func (vm *VM) metaspaceUsage(c *metaContext) Usage {
	nodes, ok := vm.metaspaceNodes(c)
	if !ok {
		return Usage{}
	}
	u := Usage{Committed: &nodes.committed, Max: &nodes.reserved}
	if nodes.counted {
		u.Used = &nodes.used
	}
	return u
}

// countedSpaces takes the VM's performance counters, which collections bring up to date. Those of metaspace are of both.
func (vm *VM) countedSpaces(s *Spaces) {
	c, err := vm.perfCounters()
	if err != nil {
		return
	}
	all, class := c["sun.gc.metaspace.used"], c["sun.gc.compressedclassspace.used"]
	if all == 0 || class > all { // before the first collection
		return
	}
	used := all - class
	s.Metaspace.Used, s.ClassSpace.Used = &used, &class
	all, class2 := c["sun.gc.metaspace.capacity"], c["sun.gc.compressedclassspace.capacity"]
	if class2 <= all {
		committed := all - class2
		s.Metaspace.Committed, s.ClassSpace.Committed = &committed, &class2
	}
}

// codeUsage adds up the code heaps. A heap knows how many of its segments were ever used, and how many of these are free.
// These numbers are not exported: they follow the size of a segment, and are used where what surrounds them fits.
//
//	CodeHeap  …, committed segments, reserved segments, size of a segment, log2 of it, next segment, free list, last insertion, free segments
func (vm *VM) codeUsage() (Usage, error) {
	f := vm.find()
	shiftAt, memory := f.offset("CodeHeap", "_log2_segment_size"), f.offset("CodeHeap", "_memory")
	low, high := f.offset("VirtualSpace", "_low"), f.offset("VirtualSpace", "_high")
	if shiftAt < 3*word {
		f.note(false, "CodeHeap", "_log2_segment_size")
	}
	list, count, err := vm.heapList(f)
	if err := errors.Join(f.err(), err); err != nil {
		return Usage{}, err
	}
	var used, committed, reserved uint64
	known := vm.version.Major >= 9
	for i := range count {
		heap, err := vm.u64(list + i*word)
		if err != nil {
			return Usage{}, err
		}
		from, err := vm.u64(heap + memory + low)
		to, err2 := vm.u64(heap + memory + high)
		b, err3 := vm.bytes(heap+shiftAt-3*word, 8*word)
		if err := errors.Join(err, err2, err3); err != nil {
			return Usage{}, err
		}
		size, shift := to-from, uint64(b[3*word])
		if to < from || size > maxHeap || shift > 16 {
			return Usage{}, errors.New("code heaps: one of no sensible size")
		}
		committed += size
		next, free := le64(b[4*word:]), le64(b[7*word:])
		known = known && le64(b[2*word:]) == 1<<shift && le64(b)<<shift == size && next <= size>>shift && free <= next
		used += (next - free) << shift
	}
	for _, h := range vm.code.heaps {
		reserved += h.high - h.low
	}
	u := Usage{Committed: &committed, Max: &reserved}
	if known {
		u.Used = &used
	}
	return u, nil
}
