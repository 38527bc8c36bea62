package hotspot

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// noise is a memory in which each address below 2^47 can be read and leads into the same few bytes, so that every pointer,
// length and list that they may be is followed.
type noise []byte

func (n noise) Read(addr uint64, p []byte) error {
	if addr >= 1<<47 || len(n) == 0 {
		return errors.New("nothing there")
	}
	for at := addr % uint64(len(n)); len(p) > 0; at = 0 {
		p = p[copy(p, n[at:]):]
	}
	return nil
}

// fakeVM is a VM whose tables are as JDK 25, 17 or 8 have them, and whose memory is not.
func fakeVM(memory Memory, version int, flags string) *VM {
	cache := NewPageCache(memory)
	vm := &VM{reader: reader{cache}, raw: reader{memory}, cache: cache, fresh: NewPageCache(memory), version: Version{Major: version}, flags: map[string]flag{}}
	vm.symbols = symbolLayout{length: 4, body: 6}
	vm.table = &table{fields: map[fieldKey]field{}, sizes: map[string]uint64{
		"ConstantPool": 72, "ZHeap": 1024, "ZPageAllocator": 64, "ZForwarding": 184, "ThreadsList": 32,
	}, ints: map[string]int64{
		"Klass::_lh_header_size_shift": 16, "Klass::_lh_header_size_mask": 255, "markWord::klass_shift": 42, "ZGranuleSizeShift": 21,
		"FieldInfo::FieldFlags::_ff_injected": 1, "FieldInfo::FieldFlags::_ff_generic": 2, "FieldInfo::FieldFlags::_ff_contended": 4, "FieldInfo::FieldFlags::_ff_initialized": 0,
	}}
	for name, value := range map[string]uint64{
		"Klass._layout_helper": 8, "Klass._super": 120, "oopDesc._mark": 0, "oopDesc._metadata._klass": 8, "OopHandle._obj": 0,
		"InstanceKlass._constants": 224, "CollectedHeap._total_collections": 80, "CollectedHeap._is_gc_active": 64,
		"JavaThread._osthread": 560, "OSThread._thread_id": 12, "JavaThread._threadObj": 1120, "JavaThread._next": 16,
		"ThreadsList._length": 4, "ThreadsList._threads": 16, "Array<int>._length": 0, "Array<u1>._data": 4, "Array<u2>._data": 4,
		"ZGlobalsForVMStructs._ZPointerLoadGoodMask": 8, "ZGlobalsForVMStructs._ZPointerLoadBadMask": 16,
		"ZGlobalsForVMStructs._ZPointerStoreGoodMask": 40, "ZGlobalsForVMStructs._ZAddressOffsetMask": 0, "ZGlobalsForVMStructs._ZPointerLoadShift": 24,
		"ZForwarding._virtual": 0, "ZVirtualMemory._start": 0, "ZForwarding._object_alignment_shift": 16, "ZForwarding._entries": 24,
		"ZAttachedArrayForForwarding._length": 0, "ZCollectedHeap._heap": 192, "ZHeap._page_table": 384, "ZPageTable._map": 0,
		"ZGranuleMapForForwarding._map": 8, "ZHeap._page_allocator": 0,
	} {
		typ, name, _ := strings.Cut(name, ".")
		vm.table.fields[fieldKey{typ, name}] = field{value: value}
	}
	for i, name := range []string{
		"SystemDictionary._well_known_klasses[SystemDictionary::Thread_klass_knum]", "SystemDictionary._well_known_klasses[SystemDictionary::String_klass_knum]",
		"CompressedOops._base", "CompressedOops._shift", "CompressedKlassPointers._base", "CompressedKlassPointers._shift",
		"Universe._collectedHeap", "Threads._number_of_threads", "ThreadsSMRSupport._java_thread_list", "Threads._thread_list", "ZGlobalsForVMStructs._instance_p",
	} {
		typ, name, _ := strings.Cut(name, ".")
		vm.table.fields[fieldKey{typ, name}] = field{static: true, value: 0x1000 + 8*uint64(i)}
	}
	fields := "_fieldinfo_stream"
	if version < 21 {
		fields = "_fields"
		vm.table.fields[fieldKey{"InstanceKlass", "_java_fields_count"}] = field{value: 310}
	}
	vm.table.fields[fieldKey{"InstanceKlass", fields}] = field{value: 448}
	if version > 8 {
		vm.table.fields[fieldKey{"JavaThread", "_threadObj"}] = field{value: 1120, typ: "OopHandle"}
		vm.table.fields[fieldKey{"JavaThread", "_vthread"}] = field{value: 1128}
	} else {
		delete(vm.table.sizes, "ThreadsList")
	}
	for _, name := range strings.Fields(flags) {
		vm.flags[name] = flag{"bool", 0x2000}
	}
	return vm
}

