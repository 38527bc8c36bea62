package hotspot

import (
	"fmt"
)

// maxExpanded is half of what the cache of names may hold.
const maxExpanded = 1 << 13

// namer is what a VM needs to name frames.
type namer struct {
	symbols      symbolLayout
	methodLayout methodLayout
	debug        debugLayout
	excess       byte // of the digits of compressed numbers

	methods   map[uint64]*method
	methodsOf uint64 // the generation of pages that they were made from

	expanded, expandedOld map[Physical][]Frame

	scratch []byte // for the head of an nmethod
	seen    map[uint64]sighting
}

// sighting tells when an nmethod was first seen.
type sighting struct {
	compileID  uint32
	generation uint64 // of pages
}

// maxSeen bounds the memory of nmethods; who is forgotten is new again.
const maxSeen = 1 << 14

func newNamer(f *finder, v Version) namer {
	n := namer{
		symbols: newSymbolLayout(f), methodLayout: newMethodLayout(f), debug: newDebugLayout(f),
		methods: map[uint64]*method{}, expanded: map[Physical][]Frame{},
		seen:    map[uint64]sighting{},
		scratch: make([]byte, f.size("HeapBlock")+f.size("nmethod")+spare),
	}
	if v.Major >= 20 {
		n.excess = 1
	}
	return n
}

// Expand returns the frames that a physical frame stands for, innermost first: the calls that the compiler inlined, then
// the method that was compiled. The result is shared; do not change it. ErrGone: p is not there any more.
func (vm *VM) Expand(p Physical) ([]Frame, error) {
	if frames, ok := vm.expanded[p]; ok {
		return frames, nil
	}
	frames, ok := vm.expandedOld[p]
	if !ok {
		var err error
		if frames, err = vm.expand(p); err != nil { // what is remembered may be older than p
			vm.cache.Drop()
			if frames, err = vm.expand(p); err != nil {
				return nil, err
			}
		}
	}
	if len(vm.expanded) >= maxExpanded { // two generations: what is used stays
		vm.expandedOld, vm.expanded = vm.expanded, map[Physical][]Frame{}
	}
	vm.expanded[p] = frames
	return frames, nil
}

func (vm *VM) expand(p Physical) ([]Frame, error) {
	switch p.Kind {
	case Interpreted:
		m, err := vm.reread(p.Addr)
		if err != nil {
			return nil, err
		}
		if m.check != p.Check {
			return nil, fmt.Errorf("%w: method at %#x", ErrGone, p.Addr)
		}
		f, err := vm.frame(m, p.Pos)
		return []Frame{f}, err
	case Compiled:
		return vm.compiled(p)
	case Stub:
		return vm.stub(p)
	}
	return nil, fmt.Errorf("a frame of kind %d", p.Kind)
}

// frame names a method at a bytecode index.
func (vm *VM) frame(m *method, bci uint32) (Frame, error) {
	if bci > 0 && bci >= m.codeSize {
		return Frame{}, fmt.Errorf("%w: bytecode index %d of %d in %s", errUnreadable, bci, m.codeSize, m.function)
	}
	line, err := m.line(bci, vm.excess)
	if err != nil {
		return Frame{}, fmt.Errorf("%w: %w in %s", errUnreadable, err, m.function)
	}
	return Frame{Kind: "java", Function: m.function, File: m.file, Line: line}, nil
}

// see remembers an nmethod.
func (vm *VM) see(b *blob) {
	if s, ok := vm.seen[b.addr]; ok && s.compileID == b.compileID {
		return
	}
	if len(vm.seen) >= maxSeen {
		clear(vm.seen)
	}
	vm.seen[b.addr] = sighting{b.compileID, vm.cache.generation()}
}

// compiled names a frame in an nmethod. As long as an nmethod is there, so are the classes that it names; but where these
// lie others may have lain just before, or will right after. So only pages count that were read after the nmethod was
// first seen, and at the end the VM itself is asked whether it is still there.
func (vm *VM) compiled(p Physical) ([]Frame, error) {
	b, err := vm.nmethodAt(p)
	if err != nil {
		return nil, err
	}
	if vm.seen[b.addr].generation == vm.cache.generation() {
		vm.cache.Drop()
		if b, err = vm.nmethodAt(p); err != nil {
			return nil, err
		}
	}
	frames, err := vm.unfold(b, p.Pos)
	if gone := vm.still(b); gone != nil {
		return nil, gone
	}
	return frames, err
}

func (vm *VM) nmethodAt(p Physical) (*blob, error) {
	b, err := vm.blobAt(p.Addr)
	if err != nil {
		return nil, err
	}
	if !b.isNmethod() || b.compileID != p.Check || b.method == 0 {
		return nil, fmt.Errorf("%w: compilation %d at %#x", ErrGone, p.Check, p.Addr)
	}
	return b, nil
}

// still asks the VM, past the cache, whether an nmethod is there. When its class is unloaded it loses its method at once (8
// to 19), or is freed before the class is.
func (vm *VM) still(b *blob) error {
	header, l := vm.code.headerSize, vm.blobLayout
	p := vm.scratch[:header+max(l.compileID+4, l.method+8)]
	if err := vm.raw.Read(b.addr-header, p); err != nil {
		return err
	}
	if p[vm.code.used] != blockUsed || le32(p[header+l.compileID:]) != b.compileID || le64(p[header+l.method:]) != b.method {
		return fmt.Errorf("%w: compilation %d at %#x", ErrGone, b.compileID, b.addr)
	}
	return nil
}

func (vm *VM) unfold(b *blob, pos uint32) ([]Frame, error) {
	root, err := vm.method(b.method)
	if err != nil {
		return nil, err
	}
	var scopes []scope
	near := false
	if b.kind == blobNmethod {
		if b.debugErr != nil {
			return nil, b.debugErr
		}
		if scopes, near, err = vm.scopesAt(b.debug, pos); err != nil {
			return nil, fmt.Errorf("nmethod at %#x: %w", b.addr, err)
		}
	}
	if len(scopes) == 0 { // a native method's wrapper, or code that nothing is said of
		return []Frame{{Kind: "java", Function: root.function, File: root.file, Near: near}}, nil
	}
	if last := scopes[len(scopes)-1].method; last != b.method {
		return nil, fmt.Errorf("nmethod at %#x: compiled from %#x, but its scopes say %#x", b.addr, b.method, last)
	}
	frames := make([]Frame, len(scopes))
	for i, s := range scopes {
		m, err := vm.method(s.method)
		if err != nil {
			return nil, err
		}
		if frames[i], err = vm.frame(m, s.bci); err != nil {
			return nil, err
		}
		frames[i].Near = near
		if i < len(scopes)-1 {
			frames[i].Kind = "inlined"
		}
	}
	return frames, nil
}
