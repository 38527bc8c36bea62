package hotspot

import "testing"

// pack5 encodes a number as the VM does.
func pack5(n uint32, excess byte) []byte {
	var p []byte
	rest := uint64(n)
	low := uint64(192 - uint64(excess))
	for i := 0; i < 4 && rest >= low; i++ {
		rest -= low
		p = append(p, byte(low+rest%64)+excess)
		rest /= 64
	}
	return append(p, byte(rest)+excess)
}

func TestUnsigned5(t *testing.T) {
	for _, excess := range []byte{0, 1} {
		for _, n := range []uint32{0, 1, 190, 191, 192, 193, 254, 255, 256, 12415, 12416, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
			u := unsigned5{append(pack5(n, excess), 7), excess}
			got, err := u.next()
			if err != nil || got != n || len(u.p) != 1 {
				t.Errorf("%d, excess %d: %d, %v, %d bytes left", n, excess, got, err, len(u.p))
			}
		}
	}
	for n, want := range map[uint32]int32{0: 0, 1: -1, 2: 1, 3: -2, 1<<32 - 1: -1 << 31, 1<<32 - 2: 1<<31 - 1} {
		u := unsigned5{pack5(n, 1), 1}
		if got, err := u.signed(); err != nil || got != want {
			t.Errorf("%d is %d, %v instead of %d", n, got, err, want)
		}
	}
	for name, p := range map[string][]byte{"nothing": {}, "cut off": {200}, "a zero": {0}, "a zero behind": {200, 0}, "too large": {255, 255, 255, 255, 255}} {
		u := unsigned5{p, 1}
		if n, err := u.next(); err == nil {
			t.Errorf("%s: %d", name, n)
		}
	}
}

func FuzzUnsigned5(f *testing.F) {
	f.Add([]byte{1, 192, 3, 255, 255, 255, 255, 3}, byte(1))
	f.Fuzz(func(t *testing.T, p []byte, excess byte) {
		excess %= 2
		u := unsigned5{p, excess}
		for {
			before := len(u.p)
			n, err := u.next()
			if err != nil {
				return
			}
			if used := before - len(u.p); used < 1 || used > 5 {
				t.Fatalf("%d bytes", used)
			}
			again := unsigned5{pack5(n, excess), excess}
			if m, err := again.next(); err != nil || m != n {
				t.Fatalf("%d packed is %d, %v", n, m, err)
			}
		}
	})
}
