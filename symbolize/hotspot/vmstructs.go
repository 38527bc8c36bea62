package hotspot

import (
	"errors"
	"fmt"
	"strings"
)

// Bounds of the exported tables. JDK 25 has 1,500 fields and 1,100 types.
const (
	maxEntries = 1 << 14
	maxStride  = 256
	maxName    = 512
	maxOffset  = 1 << 16 // of a field in its structure
	maxSupers  = 32
)

// errEndless is kept apart so that a fuzzer's garbage reads alike.
var errEndless = errors.New("the table has no end")

type fieldKey struct{ typ, name string }

type field struct {
	static bool
	value  uint64 // address of a static field, offset of another
	typ    string // of the field itself, as the VM's source has it
}

// table is what libjvm.so tells of its own structures.
type table struct {
	fields map[fieldKey]field
	sizes  map[string]uint64
	supers map[string]string
	ints   map[string]int64 // the int and the long constants

	variables map[uint64]uint64 // what was read of the variables that describe the tables, by address
}

// readTable reads the four tables whose variables symbol leads to. With an error it returns what it has.
func readTable(mem Memory, symbol func(name string) (uint64, bool)) (*table, error) {
	t := &table{
		fields: map[fieldKey]field{}, sizes: map[string]uint64{}, supers: map[string]string{}, ints: map[string]int64{},
		variables: map[uint64]uint64{},
	}
	s := source{reader{mem}, symbol, t.variables}
	if err := t.fill(s); err != nil {
		return t, err
	}
	return t, nil
}

// settled says whether the tables' variables still are what they were when the tables were read. They are set as
// libjvm.so is loaded, and whoever reads in between reads nonsense.
func (t *table) settled(mem reader) error {
	for addr, value := range t.variables {
		if v, err := mem.u64(addr); err != nil || v != value {
			return fmt.Errorf("%w: its tables are being made", ErrNotReady)
		}
	}
	return nil
}

