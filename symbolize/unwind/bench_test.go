//go:build amd64

package unwind

import (
	"os"
	"slices"
	"strconv"
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

// BenchmarkResolveJava measures a stack with Java frames in the same way.
func BenchmarkResolveJava(b *testing.B) {
	pid, tid := startParked(b, javas(b)[0], "-Xint")
	r := NewResolver(Options{})
	var raw *Raw
	waitFor(b, "a stack with Java frames", func() bool {
		raw = snapshot(b, pid, tid, copyLimit)
		return len(r.Resolve(raw).Frames) > 15
	})
	mem := slices.Clone(raw.Mem)
	b.Run("repeated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			raw.Mem = append(raw.Mem[:0], mem...)
			r.Resolve(raw)
		}
		b.ReportMetric(float64(len(r.trace.steps)), "frames")
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
}

// BenchmarkPrepare measures the tables of a whole process, from nothing; make
// bench says which JVM.
func BenchmarkPrepare(b *testing.B) {
	pid, err := strconv.Atoi(os.Getenv("VMALEAK_BENCH_JVM"))
	if err != nil {
		skipAloud(b, "VMALEAK_BENCH_JVM is not the PID of a running JVM")
	}
	for b.Loop() {
		if err := NewResolver(Options{}).Prepare(pid); err != nil {
			b.Fatal(err)
		}
	}
}
