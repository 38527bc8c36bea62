package hotspot

import (
	"errors"
	"fmt"
	"strconv"
)

// Usage is how much of something is in use, committed, and may be at most, in bytes. Nil is not known.
type Usage struct{ Used, Committed, Max *uint64 }

// collectorFlags are the collectors by the flags that choose them.
var collectorFlags = map[string]string{"G1": "UseG1GC", "Serial": "UseSerialGC", "Parallel": "UseParallelGC", "Z": "UseZGC",
	"Shenandoah": "UseShenandoahGC", "Epsilon": "UseEpsilonGC", "CMS": "UseConcMarkSweepGC"}

// Collector returns the name of the garbage collector, "" if it is none that is known.
func (vm *VM) Collector() string {
	for name, flag := range collectorFlags {
		if vm.isSet(flag) {
			return name
		}
	}
	return ""
}

const maxPartitions = 1 << 10

// HeapUsage returns what the VM says of its heap: Max is what -Xmx gives. Used and Committed are counted by the collector's own
// books; while the program runs they are of about now.
func (vm *VM) HeapUsage() (Usage, error) {
	var u Usage
	text, _ := vm.Flag("MaxHeapSize")
	if n, err := strconv.ParseUint(text, 10, 64); err == nil && n > 0 {
		u.Max = &n
	}
	vm.cache.Drop()
	s := &sum{vm: vm, f: vm.find()}
	heap := s.pointer(s.f.static("Universe", "_collectedHeap"))
	collector := vm.Collector()
	switch collector {
	case "G1":
		s.g1(heap)
	case "Serial":
		s.serial(heap)
	case "Parallel":
		s.parallel()
	case "Shenandoah":
		s.shenandoah(heap)
	case "Z":
		s.z(heap)
	default:
		return u, fmt.Errorf("usage of the heap: not known of the collector %q", collector)
	}
	if err := errors.Join(s.f.err(), s.err); err != nil {
		return u, fmt.Errorf("usage of the heap: %w", err)
	}
	if s.used > maxAddress || s.committed > maxAddress {
		return u, fmt.Errorf("usage of the heap: %d bytes of %d", s.used, s.committed)
	}
	u.Used, u.Committed = &s.used, &s.committed
	return u, nil
}

// sum adds up what a collector's structures say.
type sum struct {
	vm              *VM
	f               *finder
	err             error
	used, committed uint64
}

// pointer reads a word; 0 if it cannot, after which all that follows is void.
func (s *sum) pointer(at uint64) uint64 {
	if s.err != nil || len(s.f.missing) > 0 {
		return 0
	}
	v, err := s.vm.u64(at)
	if err != nil {
		s.err = err
	}
	return v
}

// space adds a space of objects: it is filled from its bottom to its top.
func (s *sum) space(typ string, at uint64) {
	bottom := s.pointer(at + s.f.offset(typ, "_bottom"))
	top, end := s.pointer(at+s.f.offset(typ, "_top")), s.pointer(at+s.f.offset(typ, "_end"))
	if bottom > top || top > end {
		s.err = errors.Join(s.err, fmt.Errorf("a space from %#x to %#x that is filled up to %#x", bottom, end, top))
		return
	}
	s.used += top - bottom
	s.committed += end - bottom
}

// g1 takes G1's own sum, which is without the few regions that are just being filled.
func (s *sum) g1(heap uint64) {
	holder, typ := heap, "G1CollectedHeap"
	if _, ok := s.vm.table.offset(typ, "_summary_bytes_used"); !ok { // 8
		holder, typ = s.pointer(heap+s.f.offset(typ, "_allocator")), "G1Allocator"
	}
	s.used = s.pointer(holder + s.f.offset(typ, "_summary_bytes_used"))
	books := s.pointer(heap + s.f.offset("G1CollectedHeap", "_monitoring_support", "_g1mm"))
	s.committed = s.pointer(books+s.f.offset("G1MonitoringSupport", "_eden_space_committed", "_eden_committed")) +
		s.pointer(books+s.f.offset("G1MonitoringSupport", "_survivor_space_committed", "_survivor_committed")) +
		s.pointer(books+s.f.offset("G1MonitoringSupport", "_old_gen_committed", "_old_committed"))
}

func (s *sum) serial(heap uint64) {
	var young, old uint64
	if gens, ok := s.vm.table.offset("GenCollectedHeap", "_gens"); ok { // 8
		young, old = s.pointer(heap+gens), s.pointer(heap+gens+word)
		s.space("ContiguousSpace", s.pointer(old+s.f.offset("OneContigSpaceCardGeneration", "_the_space")))
	} else {
		young, old = s.pointer(heap+s.f.offset("SerialHeap", "_young_gen")), s.pointer(heap+s.f.offset("SerialHeap", "_old_gen"))
		s.space("ContiguousSpace", s.pointer(old+s.f.offset("TenuredGeneration", "_the_space")))
	}
	for _, name := range []string{"_eden_space", "_from_space"} { // the other survivor space stays empty
		s.space("ContiguousSpace", s.pointer(young+s.f.offset("DefNewGeneration", name)))
	}
}

func (s *sum) parallel() {
	young, old := s.pointer(s.f.static("ParallelScavengeHeap", "_young_gen")), s.pointer(s.f.static("ParallelScavengeHeap", "_old_gen"))
	for _, name := range []string{"_eden_space", "_from_space"} {
		s.space("MutableSpace", s.pointer(young+s.f.offset("PSYoungGen", name)))
	}
	s.space("MutableSpace", s.pointer(old+s.f.offset("PSOldGen", "_object_space")))
}

func (s *sum) shenandoah(heap uint64) {
	s.committed = s.pointer(heap + s.f.offset("ShenandoahHeap", "_committed"))
	if at, ok := s.vm.table.offset("ShenandoahHeap", "_used"); ok { // before 24
		s.used = s.pointer(heap + at)
		return
	}
	all := s.pointer(heap + s.f.offset("ShenandoahHeap", "_global_generation"))
	s.used = s.pointer(all + s.f.offset("ShenandoahGeneration", "_used"))
}

func (s *sum) z(heap uint64) {
	letter := s.vm.zLetter()
	allocator := heap + s.f.offset(letter+"CollectedHeap", "_heap") + s.f.offset(letter+"Heap", "_page_allocator")
	partitions, ok := s.vm.table.offset("ZPageAllocator", "_partitions")
	if !ok { // before 25
		s.used = s.pointer(allocator + s.f.offset(letter+"PageAllocator", "_used"))
		s.committed = s.pointer(allocator + s.f.offset(letter+"PageAllocator", "_capacity"))
		return
	}
	// One for each node of memory, 4 KiB apart.
	const apart = 4 << 10
	first := s.pointer(allocator + partitions + s.f.offset("ZPerNUMAZPartition", "_addr"))
	n := s.pointer(s.f.static("ZNUMA", "_count")) & (1<<32 - 1)
	if n > maxPartitions {
		s.err = fmt.Errorf("%d partitions", n)
		return
	}
	for i := range n {
		s.used += s.pointer(first + i*apart + s.f.offset("ZPartition", "_used"))
		s.committed += s.pointer(first + i*apart + s.f.offset("ZPartition", "_capacity"))
	}
}
