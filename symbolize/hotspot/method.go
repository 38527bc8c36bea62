package hotspot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

const (
	maxCode        = 1<<16 - 1 // of a method's bytecode and its line numbers
	maxConstMethod = 1 << 20   // bytes
	maxPool        = 1 << 16   // entries of a constant pool
	tagUtf8        = 1
	maxMethods     = 1 << 13 // in the cache
)

// errUnreadable: what should be a method does not look like one. Better no name than a wrong one.
var errUnreadable = errors.New("unreadable method")

// method is a Java method with its names.
type method struct {
	function string // java.nio.DirectByteBuffer.<init>(int)
	file     string // may be empty
	code     uint64 // where its bytecode lies
	codeSize uint32 // 0: native or abstract
	lines    []byte // compressed
	check    uint32 // of all that is above: another method at the same place has another one
}

type methodLayout struct {
	constMethod                                  uint64
	constSize, constants, words, codeSize, flags uint64
	nameIndex, signatureIndex                    uint64
	poolSize, holder, length, tags               uint64
	tagsLength, tagsData                         uint64
	klassName, klassPool                         uint64
	file                                         uint64 // index of the file's name
	fileInPool                                   bool   // since 15 in the pool, before in the class
	hasLines                                     uint32
}

func newMethodLayout(f *finder) methodLayout {
	l := methodLayout{
		constMethod: f.offset("Method", "_constMethod"),
		constSize:   f.size("ConstMethod"), constants: f.offset("ConstMethod", "_constants"),
		words: f.offset("ConstMethod", "_constMethod_size"), codeSize: f.offset("ConstMethod", "_code_size"),
		flags:     f.offset("ConstMethod", "_flags", "_flags._flags"), // a structure of its own since 21
		nameIndex: f.offset("ConstMethod", "_name_index"), signatureIndex: f.offset("ConstMethod", "_signature_index"),
		poolSize: f.size("ConstantPool"), holder: f.offset("ConstantPool", "_pool_holder"),
		length: f.offset("ConstantPool", "_length"), tags: f.offset("ConstantPool", "_tags"),
		tagsLength: f.offset("Array<int>", "_length"), tagsData: f.offset("Array<u1>", "_data"),
		klassName: f.offset("Klass", "_name"), klassPool: f.offset("InstanceKlass", "_constants"),
	}
	if _, l.fileInPool = f.table.offset("ConstantPool", "_source_file_name_index"); l.fileInPool {
		l.file = f.offset("ConstantPool", "_source_file_name_index")
	} else {
		l.file = f.offset("InstanceKlass", "_source_file_name_index")
	}
	bit, ok := f.table.constant("ConstMethodFlags::_misc_has_linenumber_table") // since 21
	if !ok {
		bit = f.constant("ConstMethod::_has_linenumber_table")
	}
	l.hasLines = uint32(bit)
	return l
}

// method returns the method whose Method is at addr. What it knows is at most 200 ms old, since classes are unloaded and
// their place is used again.
func (vm *VM) method(addr uint64) (*method, error) {
	if g := vm.cache.generation(); g != vm.methodsOf || len(vm.methods) >= maxMethods {
		clear(vm.methods)
		vm.methodsOf = g
	}
	if m, ok := vm.methods[addr]; ok {
		return m, nil
	}
	// Past the cache: a class is often named right after it was made, in place of another one that the pages still show.
	now := *vm
	now.reader = vm.raw
	m, err := now.readMethod(addr)
	if err != nil {
		return nil, fmt.Errorf("%w at %#x: %w", errUnreadable, addr, err)
	}
	vm.methods[addr] = m
	return m, nil
}

// reread returns the method as it is now: what a frame was described by may have been read before the method was there.
func (vm *VM) reread(addr uint64) (*method, error) {
	cached := vm.reader
	vm.fresh.Drop()
	vm.reader = reader{vm.fresh}
	m, err := vm.readMethod(addr)
	vm.reader = cached
	if err != nil {
		return nil, fmt.Errorf("%w at %#x: %w", errUnreadable, addr, err)
	}
	return m, nil
}

