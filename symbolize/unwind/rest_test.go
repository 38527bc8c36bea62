package unwind

import (
	"slices"
	"testing"
)

func TestDebugInformationIsLetGoAndReadAgain(t *testing.T) {
	prog := build(t, "cc", "testdata/chain.c", "-O1", "-fno-optimize-sibling-calls", "-g", "-pthread")
	pid, tid := startPaused(t, prog, "deep", "3")
	raw := snapshot(t, pid, tid, copyLimit)
	mem := slices.Clone(raw.Mem)
	r := NewResolver(Options{})
	want := dump(r.Resolve(raw))
	if r.modules.debug == 0 {
		t.Fatal("no debug information was read")
	}
	if !r.Rest() || r.modules.debug == 0 {
		t.Error("what was just used is gone, or the tables left no garbage")
	}
	if !r.Rest() || r.modules.debug != 0 {
		t.Errorf("%d bytes of debug information are kept", r.modules.debug)
	}
	if r.Rest() {
		t.Error("garbage of nothing")
	}
	raw.Mem = mem
	r.walked.clear()
	r.distinct.clear()
	for m := range r.processes[pid].mods {
		if m.names != nil {
			m.names.frames.clear()
		}
	}
	if got := dump(r.Resolve(raw)); got != want || r.modules.debug == 0 {
		t.Errorf("with %d bytes of debug information\n%swant\n%s", r.modules.debug, got, want)
	}
}
