package hotspot

import (
	"encoding/binary"
	"errors"
	"testing"
	"unicode/utf8"
)

// counted is a memory that gives up after so many reads: who needs more does not come to an end.
type counted struct {
	Memory
	left int
}

var errTooMany = errors.New("read too often")

func (c *counted) Read(addr uint64, p []byte) error {
	if c.left -= 1 + len(p)/pageSize; c.left < 0 {
		panic(errTooMany)
	}
	return c.Memory.Read(addr, p)
}

// damage changes a memory as data tells: which page of it, where in it, and the number that is written there. Small numbers
// and addresses of the memory itself do more harm than others.
func (m fakeMemory) damage(data []byte) {
	numbers := m.numbers()
	for ; len(data) >= 8; data = data[8:] {
		page := numbers[int(data[0])%len(numbers)]
		at := page*pageSize + uint64(binary.LittleEndian.Uint16(data[1:]))%(pageSize-8)
		value := uint64(binary.LittleEndian.Uint32(data[4:]))
		switch data[3] % 6 {
		case 0:
			m.put8(at, uint8(value))
		case 1:
			m.put16(at, uint16(value))
		case 2:
			m.put32(at, uint32(value))
		case 3:
			m.put64(at&^7, value)
		case 4:
			m.put64(at&^7, numbers[int(data[4])%len(numbers)]*pageSize+value>>16&^7)
		case 5:
			m.put64(at&^7, ^value)
		}
	}
}

// explore asks a VM for all that there is, and checks that what it says has sense.
func explore(tb testing.TB, vm *VM, v *builtVM) {
	tb.Helper()
	expand := func(p Physical) {
		frames, err := vm.Expand(p)
		if err == nil && len(frames) == 0 || len(frames) > maxScopes {
			tb.Fatalf("%d frames, %v", len(frames), err)
		}
		for _, f := range frames {
			if !utf8.ValidString(f.Function) || !utf8.ValidString(f.File) || f.Function == "" || f.Line < 0 || f.Line > maxCode {
				tb.Fatalf("%+v", f)
			}
		}
	}
	for pc := uint64(fakeCode); pc < fakeCode+64<<fakeShift; pc += 16 {
		if b, err := vm.blobFor(pc); err == nil {
			if pc < b.codeBegin || pc >= b.codeEnd || b.codeEnd > b.end || b.kind == 0 {
				tb.Fatalf("%#x is in %+v", pc, b)
			}
			expand(b.physical(pc))
		}
	}
	for _, m := range []uint64{v.inner, v.outer, v.nmethod, 0, 8, 1 << 63} {
		if method, err := vm.method(m); err == nil {
			if p, err := vm.interpreted(m, method.code+uint64(method.codeSize)/2); err == nil {
				expand(p)
			}
		}
	}
	expand(Physical{Kind: Compiled, Addr: v.stub})
	expand(Physical{Kind: Stub, Addr: v.nmethod})
	expand(Physical{})
}

// FuzzVM damages the memory of a VM before and after the attach: there may be errors, but nothing else.
func FuzzVM(f *testing.F) {
	built := map[int]*builtVM{}
	for i, jdk := range fakeJDKs {
		built[i] = newBuiltVM(f, jdk)
		f.Add(byte(i), []byte{}, []byte{})
		f.Add(byte(i), []byte{}, []byte{0, 1, 2, 3, 4, 5, 6, 7, 200, 9, 10, 3, 0, 0, 1, 0})
	}
	f.Add(byte(0), []byte("8A\xde2\x86\xdfp\xfa"), []byte{}) // a structure of a terabyte
	f.Fuzz(func(t *testing.T, jdk byte, before, after []byte) {
		if len(before) > 800 || len(after) > 800 {
			return
		}
		v := *built[int(jdk)%len(fakeJDKs)]
		v.fakeMemory = v.copied()
		v.damage(before)
		mem := &counted{v.fakeMemory, 1 << 18}
		vm, err := New(mem, v.symbol)
		if err != nil {
			return
		}
		explore(t, vm, &v)
		v.damage(after)
		explore(t, vm, &v) // with what is remembered from before
		mem.left = 1 << 18
		if vm.Resync() == nil {
			clear(vm.expanded)
			explore(t, vm, &v)
		}
	})
}

func TestHostileTables(t *testing.T) {
	for name, damage := range map[string]func(v *builtVM){
		"endless rows": func(v *builtVM) { v.put64(v.symbols["gHotSpotVMStructEntryArrayStride"], 8) },
		"huge rows":    func(v *builtVM) { v.put64(v.symbols["gHotSpotVMStructEntryArrayStride"], 1<<40) },
		"a column outside of its row": func(v *builtVM) {
			v.put64(v.symbols["gHotSpotVMStructEntryFieldNameOffset"], 1<<62)
		},
		"a table elsewhere": func(v *builtVM) { v.put64(v.symbols["gHotSpotVMTypes"], 1<<50) },
		"a name without end": func(v *builtVM) {
			at := v.alloc(2 * maxName)
			for i := range uint64(2 * maxName) {
				v.put8(at+i, 'x')
			}
			var base [8]byte
			if err := v.Read(v.symbols["gHotSpotVMStructs"], base[:]); err != nil {
				v.tb.Fatal(err)
			}
			v.put64(le64(base[:]), at)
		},
	} {
		v := newBuiltVM(t, 17)
		damage(v)
		if _, err := New(&counted{v.fakeMemory, 1 << 18}, v.symbol); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, variable := range map[string]string{"not made yet": "gHotSpotVMTypeEntryArrayStride", "not there yet": "gHotSpotVMStructs"} {
		v := newBuiltVM(t, 17)
		v.put64(v.symbols[variable], 0)
		if _, err := New(v, v.symbol); !errors.Is(err, ErrNotReady) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(newBuiltVM(t, 17), func(string) (uint64, bool) { return 0, false }); !errors.Is(err, ErrNotHotSpot) {
		t.Errorf("no symbols: %v", err)
	}
	loop := &table{supers: map[string]string{"A": "B", "B": "A"}, fields: map[fieldKey]field{{"A", "_far"}: {value: 1 << 40}}}
	if _, ok := loop.offset("A", "_none"); ok {
		t.Error("a field of types that derive from each other")
	}
	if _, ok := loop.offset("A", "_far"); ok {
		t.Error("a field a tebibyte behind its structure's begin")
	}
}

func TestScopesThatLoop(t *testing.T) {
	v := newBuiltVM(t, 17)
	vm, err := New(v, v.symbol)
	if err != nil {
		t.Fatal(err)
	}
	b, err := vm.blobFor(v.code + 16)
	if err != nil {
		t.Fatal(err)
	}
	for _, sender := range []byte{1, 2, 100} { // itself, and what lies behind it
		v.put8(b.debug.scopes.begin+1, sender)
		vm.cache.Drop()
		if frames, err := vm.Expand(b.physical(v.code + 32 - 16)); err == nil {
			t.Errorf("a sender at %d: %v", sender, frames)
		}
	}
}

func FuzzELF(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"), "gHotSpotVMStructs")
	f.Fuzz(func(t *testing.T, file []byte, name string) {
		if len(file) > 1<<16 || len(name) > 100 {
			return
		}
		mem := fakeMemory{}
		mem.write(0x10000, file)
		im, err := openImage(&counted{mem, 1 << 16}, 0x10000)
		if err != nil {
			return
		}
		im.symbol(name)
	})
}