// readMethod follows Method -> ConstMethod -> ConstantPool -> Klass, and doubts each step.
func (vm *VM) readMethod(addr uint64) (*method, error) {
	l := &vm.methodLayout
	constMethod, err := vm.u64(addr + l.constMethod)
	if err != nil {
		return nil, err
	}
	if addr%8 != 0 || constMethod%8 != 0 {
		return nil, errors.New("pointers are not aligned")
	}
	cm, err := vm.bytes(constMethod, int(l.constSize)+spare)
	if err != nil {
		return nil, err
	}
	m := &method{code: constMethod + l.constSize, codeSize: uint32(le16(cm[l.codeSize:]))}
	size, used := uint64(le32(cm[l.words:]))*8, l.constSize+uint64(m.codeSize)
	if size > maxConstMethod || used > size {
		return nil, fmt.Errorf("%d bytes of code in %d", m.codeSize, size)
	}
	pool, err := vm.openPool(le64(cm[l.constants:]))
	if err != nil {
		return nil, err
	}
	name, err := pool.utf8(uint32(le16(cm[l.nameIndex:])))
	if err != nil {
		return nil, err
	}
	descriptor, err := pool.utf8(uint32(le16(cm[l.signatureIndex:])))
	if err != nil {
		return nil, err
	}
	types, err := parameters(descriptor)
	if err != nil {
		return nil, err
	}
	class, err := vm.className(pool.holder)
	if err != nil {
		return nil, err
	}
	if err := pool.belongs(class); err != nil {
		return nil, err
	}
	if !validMethod(name) {
		return nil, errors.New("not a method's name")
	}
	m.function = class + "." + name + types
	if m.file, err = pool.file(); err != nil {
		return nil, err
	}
	if le32(cm[l.flags:])&l.hasLines != 0 {
		if m.lines, err = vm.bytes(constMethod+used, int(min(size-used, maxLines))); err != nil {
			return nil, err
		}
	}
	m.check = m.sum(constMethod, descriptor)
	return m, nil
}

// sum makes the value that distinguishes the method from others that are at its place at other times.
func (m *method) sum(constMethod uint64, descriptor string) uint32 {
	h := fnv.New32a()
	p := binary.LittleEndian.AppendUint64(nil, constMethod)
	p = binary.LittleEndian.AppendUint32(p, m.codeSize)
	for _, s := range []string{m.function, descriptor, m.file} {
		p = append(append(p, s...), 0)
	}
	_, _ = h.Write(append(p, m.lines...))
	return h.Sum32()
}

// className returns the dotted name of the class whose Klass is at addr.
func (vm *VM) className(addr uint64) (string, error) {
	at, err := vm.u64(addr + vm.methodLayout.klassName)
	if err != nil {
		return "", fmt.Errorf("class: %w", err)
	}
	name, err := vm.symbol(at)
	if err != nil {
		return "", fmt.Errorf("class: %w", err)
	}
	if !validClass(name) {
		return "", errors.New("not a class's name")
	}
	return className(name), nil
}

// line returns the line of a bytecode index, or 0.
func (m *method) line(bci uint32, excess byte) (int, error) {
	if len(m.lines) == 0 {
		return 0, nil
	}
	return lineAt(m.lines, excess, bci)
}

// interpreted describes the frame of a method that is interpreted, whose next bytecode lies at bcp (for a native method
// that tells nothing).
func (vm *VM) interpreted(addr, bcp uint64) (Physical, error) {
	m, err := vm.method(addr)
	if err != nil {
		return Physical{}, err
	}
	p := Physical{Kind: Interpreted, Addr: addr, Check: m.check}
	if m.codeSize > 0 {
		if bcp < m.code || bcp-m.code >= uint64(m.codeSize) {
			return Physical{}, fmt.Errorf("%w at %#x: bytecode pointer %#x is not in [%#x, +%d)", errUnreadable, addr, bcp, m.code, m.codeSize)
		}
		p.Pos = uint32(bcp - m.code)
	}
	return p, nil
}
