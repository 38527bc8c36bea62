package hotspot

import (
	"fmt"
	"testing"
)

// fakeJDKs are the layouts that there have been.
var fakeJDKs = []int{8, 11, 13, 17, 21, 23, 25, 26}

// newBuiltVM builds a VM as that JDK lays it out.
func newBuiltVM(tb testing.TB, jdk int) *builtVM {
	tb.Helper()
	v := &builtVM{fakeMemory: fakeMemory{}, tb: tb, symbols: map[string]uint64{}, ints: map[string]int64{}, text: 0x10000, heap: 0x100000}
	v.declare(jdk)
	v.class(jdk)
	v.codeHeap(jdk)
	v.fill(jdk)
	v.publish()
	return v
}

// declare makes the structures' layouts.
func (v *builtVM) declare(jdk int) {
	for name, size := range map[string]uint64{"u1": 1, "u2": 2, "int": 4, "size_t": 8} {
		v.types = append(v.types, fakeType{name, "", size})
	}
	if jdk < 22 {
		v.typ("JDK_Version", "", "*_current JDK_Version")
	}
	v.typ("Abstract_VM_Version", "", "*_s_vm_release char*", "*_vm_major_version int", "*_vm_minor_version int", "*_vm_security_version int", "*_vm_build_number int")
	v.typ("StubRoutines", "", "*_call_stub_return_address char*")
	v.typ("VirtualSpace", "", "_low_boundary char*", "_high_boundary char*")
	v.typ("CodeHeap", "", "_log2_segment_size int", "_memory VirtualSpace", "_m char*", "_segmap VirtualSpace", "_s char*")
	v.typ("HeapBlock::Header", "", "_length size_t", "_used u1")
	v.typ("HeapBlock", "", "_header HeapBlock::Header", "_h int")
	heaps := "*_heaps GrowableArray<int>*"
	if jdk == 8 {
		heaps = "*_heap CodeHeap*"
	}
	v.typ("CodeCache", "", heaps)
	base := "GrowableArrayBase"
	if jdk < 16 {
		base = "GenericGrowableArray"
	}
	v.typ(base, "", "_len int")
	v.typ("GrowableArray<int>", base, "_data int*")

	blob := []string{"_name char*", "_size int", "_frame_size int"}
	nmethod := []string{"_compile_id int", "_orig_pc_offset int", "_scopes_pcs_offset int"}
	super := "CodeBlob"
	switch {
	case jdk == 8:
		blob = append(blob, "_frame_complete_offset int", "_code_offset int", "_data_offset int")
		nmethod = append(nmethod, "_method Method*", "_deoptimize_offset int", "_metadata_offset int", "_scopes_data_offset int", "_dependencies_offset int")
	case jdk < 23:
		blob = append(blob, "_frame_complete_offset int", "_code_begin char*", "_code_end char*")
		nmethod = append(nmethod, "_metadata_offset int", "_dependencies_offset int")
		super = "CompiledMethod"
	default:
		blob = append(blob, "_frame_complete_offset u2", "_code_offset int", "_data_offset int", "_kind u1")
		nmethod = append(nmethod, "_method Method*", "_deopt_handler_offset int", "_immutable_data char*", "_immutable_data_size int", "_scopes_data_offset int")
		if jdk < 25 {
			nmethod = append(nmethod, "_metadata_offset u2")
		} else {
			blob = append(blob, "_mutable_data char*", "_mutable_data_size int", "_relocation_size int")
		}
		if jdk >= 26 {
			nmethod = append(nmethod, "_immutable_data_ref_count_offset int")
		}
		v.ints["CodeBlobKind::Nmethod"], v.ints["CodeBlobKind::RuntimeStub"] = 1, 6
	}
	v.typ("CodeBlob", "", blob...)
	v.typ("CompiledMethod", "CodeBlob", "_method Method*", "_scopes_data_begin char*", "_deopt_handler_begin char*")
	v.typ("nmethod", super, nmethod...)
	v.types = append(v.types, fakeType{"PcDesc", "", 16})
	v.structs = append(v.structs, fakeField{"PcDesc", "_pc_offset", "int", false, 0}, fakeField{"PcDesc", "_scope_decode_offset", "int", false, 4})

	v.typ("Method", "", "_constMethod ConstMethod*")
	flags := "_flags u2"
	v.ints["ConstMethod::_has_linenumber_table"] = 1
	if jdk >= 21 {
		flags = "_flags._flags int"
		delete(v.ints, "ConstMethod::_has_linenumber_table")
		v.ints["ConstMethodFlags::_misc_has_linenumber_table"] = 1
	}
	v.typ("ConstMethod", "", "_constants ConstantPool*", "_constMethod_size int", "_code_size u2", flags, "_name_index u2", "_signature_index u2")
	pool := []string{"_tags Array<u1>*", "_pool_holder InstanceKlass*", "_length int"}
	v.typ("Klass", "", "_name Symbol*")
	if jdk < 15 {
		v.typ("InstanceKlass", "Klass", "_constants ConstantPool*", "_source_file_name_index u2")
	} else {
		v.typ("InstanceKlass", "Klass", "_constants ConstantPool*")
		pool = append(pool, "_source_file_name_index u2")
	}
	v.typ("ConstantPool", "", pool...)
	v.typ("Array<int>", "", "_length int")
	v.types = append(v.types, fakeType{"Array<u1>", "", 8})
	v.structs = append(v.structs, fakeField{"Array<u1>", "_data", "u1", false, 4})
	length := "_length u2"
	if jdk == 13 { // 12 to 16
		length = "_length_and_refcount int"
	}
	v.typ("Symbol", "", length, "_body u1")
}

