package hotspot

import (
	"errors"
	"fmt"
)

const (
	maxFields      = 1 << 12 // of a class
	maxFieldStream = 1 << 17
	accStatic      = 8
)

var errNoField = errors.New("no such field")

// fieldInfo is one field of a Java class as the VM keeps it.
type fieldInfo struct {
	name, signature uint32 // indexes of the constant pool
	offset          uint64
	static          bool
	injected        bool // by the VM itself: name and signature are no constants of the class
}

// fieldOffset returns where an object of this class keeps a field, by its name and signature ("name", "Ljava/lang/String;").
// It is the class's own or inherited.
func (vm *VM) fieldOffset(klass uint64, name, signature string) (uint64, error) {
	superAt, ok := vm.table.offset("Klass", "_super")
	if !ok {
		return 0, fmt.Errorf("%w: it does not export Klass._super", ErrNotHotSpot)
	}
	var err error
	for k, depth := klass, 0; k != 0 && depth < maxSupers; depth++ {
		offset, err := vm.ownFieldOffset(k, name, signature, false)
		if !errors.Is(err, errNoField) {
			return offset, err
		}
		if k, err = vm.u64(k + superAt); err != nil {
			return 0, fmt.Errorf("field %s: %w", name, err)
		}
	}
	return 0, errors.Join(fmt.Errorf("field %s %s of the class at %#x: %w", name, signature, klass, errNoField), err)
}

// ownFieldOffset is fieldOffset for what the class declares itself. A static field's offset is that in the class's mirror.
func (vm *VM) ownFieldOffset(klass uint64, name, signature string, static bool) (uint64, error) {
	f := vm.find()
	constantsAt, firstAt := f.offset("InstanceKlass", "_constants"), f.size("ConstantPool")
	if err := f.err(); err != nil {
		return 0, err
	}
	constants, err := vm.u64(klass + constantsAt)
	if err != nil {
		return 0, fmt.Errorf("constants of a class: %w", err)
	}
	fields, err := vm.ownFields(klass)
	if err != nil {
		return 0, fmt.Errorf("fields of a class: %w", err)
	}
	for _, field := range fields {
		if field.static != static || field.injected {
			continue
		}
		same, err := vm.isSymbol(constants+firstAt+8*uint64(field.name), name)
		if err == nil && same {
			same, err = vm.isSymbol(constants+firstAt+8*uint64(field.signature), signature)
		}
		if err != nil {
			return 0, fmt.Errorf("fields of a class: %w", err)
		}
		if same {
			return field.offset, nil
		}
	}
	return 0, errNoField
}

// isSymbol reports whether the Symbol that a constant refers to is this text.
func (vm *VM) isSymbol(constant uint64, text string) (bool, error) {
	at, err := vm.u64(constant)
	if err != nil {
		return false, err
	}
	n, err := vm.u16(at + vm.symbols.length)
	if err != nil || int(n) != len(text) {
		return false, err
	}
	body, err := vm.bytes(at+vm.symbols.body, len(text))
	return string(body) == text, err
}

// ownFields lists the fields that a class declares itself.
func (vm *VM) ownFields(klass uint64) ([]fieldInfo, error) {
	if at, ok := vm.table.offset("InstanceKlass", "_fieldinfo_stream"); ok {
		stream, err := vm.metaArray(klass+at, "Array<u1>", 1)
		if err != nil {
			return nil, err
		}
		bits, err := vm.fieldBits()
		if err != nil {
			return nil, err
		}
		return parseFieldStream(stream, bits)
	}
	f := vm.find()
	fieldsAt, countAt := f.offset("InstanceKlass", "_fields"), f.offset("InstanceKlass", "_java_fields_count")
	if err := f.err(); err != nil {
		return nil, err
	}
	count, err := vm.u16(klass + countAt)
	if err != nil {
		return nil, err
	}
	array, err := vm.metaArray(klass+fieldsAt, "Array<u2>", 2)
	if err != nil {
		return nil, err
	}
	return parseFieldArray(array, int(count))
}

