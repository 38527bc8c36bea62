//go:build amd64

package unwind

import (
	"slices"
	"testing"
)

// BenchmarkResolve measures a stack of about 40 native frames: one that has been seen
// before, and one whose frames are known but not their sequence.
func BenchmarkResolve(b *testing.B) {
	prog := build(b, "cc", "testdata/chain.c", "-O1", "-fno-optimize-sibling-calls", "-g", "-pthread")
	pid, tid := startPaused(b, prog, "deep", "33")
	raw := snapshot(b, pid, tid, copyLimit)
	r := NewResolver(Options{})
	if s := r.Resolve(raw); s.Status != Complete || len(s.Frames) < 40 {
		b.Fatal(dump(s))
	}
	mem := slices.Clone(raw.Mem)
	b.Run("repeated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			raw.Mem = append(raw.Mem[:0], mem...)
			r.Resolve(raw)
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			raw.Mem = append(raw.Mem[:0], mem...)
			r.walked.clear()
			r.distinct.clear()
			r.Resolve(raw)
		}
	})
	b.Run("tables", func(b *testing.B) { // all of a program and its C library, from nothing
		for b.Loop() {
			if s := NewResolver(Options{}).Resolve(raw); s.Status != Complete {
				b.Fatal(dump(s))
			}
		}
	})
}