// class makes a.Outer with inner(), lines 10 to 12, and outer(int[]), lines 20 to 22.
func (v *builtVM) class(jdk int) {
	excess := byte(0)
	if jdk >= 20 {
		excess = 1
	}
	entries := []string{"", "inner", "()V", "outer", "([ILjava/lang/Object;)Z", "Outer.java"}
	pool := v.alloc(v.sizeof("ConstantPool") + 8*uint64(len(entries)))
	tags, klass := v.alloc(16), v.alloc(v.sizeof("InstanceKlass")+8)
	v.put32(tags, uint32(len(entries)))
	for i, s := range entries[1:] {
		v.put8(tags+4+uint64(i+1), tagUtf8)
		v.put64(pool+v.sizeof("ConstantPool")+8*uint64(i+1), v.utf8(s))
	}
	v.set(pool, "ConstantPool._tags", tags)
	v.set(pool, "ConstantPool._length", uint64(len(entries)))
	v.set(pool, "ConstantPool._pool_holder", klass)
	v.set(klass, "Klass._name", v.utf8("a/Outer"))
	v.set(klass, "InstanceKlass._constants", pool)
	if jdk < 15 {
		v.set(klass, "InstanceKlass._source_file_name_index", 5)
	} else {
		v.set(pool, "ConstantPool._source_file_name_index", 5)
	}
	v.inner = v.method(pool, 1, 2, 8, packLines(excess, [2]int{0, 10}, [2]int{4, 12}))
	v.outer = v.method(pool, 3, 4, 12, packLines(excess, [2]int{0, 20}, [2]int{5, 22}))
}

// codeHeap makes the code heap with two blobs.
func (v *builtVM) codeHeap(jdk int) {
	heap := v.alloc(v.sizeof("CodeHeap"))
	memory, _ := v.field("CodeHeap._memory")
	segmap, _ := v.field("CodeHeap._segmap")
	v.set(heap, "CodeHeap._log2_segment_size", fakeShift)
	v.set(heap+memory.value, "VirtualSpace._low_boundary", fakeCode)
	v.set(heap+memory.value, "VirtualSpace._high_boundary", fakeCode+64<<fakeShift)
	v.set(heap+segmap.value, "VirtualSpace._low_boundary", fakeSegmap)
	for i := range uint64(64) {
		v.put8(fakeSegmap+i, segmapFree)
	}
	if jdk == 8 {
		v.set(0, "CodeCache._heap", heap)
	} else {
		array, list := v.alloc(v.sizeof("GrowableArray<int>")), v.alloc(8)
		v.put64(list, heap)
		v.set(array, "GrowableArray<int>._len", 1)
		v.set(array, "GrowableArray<int>._data", list)
		v.set(0, "CodeCache._heaps", array)
	}
	v.nmethod, v.stub = v.block(4, 12), v.block(20, 4)
	if jdk < 22 {
		v.set(0, "JDK_Version._current", uint64(jdk))
	}
	v.set(0, "Abstract_VM_Version._vm_major_version", uint64(jdk))
	v.set(0, "Abstract_VM_Version._s_vm_release", v.string(fmt.Sprint(jdk, "-fake")))
}

