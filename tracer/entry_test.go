package tracer

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func TestProbesGoWhereTheKernelEmulates(t *testing.T) {
	for _, c := range []struct {
		what, code string
		want       uint64
	}{
		{"glibc's malloc: push r12", "4154 55 53 48 89fb 48", 0},
		{"glibc's free: test rdi, rdi and je", "4885ff 0f84bf000000 55", 3},
		{"endbr64, then a push", "f30f1efa 55 4889e5", 4},
		{"endbr64, test, a short jump", "f30f1efa 4885ff 7405", 7},
		{"endbr64, then what is stepped over", "f30f1efa 4883ec18", 0},
		{"test, then what is stepped over", "4885ff 4883ec18", 0},
		{"a comparison: posix_memalign", "803d0102140000 4155", 0},
		{"a function of one return", "c3", 0},
	} {
		code, err := hex.DecodeString(strings.ReplaceAll(c.code, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		file := append(append(bytes.Repeat([]byte{0xcc}, 64), code...), bytes.Repeat([]byte{0xcc}, 64)...)
		if got := entry(bytes.NewReader(file), 64) - 64; got != c.want {
			t.Errorf("%s: the probe is at +%d, want +%d", c.what, got, c.want)
		}
	}
	if got := entry(bytes.NewReader([]byte{0xf3}), 0); got != 0 {
		t.Errorf("at the end of a file the probe is at +%d", got)
	}
}
