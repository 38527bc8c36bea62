package hotspot

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeFacts is a fakeVM whose tables know what a JVM's memory is for, too.
func fakeFacts(memory Memory, version int, collector string) *VM {
	vm := fakeVM(memory, version, "UseCompressedClassPointers "+collector)
	for name, value := range map[string]uint64{
		"CollectedHeap._reserved": 48, "MemRegion._start": 0, "MemRegion._word_size": 8, "JavaThread._stack_base": 1048, "JavaThread._stack_size": 1056,
		"ClassLoaderData._next": 112, "ClassLoaderData._klasses": 56, "Klass._next_link": 144, "Klass._name": 24, "Klass._java_mirror": 112,
		"InstanceKlass._methods": 408, "CardTableBarrierSet._card_table": 72, "CardTable._byte_map": 40, "CardTable._byte_map_size": 32,
		"G1CollectedHeap._hrm": 408, "G1CollectedHeap._summary_bytes_used": 664, "G1CollectedHeap._monitoring_support": 968,
		"G1MonitoringSupport._eden_space_committed": 712, "G1MonitoringSupport._survivor_space_committed": 728, "G1MonitoringSupport._old_gen_committed": 704,
		"SerialHeap._young_gen": 112, "SerialHeap._old_gen": 120, "TenuredGeneration._the_space": 216, "ContiguousSpace._bottom": 0,
		"ContiguousSpace._end": 8, "ContiguousSpace._top": 16, "DefNewGeneration._eden_space": 656, "DefNewGeneration._from_space": 664,
		"MutableSpace._bottom": 32, "MutableSpace._end": 48, "MutableSpace._top": 40, "PSYoungGen._eden_space": 32, "PSYoungGen._from_space": 40,
		"PSOldGen._object_space": 24, "PSVirtualSpace._reserved_low_addr": 16, "PSVirtualSpace._reserved_high_addr": 24,
		"PSVirtualSpace._committed_low_addr": 32, "PSVirtualSpace._committed_high_addr": 40, "ShenandoahHeap._committed": 424,
		"ShenandoahHeap._global_generation": 1640, "ShenandoahGeneration._used": 192, "ZPageAllocator._partitions": 312, "ZPerNUMAZPartition._addr": 0,
		"ZPartition._used": 1712, "ZPartition._capacity": 1696, "PerfDataEntry.entry_length": 0, "PerfDataEntry.name_offset": 4,
		"PerfDataEntry.data_offset": 16, "PerfDataEntry.vector_length": 8, "PerfDataEntry.data_type": 12, "CodeHeap._log2_segment_size": 248,
		"CodeHeap._memory": 0, "VirtualSpace._low": 16, "VirtualSpace._high": 24, "GrowableArray<int>._data": 16, "GrowableArrayBase._len": 0,
		"BasicHashtable<mtInternal>._table_size": 0, "BasicHashtable<mtInternal>._buckets": 8, "BasicHashtable<mtInternal>._first_free_entry": 24,
		"BasicHashtable<mtInternal>._free_list": 16, "HashtableBucket<mtInternal>._entry": 0, "BasicHashtableEntry<mtInternal>._next": 8,
		"IntptrHashtableEntry._literal": 16,
	} {
		typ, name, _ := strings.Cut(name, ".")
		vm.table.fields[fieldKey{typ, name}] = field{value: value}
	}
	for i, name := range []string{
		"ClassLoaderDataGraph._head", "MetaspaceObj._shared_metaspace_base", "MetaspaceObj._shared_metaspace_top", "BarrierSet._barrier_set",
		"ParallelScavengeHeap._young_gen", "ParallelScavengeHeap._old_gen", "ZNUMA._count", "PerfMemory._start", "PerfMemory._top",
		"java_lang_Class._klass_offset", "CodeCache._heaps", "SystemDictionary._dictionary", "SystemDictionary._well_known_klasses[SystemDictionary::Class_klass_knum]",
	} {
		typ, name, _ := strings.Cut(name, ".")
		vm.table.fields[fieldKey{typ, name}] = field{static: true, value: 0x1100 + 8*uint64(i)}
	}
	for name, size := range map[string]uint64{"G1CollectedHeap": 1680, "ShenandoahHeap": 2848, "PerfDataPrologue": 32} {
		vm.table.sizes[name] = size
	}
	for i, name := range []string{"MaxHeapSize", "CompressedClassSpaceSize", "MarkStackSize", "MarkStackSizeMax", "ZMarkStackSpaceLimit"} {
		vm.flags[name] = flag{"size_t", 0x2100 + 8*uint64(i)}
	}
	vm.methodLayout.klassName = 24
	vm.code = &codeCache{}
	vm.locals = map[string]uint64{}
	for i, name := range localNames {
		vm.locals[name] = 0x2200 + 8*uint64(i)
	}
	return vm
}