// FuzzThreads reads threads from noise: it ends, and holds what it promises.
func FuzzThreads(f *testing.F) {
	seed := make([]byte, 4096)
	for i := range seed {
		seed[i] = byte(i * 7 >> 3)
	}
	f.Add(seed, uint8(0), uint8(0))
	f.Add(slices.Repeat([]byte{0x10, 0x20, 0, 0, 1, 0, 0, 0}, 512), uint8(1), uint8(3))
	f.Add(slices.Repeat([]byte{1, 0, 0, 0, 0, 0, 0, 0, 8, 0x10, 0, 0, 0, 0, 0, 0}, 64), uint8(2), uint8(7))
	f.Fuzz(func(t *testing.T, data []byte, version, kind uint8) {
		flags := []string{"", "UseCompressedOops UseCompressedClassPointers", "UseCompressedOops UseCompactObjectHeaders", "UseZGC", "UseZGC UseCompactObjectHeaders", "UseShenandoahGC UseCompressedOops"}
		vm := fakeVM(noise(data), []int{8, 17, 25}[version%3], flags[int(kind)%len(flags)])
		begin := time.Now()
		if _, err := vm.objects(); err == nil && kind >= 128 { // past what noise is rarely like: java.lang.Thread's fields
			vm.threadList.threads = &threadLayout{
				osthread: 560, id: 12, object: 1120, virtual: 1128, handles: version%3 != 0, hasVirtual: version%3 == 2,
				list: 0x1040, length: 4, threads: 16, count: 0x1038, name: 12, tid: 16, eetop: 24,
			}
			if version%3 == 0 {
				vm.threadList.threads.next = 16
			}
		}
		if vm.heap == nil && kind >= 64 {
			vm.heap = &heap{isThread: map[uint64]bool{}, narrow: kind&1 != 0, klassNarrow: true, klassAt: 8, lengthAt: 12, layoutAt: 8, superAt: 120,
				headerShift: 16, headerMask: 255, threadKlass: 8, stringKlass: 16, concurrent: kind&2 != 0, epoch: epochLayout{0x80, 0x90, 0}}
		}
		threads, err := vm.Threads()
		if err != nil && threads != nil {
			t.Error("threads and an error")
		}
		size := 0
		for _, th := range threads {
			size += len(th.Name)
			if th.TID <= 0 || th.Name != "" && !th.Named {
				t.Errorf("thread %+v", th)
			}
		}
		if len(threads) > maxThreads || size > maxNames {
			t.Errorf("%d threads, %d bytes of names", len(threads), size)
		}
		if kind&8 != 0 {
			vm.cont = contLayout{ok: true, entry: 1136, entrySize: 64, returnPC: 0x1048, barrier: 0x10, layoutAt: 8}
		}
		if m := vm.Capture(1, 0x1000, data); m.Virtual != nil && len(m.Virtual.Name) > maxNames {
			t.Errorf("%d bytes of a name", len(m.Virtual.Name))
		}
		vm.Mounts(data)
		vm.Flag("UseZGC")
		if took := time.Since(begin); took > maxReading+5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// FuzzFields reads streams of fields.
func FuzzFields(f *testing.F) {
	f.Add(packed(1, 0, 10, 11, 12, 2, 0), 1)
	f.Fuzz(func(t *testing.T, data []byte, count int) {
		if fields, err := parseFieldStream(data, usualBits); err == nil && len(fields)*5 > len(data) {
			t.Errorf("%d fields in %d bytes", len(fields), len(data))
		}
		if count >= 0 {
			if fields, err := parseFieldArray(data, count); err == nil && len(fields) != count {
				t.Errorf("%d fields, want %d", len(fields), count)
			}
		}
	})
}