// metaArray returns the elements of one of the VM's own arrays.
func (vm *VM) metaArray(pointer uint64, typ string, size uint64) ([]byte, error) {
	f := vm.find()
	// The length is a base class's, exported of the array of int only.
	lengthAt, dataAt := f.offset("Array<int>", "_length"), f.offset(typ, "_data")
	if err := f.err(); err != nil {
		return nil, err
	}
	array, err := vm.u64(pointer)
	if err != nil {
		return nil, err
	}
	n, err := vm.u32(array + lengthAt)
	if err != nil {
		return nil, err
	}
	if uint64(n)*size > maxFieldStream {
		return nil, fmt.Errorf("an array of %d", n)
	}
	return vm.bytes(array+dataAt, int(uint64(n)*size))
}

// parseFieldArray reads the fields of JDK 8 to 20, six 16-bit numbers each: access flags, name, signature, initial value,
// lower and upper half of what is 4 times the offset and a tag.
func parseFieldArray(array []byte, count int) ([]fieldInfo, error) {
	const size = 12
	if count > maxFields || count*size > len(array) {
		return nil, fmt.Errorf("%d fields in %d bytes", count, len(array))
	}
	fields := make([]fieldInfo, count)
	for i := range fields {
		row := array[i*size:]
		fields[i] = fieldInfo{
			name: uint32(le16(row[2:])), signature: uint32(le16(row[4:])),
			offset: uint64(uint32(le16(row[8:]))|uint32(le16(row[10:]))<<16) >> 2,
			static: le16(row)&accStatic != 0,
		}
	}
	return fields, nil
}

// fieldBits are the flags of a field in a stream that matter: of what may follow it.
type fieldBits struct{ initialized, injected, generic, contended, unknown uint32 }

func (vm *VM) fieldBits() (fieldBits, error) {
	f := vm.find()
	bit := func(name string) uint32 { return 1 << (f.constant("FieldInfo::FieldFlags::_ff_"+name) & 31) }
	b := fieldBits{bit("initialized"), bit("injected"), bit("generic"), bit("contended"), 0}
	if n, ok := vm.table.constant("FieldInfo::FieldFlags::_ff_flat"); ok { // what follows those of values (28) is not known
		b.unknown = 1 << (n & 31)
	}
	return b, f.err()
}

// parseFieldStream reads the fields of JDK 21 and later, a row of packed numbers: how many fields, how many injected ones,
// then of each name, signature, offset, access flags, field flags, and what these say: initial value, generic signature,
// contended group.
func parseFieldStream(stream []byte, bits fieldBits) ([]fieldInfo, error) {
	u := unpacker{rest: stream}
	java, own := u.next(), u.next()
	if u.short || uint64(java)+uint64(own) > maxFields {
		return nil, fmt.Errorf("%d fields and %d injected ones", java, own)
	}
	fields := make([]fieldInfo, java+own)
	for i := range fields {
		f := &fields[i]
		f.name, f.signature, f.offset = u.next(), u.next(), uint64(u.next())
		f.static = u.next()&accStatic != 0
		flags := u.next()
		f.injected = flags&bits.injected != 0
		if flags&bits.unknown != 0 {
			return nil, fmt.Errorf("field %d of %d is of a kind that is not known", i, len(fields))
		}
		for _, optional := range []uint32{bits.initialized, bits.generic, bits.contended} {
			if flags&optional != 0 {
				u.next()
			}
		}
		if u.short {
			return nil, fmt.Errorf("field %d of %d: the stream ends", i, len(fields))
		}
	}
	return fields, nil
}

// unpacker reads numbers of one to five bytes: a byte below 192 ends a number, others leave it to the next byte, which counts
// 64 times as much. A zero byte is never part of one, so all are one more than their worth (UNSIGNED5 since JDK 20).
type unpacker struct {
	rest  []byte
	short bool // it ended within a number
}

func (u *unpacker) next() uint32 {
	var n uint32
	for i := range 5 {
		if len(u.rest) == 0 || u.rest[0] == 0 {
			u.short = true
			return 0
		}
		b := u.rest[0]
		u.rest = u.rest[1:]
		n += uint32(b-1) << (6 * i)
		if b < 192 {
			break
		}
	}
	return n
}