// FuzzFacts asks for all that is known of a JVM's memory where there is only noise: it ends, and holds what it promises.
func FuzzFacts(f *testing.F) {
	seed := make([]byte, 4096)
	for i := range seed {
		seed[i] = byte(i * 7 >> 3)
	}
	f.Add(seed, uint8(0), uint8(0))
	f.Add(slices.Repeat([]byte{0x10, 0x20, 0, 0, 1, 0, 0, 0}, 512), uint8(1), uint8(131))
	f.Add(slices.Repeat([]byte{1, 0, 0, 0, 0, 0, 0, 0, 8, 0x10, 0, 0, 0, 0, 0, 0}, 64), uint8(2), uint8(199))
	f.Fuzz(func(t *testing.T, data []byte, version, kind uint8) {
		collectors := []string{"UseG1GC", "UseSerialGC", "UseParallelGC", "UseZGC", "UseShenandoahGC"}
		vm := fakeFacts(noise(data), []int{8, 17, 25}[version%3], collectors[int(kind)%len(collectors)])
		if kind >= 64 {
			vm.heap = &heap{isThread: map[uint64]bool{}, narrow: kind&1 != 0, klassNarrow: true, klassAt: 8, lengthAt: 12, layoutAt: 8, superAt: 120,
				headerShift: 16, headerMask: 255, threadKlass: 8, stringKlass: 16, concurrent: kind&2 != 0, epoch: epochLayout{0x80, 0x90, 0}}
			if kind&4 != 0 {
				vm.heap.z = &zgc{good: 8, bad: 16, offsetMask: 1<<42 - 1, generational: kind&8 != 0, layout: zForwarding{granule: 21}}
			}
		}
		if kind&16 != 0 && version%3 > 0 {
			vm.threadList.threads = &threadLayout{osthread: 560, id: 12, object: 1120, handles: true, list: 0x1040, length: 4, threads: 16, count: 0x1038}
		}
		begin := time.Now()
		for range 2 { // the second time with what is remembered of the first
			regions, _ := vm.Regions()
			for i, r := range regions {
				if r.Start >= r.End || r.End > maxAddress || i > 0 && regions[i-1].End > r.Start || (r.TID != 0) != (r.Purpose == ThreadStack) {
					t.Fatalf("%+v", regions[max(i-1, 0):i+1])
				}
			}
			u, err := vm.HeapUsage()
			if err == nil && (*u.Used > maxAddress || *u.Committed > maxAddress) {
				t.Errorf("a heap of %d bytes, %d used", *u.Committed, *u.Used)
			}
			s, _ := vm.Spaces()
			for _, u := range []Usage{s.Metaspace, s.ClassSpace, s.CodeCache} {
				if u.Used != nil && u.Max != nil && (*u.Used > *u.Committed || *u.Committed > *u.Max && u != s.CodeCache) {
					t.Errorf("%s used, %s committed, %s reserved", show(u.Used), show(u.Committed), show(u.Max))
				}
			}
			list, _ := vm.DirectMemory()
			for _, d := range list {
				if d.Class == "" || d.Used == nil || int64(*d.Used) < 0 {
					t.Errorf("%+v", d)
				}
			}
			vm.Rest()
		}
		if took := time.Since(begin); took > 4*maxGraph+2*maxReading {
			t.Errorf("it took %v", took)
		}
	})
}
