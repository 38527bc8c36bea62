package hotspot

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// blobKind is what the code of a blob is for.
type blobKind uint8

const (
	blobStub        blobKind = iota + 1 // StubRoutines, and buffers of other kinds: no frame of its own size
	blobRuntimeStub                     // a stub that calls into the VM; it has a frame of frameSize words
	blobInterpreter
	blobNmethod // compiled from bytecode
	blobNative  // the wrapper of a native method; an nmethod too
	blobVtable  // no frame yet: the return address is on top
	blobAdapter // likewise
	blobMethodHandle
	blobDeopt
	blobException
	blobSafepoint
	blobUncommonTrap
	blobUpcall
)

// blob is a CodeBlob: a piece of generated code and what the VM says of it. It is not changed after it is made.
type blob struct {
	kind               blobKind
	addr, end          uint64 // of the structure; code, relocations and all else lie in it
	name               string
	nameAddr           uint64
	codeBegin, codeEnd uint64
	frameSize          int32 // words, with return address and saved frame pointer; 0 or less if it makes none
	frameComplete      int32 // offset in the code from where on the frame is made, < 0: never

	// Of nmethods only.
	compileID uint32
	method    uint64
	deopt     uint64 // the pc that a deoptimized frame is made to return to; 0 if there is none
	deoptMH   uint64 // likewise in calls of method handles
	origPC    uint32 // offset from the frame's (unextended) sp of the pc that the frame had before
	debug     debug
	debugErr  error // why debug is not known
}

// isNmethod: also the wrapper of a native method is one.
func (b *blob) isNmethod() bool { return b.kind == blobNmethod || b.kind == blobNative }

// physical describes a frame whose pc lies in the blob's code.
func (b *blob) physical(pc uint64) Physical {
	p := Physical{Kind: Stub, Addr: b.addr, Pos: uint32(pc - b.codeBegin), Check: uint32(b.nameAddr)}
	if b.isNmethod() {
		p.Kind, p.Check = Compiled, b.compileID
	}
	return p
}

// blobLayout is where a blob keeps what. Code is given by addresses from 9 to 22, else by offsets from the blob.
type blobLayout struct {
	size, nmethodSize         uint64
	name, length              uint64
	codeBegin, codeEnd        uint64
	pointers                  bool // codeBegin, codeEnd, deopt and deoptMH are addresses
	frameSize, frameComplete  uint64
	frameCompleteWidth        int
	kind                      uint64
	kinds                     map[uint8]blobKind // empty: by name
	method, compileID, origPC uint64
	deopt, deoptMH            uint64
	hasDeoptMH                bool
}

// kindNames: the enum that is exported since 24, and the names that blobs have had since 8.
var kindNames = []struct {
	constant, name string
	kind           blobKind
}{
	{"Nmethod", "nmethod", blobNmethod},
	{"", "native nmethod", blobNative},
	{"", "Interpreter", blobInterpreter},
	{"Buffer", "", blobStub},
	{"Vtable", "vtable chunks", blobVtable},
	{"Adapter", "I2C/C2I adapters", blobAdapter},
	{"MHAdapter", "MethodHandles adapters", blobMethodHandle},
	{"RuntimeStub", "", blobRuntimeStub},
	{"Deoptimization", "DeoptimizationBlob", blobDeopt},
	{"Exception", "ExceptionBlob", blobException},
	{"Safepoint", "SafepointBlob", blobSafepoint},
	{"UncommonTrap", "UncommonTrapBlob", blobUncommonTrap},
	{"Upcall", "upcall_stub", blobUpcall},
	{"", "optimized_upcall_stub", blobUpcall}, // 17, 18
}

func newBlobLayout(f *finder) *blobLayout {
	l := &blobLayout{
		size: f.size("CodeBlob"), nmethodSize: f.size("nmethod"),
		name: f.offset("CodeBlob", "_name"), length: f.offset("CodeBlob", "_size"),
		frameSize: f.offset("CodeBlob", "_frame_size"), frameComplete: f.offset("CodeBlob", "_frame_complete_offset"),
		method: f.offset("nmethod", "_method"), compileID: f.offset("nmethod", "_compile_id"), origPC: f.offset("nmethod", "_orig_pc_offset"),
		deopt: f.offset("nmethod", "_deopt_handler_begin", "_deoptimize_offset", "_deopt_handler_offset", "_deopt_handler_entry_offset"),
		kinds: map[uint8]blobKind{},
	}
	if _, l.pointers = f.table.offset("CodeBlob", "_code_begin"); l.pointers {
		l.codeBegin, l.codeEnd = f.offset("CodeBlob", "_code_begin"), f.offset("CodeBlob", "_code_end")
	} else {
		l.codeBegin, l.codeEnd = f.offset("CodeBlob", "_code_offset"), f.offset("CodeBlob", "_data_offset")
	}
	mh := []string{"_deopt_mh_handler_begin", "_deoptimize_mh_offset", "_deopt_mh_handler_offset"}
	if _, l.hasDeoptMH = f.table.offset("nmethod", mh...); l.hasDeoptMH {
		l.deoptMH = f.offset("nmethod", mh...)
	}
	var ok bool
	l.frameCompleteWidth, ok = f.table.width("CodeBlob", "_frame_complete_offset")
	f.note(ok, "CodeBlob", "_frame_complete_offset's width")
	if _, ok = f.table.offset("CodeBlob", "_kind"); ok {
		l.kind = f.offset("CodeBlob", "_kind")
		for _, k := range kindNames {
			if n, ok := f.table.constant("CodeBlobKind::" + k.constant); ok {
				l.kinds[uint8(n)] = k.kind
			}
		}
	}
	return l
}

