package hotspot

import (
	"errors"
	"fmt"
	"testing"
)

func TestLayoutsOfAllReleases(t *testing.T) {
	const outer, inner = "a.Outer.outer(int[],java.lang.Object)", "a.Outer.inner()"
	for _, jdk := range fakeJDKs {
		t.Run(fmt.Sprint(jdk), func(t *testing.T) {
			v := newBuiltVM(t, jdk)
			vm, err := New(v, v.symbol)
			if err != nil {
				t.Fatal(err)
			}
			check := func(p Physical, want ...Frame) {
				t.Helper()
				got, err := vm.Expand(p)
				if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%v is %v, %v instead of %v", p, got, err, want)
				}
			}
			b, err := vm.blobFor(v.code + 16)
			if err != nil {
				t.Fatal(err)
			}
			if b.kind != blobNmethod || b.compileID != fakeCompile || b.method != v.outer || b.frameSize != 4 {
				t.Errorf("%+v", b)
			}
			check(b.physical(v.code+16), Frame{Kind: "inlined", Function: inner, File: "Outer.java", Line: 12},
				Frame{Kind: "java", Function: outer, File: "Outer.java", Line: 22})
			check(b.physical(v.code+32), Frame{Kind: "java", Function: outer, File: "Outer.java", Line: 20})
			check(b.physical(v.code+20), Frame{Kind: "java", Function: outer, File: "Outer.java", Line: 20, Near: true})
			check(b.physical(v.code+40), Frame{Kind: "java", Function: outer, File: "Outer.java", Near: true})
			m, err := vm.method(v.outer)
			if err != nil {
				t.Fatal(err)
			}
			p, err := vm.interpreted(v.outer, m.code+6)
			if err != nil {
				t.Fatal(err)
			}
			check(p, Frame{Kind: "java", Function: outer, File: "Outer.java", Line: 22})
			if _, err := vm.interpreted(v.outer, m.code+12); !errors.Is(err, errUnreadable) {
				t.Errorf("a bytecode behind the method: %v", err)
			}
			s, err := vm.blobFor(v.stub + 250)
			if err != nil || s.kind != blobRuntimeStub {
				t.Fatalf("%+v, %v", s, err)
			}
			check(s.physical(v.stub+250), Frame{Kind: "stub", Function: "a stub of the VM"})
		})
	}
}

func TestAnInterpretedMethodThatWasReplaced(t *testing.T) {
	v := newBuiltVM(t, 21)
	vm, err := New(v, v.symbol)
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.method(v.outer)
	if err != nil {
		t.Fatal(err)
	}
	p, err := vm.interpreted(v.outer, m.code)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := v.field("Method._constMethod")
	other, err := vm.u64(v.inner + f.value)
	if err != nil {
		t.Fatal(err)
	}
	v.put64(v.outer+f.value, other) // the cache of pages does not know
	if frames, err := vm.Expand(p); !errors.Is(err, ErrGone) {
		t.Errorf("%v, %v", frames, err)
	}
}

func TestCodeThatIsGone(t *testing.T) {
	for name, damage := range map[string]func(v *builtVM){
		"compiled anew": func(v *builtVM) { v.set(v.nmethod, "nmethod._compile_id", fakeCompile+1) },
		"freed":         func(v *builtVM) { v.set(v.nmethod-fakeHeader, "HeapBlock::Header._used", 0) },
		"free":          func(v *builtVM) { v.put8(fakeSegmap+4, segmapFree) },
		"flushed":       func(v *builtVM) { v.set(v.nmethod, "nmethod._method", 0) },
	} {
		v := newBuiltVM(t, 17)
		vm, err := New(v, v.symbol)
		if err != nil {
			t.Fatal(err)
		}
		b, err := vm.blobFor(v.code + 16)
		if err != nil {
			t.Fatal(err)
		}
		damage(v)
		if frames, err := vm.Expand(b.physical(v.code + 16)); !errors.Is(err, ErrGone) && name != "free" && name != "flushed" {
			t.Errorf("%s, seen through the cache: %v, %v", name, frames, err)
		}
		clear(vm.expanded)
		vm.cache.Drop()
		if frames, err := vm.Expand(b.physical(v.code + 16)); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v, %v", name, frames, err)
		}
	}
}
