package hotspot

import (
	"strings"
	"testing"
)

// builtVM is the memory of a VM that was built by hand: its tables, one code heap with an nmethod and a stub, one class with
// two methods. It stands for releases that are not at hand, and is what the fuzzer damages.
type builtVM struct {
	fakeMemory
	tb      testing.TB
	symbols map[string]uint64
	structs []fakeField
	types   []fakeType
	ints    map[string]int64
	text    uint64 // where the next string goes
	heap    uint64 // where the next structure goes

	outer, inner, nmethod, stub, code uint64
}

type fakeField struct {
	owner, name, typ string
	static           bool
	value            uint64
}

type fakeType struct {
	name, super string
	size        uint64
}

const (
	fakeCode    = 0x1000000
	fakeSegmap  = 0x2000000
	fakeShift   = 7
	fakeHeader  = 16 // of a code block
	fakeCompile = 77
)

func (v *builtVM) string(s string) uint64 {
	at := v.text
	v.write(at, append([]byte(s), 0))
	v.text += uint64(len(s)) + 1
	return at
}

// alloc makes room for n bytes.
func (v *builtVM) alloc(n uint64) uint64 {
	at := v.heap
	v.heap += (n + 7) &^ 7
	v.write(at, make([]byte, n))
	return at
}

// typ declares a structure whose fields ("_size int") lie 8 bytes apart, and static ones (with a *).
func (v *builtVM) typ(name, super string, fields ...string) {
	base := uint64(0)
	for _, t := range v.types {
		if t.name == super {
			base = t.size
		}
	}
	for _, f := range fields {
		field, typ, _ := strings.Cut(f, " ")
		if s, ok := strings.CutPrefix(field, "*"); ok {
			v.structs = append(v.structs, fakeField{name, s, typ, true, v.alloc(8)})
			continue
		}
		v.structs = append(v.structs, fakeField{name, field, typ, false, base})
		base += 8
	}
	v.types = append(v.types, fakeType{name, super, base})
}

func (v *builtVM) field(name string) (fakeField, string) {
	owner, field, _ := strings.Cut(name, ".")
	for owner != "" {
		for _, f := range v.structs {
			if f.owner == owner && f.name == field {
				return f, owner
			}
		}
		super := ""
		for _, t := range v.types {
			if t.name == owner {
				super = t.super
			}
		}
		owner = super
	}
	v.tb.Fatalf("no field %s", name)
	return fakeField{}, ""
}

// set writes a field of the structure at addr, by its type's width; of a static field addr is not used.
func (v *builtVM) set(addr uint64, name string, value uint64) {
	f, _ := v.field(name)
	at := addr + f.value
	if f.static {
		at = f.value
	}
	switch f.typ {
	case "u1":
		v.put8(at, uint8(value))
	case "u2":
		v.put16(at, uint16(value))
	case "int":
		v.put32(at, uint32(value))
	default:
		v.put64(at, value)
	}
}

func (v *builtVM) has(name string) bool {
	owner, field, _ := strings.Cut(name, ".")
	for _, f := range v.structs {
		if f.owner == owner && f.name == field {
			return true
		}
	}
	return false
}

func (v *builtVM) sizeof(name string) uint64 {
	for _, t := range v.types {
		if t.name == name {
			return t.size
		}
	}
	v.tb.Fatalf("no type %s", name)
	return 0
}

// publish writes the tables and the variables that lead to them.
func (v *builtVM) publish() {
	row := func(kind string, columns []string, rows [][]uint64) {
		stride := uint64(len(columns)) * 8
		base := v.alloc(stride * uint64(len(rows)+1))
		variable := func(name string, value uint64) {
			at := v.alloc(8)
			v.put64(at, value)
			v.symbols["gHotSpotVM"+kind+name] = at
		}
		variable("s", base)
		variable("EntryArrayStride", stride)
		for i, c := range columns {
			variable("Entry"+c+"Offset", uint64(i)*8)
		}
		for i, r := range rows {
			for j, value := range r {
				v.put64(base+uint64(i)*stride+uint64(j)*8, value)
			}
		}
	}
	var structs, types, ints [][]uint64
	for _, f := range v.structs {
		r := []uint64{v.string(f.owner), v.string(f.name), v.string(f.typ), 0, f.value, 0}
		if f.static {
			r[3], r[4], r[5] = 1, 0, f.value
		}
		structs = append(structs, r)
	}
	for _, t := range v.types {
		super := uint64(0)
		if t.super != "" {
			super = v.string(t.super)
		}
		types = append(types, []uint64{v.string(t.name), super, t.size})
	}
	for name, n := range v.ints {
		ints = append(ints, []uint64{v.string(name), uint64(n)})
	}
	row("Struct", []string{"TypeName", "FieldName", "TypeString", "IsStatic", "Offset", "Address"}, structs)
	row("Type", []string{"TypeName", "SuperclassName", "Size"}, types)
	row("IntConstant", []string{"Name", "Value"}, ints)
	row("LongConstant", []string{"Name", "Value"}, nil)
}

func (v *builtVM) symbol(name string) (uint64, bool) {
	at, ok := v.symbols[name]
	return at, ok
}

// utf8 makes a Symbol.
func (v *builtVM) utf8(s string) uint64 {
	at := v.alloc(v.sizeof("Symbol") + uint64(len(s)))
	if v.has("Symbol._length") {
		v.set(at, "Symbol._length", uint64(len(s)))
	} else {
		v.set(at, "Symbol._length_and_refcount", uint64(len(s))<<16|1)
	}
	f, _ := v.field("Symbol._body")
	v.write(at+f.value, []byte(s))
	return at
}

// method makes a Method of the class whose pool is given.
func (v *builtVM) method(pool uint64, name, signature uint16, code int, lines []byte) uint64 {
	size := v.sizeof("ConstMethod")
	cm := v.alloc(size + uint64(code+len(lines)) + 8)
	flags := "ConstMethod._flags"
	if !v.has(flags) {
		flags = "ConstMethod._flags._flags"
	}
	v.set(cm, "ConstMethod._constants", pool)
	v.set(cm, "ConstMethod._constMethod_size", (size+uint64(code+len(lines))+7)/8)
	v.set(cm, "ConstMethod._code_size", uint64(code))
	v.set(cm, flags, 1)
	v.set(cm, "ConstMethod._name_index", uint64(name))
	v.set(cm, "ConstMethod._signature_index", uint64(signature))
	v.write(cm+size+uint64(code), lines)
	m := v.alloc(v.sizeof("Method"))
	v.set(m, "Method._constMethod", cm)
	return m
}

// block makes a code block of so many segments at the given segment, and returns its blob.
func (v *builtVM) block(segment, segments uint64) uint64 {
	at := fakeCode + segment<<fakeShift
	v.write(at, make([]byte, segments<<fakeShift))
	v.set(at, "HeapBlock::Header._length", segments)
	v.set(at, "HeapBlock::Header._used", 1)
	for i := range segments {
		v.put8(fakeSegmap+segment+i, uint8(min(i, 3))) // hops of 3
	}
	return at + fakeHeader
}