// spare bytes are read after a structure, since its last field may be smaller than what is read of it.
const spare = 8

// at returns the blob that a structure at addr describes, in a block that ends at end.
func (l *blobLayout) at(mem reader, addr, end uint64) (*blob, error) {
	p, err := mem.bytes(addr, int(l.size)+spare)
	if err != nil {
		return nil, fmt.Errorf("code blob at %#x: %w", addr, err)
	}
	size := uint64(le32(p[l.length:]))
	b := &blob{
		addr: addr, end: addr + size, nameAddr: le64(p[l.name:]),
		codeBegin: l.address(addr, p[l.codeBegin:]), codeEnd: l.address(addr, p[l.codeEnd:]),
		frameSize: int32(le32(p[l.frameSize:])), frameComplete: int32(le32(p[l.frameComplete:])),
	}
	if l.frameCompleteWidth == 2 {
		b.frameComplete = int32(int16(b.frameComplete))
	}
	if b.end > end || b.codeBegin < addr+l.size || b.codeEnd < b.codeBegin || b.codeEnd > b.end || b.frameSize > maxOffset {
		return nil, fmt.Errorf("code blob at %#x: %d bytes, code [%#x, %#x), frame of %d words", addr, size, b.codeBegin, b.codeEnd, b.frameSize)
	}
	if b.name, err = mem.cstring(b.nameAddr, maxName); err != nil {
		return nil, fmt.Errorf("name of the code blob at %#x: %w", addr, err)
	}
	if b.name == "" || !utf8.ValidString(b.name) {
		return nil, fmt.Errorf("code blob at %#x: its name is %q", addr, b.name)
	}
	b.kind = l.kindOf(b, p)
	return b, nil
}

// nmethod fills in what the structure p says of an nmethod.
func (b *blob) nmethod(l *blobLayout, p []byte) {
	b.compileID, b.method, b.origPC = le32(p[l.compileID:]), le64(p[l.method:]), le32(p[l.origPC:])
	b.deopt = b.inside(l.address(b.addr, p[l.deopt:]))
	if l.hasDeoptMH {
		b.deoptMH = b.inside(l.address(b.addr, p[l.deoptMH:]))
	}
}

// inside returns an address that lies in the blob's code or the stubs after it, else 0: -1 stands for `none`.
func (b *blob) inside(addr uint64) uint64 {
	if addr < b.codeBegin || addr >= b.end {
		return 0
	}
	return addr
}

func (l *blobLayout) address(addr uint64, p []byte) uint64 {
	if l.pointers {
		return le64(p)
	}
	return addr + uint64(le32(p))
}

// kindOf trusts the enum where it is exported, and asks the name for what the enum does not tell.
func (l *blobLayout) kindOf(b *blob, p []byte) blobKind {
	kind := l.kinds[p[l.kind]]
	if kind != 0 && kind != blobNmethod && kind != blobStub {
		return kind
	}
	for _, k := range kindNames {
		if k.name == b.name || k.name != "" && k.kind != blobNmethod && strings.HasPrefix(b.name, k.name) {
			return k.kind
		}
	}
	if kind == 0 && b.frameSize > 0 {
		return blobRuntimeStub
	}
	return max(kind, blobStub)
}

// maxBlobs bounds the cache of blobs.
const maxBlobs = 1 << 14

// blobFor returns the blob whose code pc lies in. What it knows is at most 200 ms old, for code is freed and its place used
// again. ErrGone: nothing is there (any more).
func (vm *VM) blobFor(pc uint64) (*blob, error) {
	b, ok := vm.knownBlob(pc)
	if !ok {
		var err error
		if b, err = vm.blobAround(pc); err != nil {
			return nil, err
		}
		vm.blobs[pc] = b
	}
	if pc < b.codeBegin || pc >= b.codeEnd {
		return nil, fmt.Errorf("%#x lies outside of the code of %s at %#x", pc, b.name, b.addr)
	}
	return b, nil
}

// blobAt returns the blob whose structure begins at addr.
func (vm *VM) blobAt(addr uint64) (*blob, error) {
	if b, ok := vm.knownBlob(addr); ok && b.addr == addr {
		return b, nil
	}
	b, err := vm.blobAround(addr)
	if err != nil {
		return nil, err
	}
	if b.addr != addr {
		return nil, fmt.Errorf("%w: no blob begins at %#x", ErrGone, addr)
	}
	vm.blobs[addr] = b
	return b, nil
}

// knownBlob looks a blob up by an address that it was asked for by.
func (vm *VM) knownBlob(addr uint64) (*blob, bool) {
	if g := vm.cache.generation(); g != vm.blobsOf || len(vm.blobs) >= maxBlobs {
		clear(vm.blobs)
		vm.blobsOf = g
	}
	b, ok := vm.blobs[addr]
	return b, ok
}

func (vm *VM) blobAround(addr uint64) (*blob, error) {
	begin, end, err := vm.code.block(vm.reader, addr)
	if err != nil {
		return nil, err
	}
	b, err := vm.blobLayout.at(vm.reader, begin, end)
	if err != nil || !b.isNmethod() {
		return b, err
	}
	p, err := vm.bytes(begin, int(vm.blobLayout.nmethodSize)+spare)
	if err != nil {
		return nil, err
	}
	b.nmethod(vm.blobLayout, p)
	vm.see(b)
	b.debug, b.debugErr = vm.debug.read(b, p)
	return b, nil
}
