package hotspot

import "testing"

// packLines compresses pairs of bytecode index and line as the VM does.
func packLines(excess byte, pairs ...[2]int) []byte {
	var p []byte
	at, line := 0, 0
	sign := func(n int) []byte { return pack5(uint32(int32(n)<<1)^uint32(int32(n)>>31), excess) }
	for _, pair := range pairs {
		da, dl := pair[0]-at, pair[1]-line
		if da >= 0 && da < 32 && dl >= 0 && dl < 8 && (da != 0 || dl != 0) && (da != 31 || dl != 7) {
			p = append(p, byte(da<<3|dl))
		} else {
			p = append(append(append(p, 0xff), sign(da)...), sign(dl)...)
		}
		at, line = pair[0], pair[1]
	}
	return append(p, 0)
}

func TestLineOfABytecode(t *testing.T) {
	pairs := [][2]int{{0, 100}, {3, 101}, {10, 90}, {40, 65535}, {300, 7}}
	for _, excess := range []byte{0, 1} {
		table := packLines(excess, pairs...)
		for bci, want := range map[uint32]int{0: 100, 2: 100, 3: 101, 9: 101, 10: 90, 39: 90, 40: 65535, 299: 65535, 300: 7, 60000: 7} {
			if got, err := lineAt(table, excess, bci); err != nil || got != want {
				t.Errorf("line at %d: %d, %v instead of %d", bci, got, err, want)
			}
		}
		backwards := packLines(excess, [2]int{20, 5}, [2]int{0, 4}, [2]int{10, 6})
		for bci, want := range map[uint32]int{0: 4, 10: 6, 15: 6, 20: 5} {
			if got, err := lineAt(backwards, excess, bci); err != nil || got != want {
				t.Errorf("line at %d of a table out of order: %d, %v instead of %d", bci, got, err, want)
			}
		}
		late := packLines(excess, [2]int{5, 9})
		if got, err := lineAt(late, excess, 2); err != nil || got != 0 {
			t.Errorf("before the first entry: %d, %v", got, err)
		}
	}
	for name, p := range map[string][]byte{"none": {}, "no end": {9, 9}, "cut off": {0xff, 200}, "beyond": {0xff, 255, 255, 255, 3, 1, 0}} {
		if line, err := lineAt(p, 1, 0); err == nil {
			t.Errorf("%s: line %d", name, line)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add(packLines(1, [2]int{0, 100}, [2]int{3, 101}, [2]int{40, 65535}), byte(1), uint32(3))
	f.Add(packLines(0, [2]int{0, 100}, [2]int{500, 90}), byte(0), uint32(700))
	f.Fuzz(func(t *testing.T, p []byte, excess byte, bci uint32) {
		line, err := lineAt(p, excess%2, bci)
		if line < 0 || line > maxCode || err != nil && line != 0 {
			t.Fatalf("line %d, %v", line, err)
		}
	})
}
