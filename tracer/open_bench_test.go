package tracer

import "testing"

// BenchmarkOpen is the start and end of a trace: load, attach, self-test, detach.
func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		t := mustTracer(b, Options{}, &counter{})
		if err := t.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