func (t *table) fill(s source) error {
	err := s.rows("Struct", []string{"TypeName", "FieldName", "IsStatic", "Offset", "Address", "TypeString"}, func(row []uint64) error {
		typ, name, err := s.names(row[0], row[1])
		if err != nil {
			return err
		}
		f := field{static: uint32(row[2]) != 0, value: row[3]}
		if row[5] != 0 {
			if f.typ, err = s.cstring(row[5], maxName); err != nil {
				return err
			}
		}
		if f.static {
			f.value = row[4]
		}
		t.fields[fieldKey{typ, name}] = f
		return nil
	})
	if err != nil {
		return err
	}
	err = s.rows("Type", []string{"TypeName", "SuperclassName", "Size"}, func(row []uint64) error {
		typ, super, err := s.names(row[0], row[1])
		if err != nil {
			return err
		}
		t.sizes[typ], t.supers[typ] = row[2], super
		return nil
	})
	if err != nil {
		return err
	}
	for _, kind := range []string{"IntConstant", "LongConstant"} {
		err := s.rows(kind, []string{"Name", "Value"}, func(row []uint64) error {
			name, err := s.cstring(row[0], maxName)
			if err != nil {
				return err
			}
			t.ints[name] = int64(row[1])
			if kind == "IntConstant" {
				t.ints[name] = int64(int32(row[1]))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// source is where the tables are read from.
type source struct {
	reader
	symbol    func(name string) (uint64, bool)
	variables map[uint64]uint64
}

// rows calls each with the columns of every row of the table of kind. The first column is a name; the table ends with the
// row that has none.
func (s source) rows(kind string, columns []string, each func(row []uint64) error) error {
	base, err := s.variable("gHotSpotVM" + kind + "s")
	if err != nil {
		return err
	}
	stride, err := s.variable("gHotSpotVM" + kind + "EntryArrayStride")
	if err != nil {
		return err
	}
	if base == 0 || stride == 0 {
		return fmt.Errorf("%w: its table of %ss is not made yet", ErrNotReady, kind)
	}
	if stride > maxStride || stride < 8 {
		return fmt.Errorf("table of %ss: rows of %d bytes", kind, stride)
	}
	offsets := make([]uint64, len(columns))
	for i, name := range columns {
		if offsets[i], err = s.variable("gHotSpotVM" + kind + "Entry" + name + "Offset"); err != nil {
			return err
		}
		if offsets[i] > stride-4 {
			return fmt.Errorf("table of %ss: %s at %d of %d bytes", kind, name, offsets[i], stride)
		}
	}
	row, values := make([]byte, stride+8), make([]uint64, len(columns)) // 8 more: a last column of 4 bytes
	for n := range maxEntries {
		if err := s.Read(base+uint64(n)*stride, row[:stride]); err != nil {
			return fmt.Errorf("table of %ss: row %d: %w", kind, n, err)
		}
		for i, offset := range offsets {
			values[i] = le64(row[offset:])
		}
		if values[0] == 0 {
			return nil
		}
		if err := each(values); err != nil {
			return fmt.Errorf("table of %ss: row %d: %w", kind, n, err)
		}
	}
	return fmt.Errorf("table of %ss: %w", kind, errEndless)
}

func (s source) variable(name string) (uint64, error) {
	addr, ok := s.symbol(name)
	if !ok {
		return 0, fmt.Errorf("%w: no symbol %s (OpenJ9 has none)", ErrNotHotSpot, name)
	}
	v, err := s.u64(addr)
	if err != nil {
		return 0, fmt.Errorf("variable %s: %w", name, err)
	}
	s.variables[addr] = v
	return v, nil
}

// names reads two strings; the second may be missing.
func (s source) names(a, b uint64) (first, second string, err error) {
	if first, err = s.cstring(a, maxName); err != nil || b == 0 {
		return first, "", err
	}
	second, err = s.cstring(b, maxName)
	return first, second, err
}

// lookup finds a field in a type or in what it is derived from.
func (t *table) lookup(typ, name string) (field, bool) {
	for range maxSupers {
		if f, ok := t.fields[fieldKey{typ, name}]; ok {
			return f, true
		}
		if typ = t.supers[typ]; typ == "" {
			break
		}
	}
	return field{}, false
}

// offset returns where a field lies in its structure: the first of the names that this VM has, in the type itself or what
// it is derived from (so `nmethod` finds what was CompiledMethod's from 9 to 22).
func (t *table) offset(typ string, names ...string) (uint64, bool) {
	for _, name := range names {
		if f, ok := t.lookup(typ, name); ok && !f.static && f.value <= maxOffset {
			return f.value, true
		}
	}
	return 0, false
}

// width returns how many bytes an integer or pointer field has.
func (t *table) width(typ, name string) (int, bool) {
	f, ok := t.lookup(typ, name)
	if strings.HasSuffix(f.typ, "*") {
		return 8, ok
	}
	n := t.sizes[f.typ]
	return int(n), ok && (n == 1 || n == 2 || n == 4 || n == 8)
}

// static returns the address of a static field: the first of the names that this VM has.
func (t *table) static(typ string, names ...string) (uint64, bool) {
	for _, name := range names {
		if f, ok := t.lookup(typ, name); ok && f.static && f.value != 0 {
			return f.value, true
		}
	}
	return 0, false
}

// size returns the size of a structure.
func (t *table) size(typ string) (uint64, bool) {
	n, ok := t.sizes[typ]
	if !ok || n > maxOffset {
		return 0, false
	}
	return n, true
}

// constant returns a constant of the VM: `frame::interpreter_frame_method_offset`.
func (t *table) constant(name string) (int64, bool) {
	n, ok := t.ints[name]
	return n, ok
}

// finder looks up what must be there, and keeps the names of what is not: a layout is made by a row of look-ups and one
// question at their end.
type finder struct {
	*table
	missing []string
}

func (f *finder) note(ok bool, typ string, names ...string) {
	if !ok {
		f.missing = append(f.missing, typ+"."+strings.Join(names, "|"))
	}
}

// offset is the table's; a field that begins outside of its structure is as good as missing, so that a structure that was
// read with spare bytes after it can be taken apart without further checks.
func (f *finder) offset(typ string, names ...string) uint64 {
	n, ok := f.table.offset(typ, names...)
	size, sized := f.table.sizes[typ]
	f.note(ok && (!sized || n < size), typ, names...)
	return n
}

func (f *finder) static(typ string, names ...string) uint64 {
	n, ok := f.table.static(typ, names...)
	f.note(ok, typ, names...)
	return n
}

func (f *finder) size(typ string) uint64 {
	n, ok := f.table.size(typ)
	f.note(ok, typ, "size")
	return n
}

func (f *finder) constant(name string) int64 {
	n, ok := f.table.constant(name)
	f.note(ok, "constant", name)
	return n
}

// err says what was missing, if anything was.
func (f *finder) err() error {
	if len(f.missing) == 0 {
		return nil
	}
	return fmt.Errorf("%w: it does not export %s", ErrNotHotSpot, strings.Join(f.missing, ", "))
}