// fill writes the nmethod of outer, with inner inlined at pc 16, and the stub.
func (v *builtVM) fill(jdk int) {
	excess := byte(0)
	if jdk >= 20 {
		excess = 1
	}
	const codeOffset, codeSize, size = 512, 128, 1400
	blob := func(at uint64, name string, kind, size, offset, code uint64) {
		v.set(at, "CodeBlob._name", v.string(name))
		v.set(at, "CodeBlob._size", size)
		v.set(at, "CodeBlob._frame_size", 4)
		if v.has("CodeBlob._code_begin") {
			v.set(at, "CodeBlob._code_begin", at+offset)
			v.set(at, "CodeBlob._code_end", at+offset+code)
		} else {
			v.set(at, "CodeBlob._code_offset", offset)
			v.set(at, "CodeBlob._data_offset", offset+code)
		}
		if v.has("CodeBlob._kind") {
			v.set(at, "CodeBlob._kind", kind)
		}
	}
	blob(v.stub, "a stub of the VM", 6, 400, 200, 100)
	blob(v.nmethod, "nmethod", 1, size, codeOffset, codeSize)
	v.code = v.nmethod + codeOffset

	scopes := []byte{0}
	scope := func(sender, method, bci uint32) uint32 {
		at := uint32(len(scopes))
		for _, n := range []uint32{sender, method, bci + 1} {
			scopes = append(scopes, pack5(n, excess)...)
		}
		return at
	}
	sender := scope(0, 1, 5)
	inlined := scope(sender, 2, 4)
	later := scope(0, 1, 0)
	for len(scopes)%8 != 0 {
		scopes = append(scopes, 0)
	}
	pcs := []uint32{0xffffffff, 0, 16, inlined, 32, later, 1 << 20, 0}

	// In the blob: metadata, scopes, pcs, each where the release has it.
	metadata, data, desc := v.nmethod+800, v.nmethod+816, v.nmethod+816+uint64(len(scopes))
	set := func(field string, value uint64) { v.set(v.nmethod, "nmethod."+field, value) }
	switch {
	case jdk == 8:
		set("_metadata_offset", metadata-v.nmethod)
		set("_scopes_data_offset", data-v.nmethod)
		set("_scopes_pcs_offset", desc-v.nmethod)
		set("_dependencies_offset", desc-v.nmethod+64)
	case jdk < 23:
		set("_metadata_offset", metadata-v.nmethod)
		set("_scopes_data_begin", data)
		set("_scopes_pcs_offset", desc-v.nmethod)
		set("_dependencies_offset", desc-v.nmethod+64)
	default:
		immutable := v.alloc(512)
		desc, data = immutable+40, immutable+40+64
		set("_immutable_data", immutable)
		set("_scopes_pcs_offset", 40)
		set("_scopes_data_offset", 40+64)
		set("_immutable_data_size", 40+64+uint64(len(scopes))+4)
		if jdk >= 26 {
			set("_immutable_data_ref_count_offset", 40+64+uint64(len(scopes)))
		}
		if jdk < 25 {
			set("_metadata_offset", metadata-v.code-codeSize)
		} else {
			mutable := v.alloc(64)
			metadata = mutable + 24
			v.set(v.nmethod, "CodeBlob._mutable_data", mutable)
			v.set(v.nmethod, "CodeBlob._relocation_size", 24)
			v.set(v.nmethod, "CodeBlob._mutable_data_size", 40)
		}
	}
	v.put64(metadata, v.outer)
	v.put64(metadata+8, v.inner)
	v.write(data, scopes)
	for i := 0; i < len(pcs); i += 2 {
		v.put32(desc+uint64(i)*8, pcs[i])
		v.put32(desc+uint64(i)*8+4, pcs[i+1])
	}
	set("_compile_id", fakeCompile)
	set("_method", v.outer)
}
