package hotspot

import (
	"encoding/binary"
	"testing"
)

// entry is where an entry keeps its parts in all releases.
var entry = perfEntry{length: 0, name: 4, data: 16, vector: 8, typ: 12}

// perf writes a counter.
func perf(name string, typ byte, value uint64) []byte {
	b := make([]byte, 20, 64)
	data := (20 + len(name) + 1 + 7) &^ 7
	binary.LittleEndian.PutUint32(b, uint32(data+8))
	binary.LittleEndian.PutUint32(b[4:], 20)
	b[12] = typ
	binary.LittleEndian.PutUint32(b[16:], uint32(data))
	b = append(b, name...)
	b = append(b, make([]byte, data-len(b))...)
	return binary.LittleEndian.AppendUint64(b, value)
}

func TestPerformanceCounters(t *testing.T) {
	text := append(perf("sun.gc.metaspace.used", 'J', 12345), perf("java.a.byte", 'B', 1)...)
	text = append(text, perf("", 'J', 9)...)
	got := parsePerf(text, entry)
	if len(got) != 2 || got["sun.gc.metaspace.used"] != 12345 || got[""] != 9 {
		t.Errorf("%v", got)
	}
	if got := parsePerf(text, perfEntry{length: 1 << 40}); len(got) != 0 {
		t.Errorf("an entry outside of itself: %v", got)
	}
}

func TestPerformanceCountersOfALivingVM(t *testing.T) {
	for version, home := range jdks(t) {
		p := mustRun(t, home, "-Xmx96m", "-cp", mustCompile(t, home, "8", "testdata/Direct.java"), "Direct")
		for p.line() != "READY" {
		}
		vm, err := Attach(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		c, err := vm.perfCounters()
		if err != nil {
			t.Fatal(err)
		}
		s, err := vm.Spaces()
		if err != nil || s.Threads == nil {
			t.Fatal(err)
		}
		if n := c["java.threads.live"]; n < 2 || n > *s.Threads || len(c) < 50 { // it does not count the compilers'
			t.Errorf("%s: %d threads of %d, %d counters", version, n, *s.Threads, len(c))
		}
	}
}

func FuzzPerf(f *testing.F) {
	f.Add(perf("sun.gc.metaspace.used", 'J', 1), uint16(0))
	f.Add(perf("x", 'J', 1)[:21], uint16(20))
	f.Fuzz(func(t *testing.T, text []byte, at uint16) {
		if len(text) > 1<<12 {
			return
		}
		if got := parsePerf(text, entry); len(got) > len(text)/20 {
			t.Errorf("%d counters in %d bytes", len(got), len(text))
		}
		parsePerf(text, perfEntry{length: uint64(at), name: 4, data: 16, vector: 8, typ: 12})
	})
}
