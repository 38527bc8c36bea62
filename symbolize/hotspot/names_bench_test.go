package hotspot

import "testing"

// busy is a VM to measure.
func busy(b *testing.B) int {
	for _, home := range jdks(b) {
		p := mustRun(b, home, "-Xmx128m", "-cp", mustCompile(b, home, "8", "testdata/Busy.java"), "Busy", "1500")
		for p.line() != "READY" {
		}
		return p.pid()
	}
	return 0
}

func BenchmarkAttach(b *testing.B) {
	pid := busy(b)
	for b.Loop() {
		if _, err := Attach(pid); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExpand(b *testing.B) {
	vm, err := Attach(busy(b))
	if err != nil {
		b.Fatal(err)
	}
	var frames []Physical
	vm.eachBlob(b, func(nm *blob) {
		if nm.kind == blobNmethod {
			offsets, _ := vm.described(b, nm)
			for _, offset := range offsets {
				frames = append(frames, nm.physical(nm.codeBegin+uint64(offset)))
			}
		}
	})
	all := func(b *testing.B, forget func(i int)) {
		for i := 0; b.Loop(); i++ {
			forget(i)
			if _, err := vm.Expand(frames[i%len(frames)]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("known", func(b *testing.B) { all(b, func(int) {}) })
	b.Run("new, pages known", func(b *testing.B) {
		all(b, func(int) { clear(vm.expanded); clear(vm.expandedOld) })
	})
	b.Run("new, pages forgotten for each 40", func(b *testing.B) {
		all(b, func(i int) {
			clear(vm.expanded)
			clear(vm.expandedOld)
			if i%40 == 0 {
				vm.cache.Drop()
			}
		})
	})
}
