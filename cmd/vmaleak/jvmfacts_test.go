package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize/hotspot"
)

// traceJVM traces a JVM that runs already, for a moment, and returns its entry.
func traceJVM(t *testing.T, pid int, args ...string) *leak.Entry {
	t.Helper()
	cmd := vmaleakCommand(t, append([]string{"trace", "-p", strconv.Itoa(pid), "--json", "out.json", "-d", "1s", "-i", "500ms", "--no-tui"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	snap, err := checkExport(filepath.Join(cmd.Dir, "out.json"))
	if err != nil {
		t.Fatal(err)
	}
	return snap.Processes[0]
}

func TestWhatAJVMsMemoryIsFor(t *testing.T) {
	needRoot(t)
	for _, major := range []string{"17", "25"} {
		for collector, flag := range map[string]string{"G1": "-XX:+UseG1GC", "Z": "-XX:+UseZGC"} {
			t.Run(major+" "+collector, func(t *testing.T) {
				const threads = 100
				pid, names := mustNamed(t, mustJDK(t, major), threads, flag, "-XX:NativeMemoryTracking=summary", "-XX:MaxDirectMemorySize=30m")
				e := traceJVM(t, pid)
				j := e.JVM
				if j.Collector == nil || *j.Collector != collector || j.Heap == nil || j.Heap.Used == nil || *j.Heap.Used == 0 || *j.Heap.Max != 64<<20 || len(j.HeapRanges) == 0 {
					t.Errorf("%+v with a heap %+v", j, j.Heap)
				}
				if j.Threads == nil || *j.Threads < threads {
					t.Errorf("%v threads", j.Threads)
				}
				for name, s := range map[string]*leak.JVMSpace{"metaspace": j.Metaspace, "class space": j.ClassSpace, "code cache": j.CodeCache} {
					if s == nil || s.Committed == nil || *s.Committed == 0 || *s.Reserved < *s.Committed || *s.Used > *s.Committed {
						t.Errorf("%s: %+v", name, s)
					}
				}
				// With the VM's own accounts: whole pages and what came since make a difference.
				committed := map[string]uint64{}
				for _, m := range e.Mappings {
					committed[*m.Category] += m.Committed
				}
				for category, nmt := range map[string]string{leak.Metaspace: "Metaspace", leak.CodeCache: "Code", leak.JavaHeap: "Java Heap"} {
					if category == leak.JavaHeap && collector == "Z" {
						continue // its memory is a file's
					}
					if got, want := committed[category], j.NMT[nmt]; want == 0 || got+want/8+1<<20 < want || got > want+want/8+1<<20 {
						t.Errorf("%d bytes of %s, the VM says %d", got, category, want)
					}
				}
				if j.NMTStatus == nil || *j.NMTStatus != "summary" || j.NMTReserved["Total"] < j.NMT["Total"] {
					t.Errorf("tracking: %v, %v", j.NMTStatus, j.NMT)
				}
				if _, ok := j.NMTGrowth["Total"]; !ok || j.NMTSince == nil || j.NMTSince.After(*e.TracedSince) && j.NMTSince.Sub(*e.TracedSince) > time.Minute {
					t.Errorf("growth since %v: %v", j.NMTSince, j.NMTGrowth)
				}
				checkCounters(t, e)
				stacks := 0
				for i := range e.Mappings {
					if m := &e.Mappings[i]; *m.Category == leak.ThreadStack && m.Committed > 0 {
						stacks++
					}
				}
				if stacks < len(names) {
					t.Errorf("%d stacks of %d threads", stacks, len(names))
				}
			})
		}
	}
}

// checkCounters expects that nothing was allocated directly.
func checkCounters(t *testing.T, e *leak.Entry) {
	t.Helper()
	found := false
	for _, c := range e.Counters {
		if found = c.Name == "NIO direct memory"; found {
			if c.Counter != "java.nio.Bits.RESERVED_MEMORY" || c.Used == nil || *c.Used > 64<<10 || c.Limit == nil || *c.Limit != 30<<20 {
				t.Errorf("%+v", c)
			}
			if e.JVM.Direct["java.nio.Bits.MAX_MEMORY"] != 30<<20 {
				t.Errorf("%v", e.JVM.Direct)
			}
		}
	}
	if !found && len(e.Counters) > 0 { // the class is loaded with the first direct buffer
		t.Errorf("%+v", e.Counters)
	}
}

func TestNoFiguresOfTrackingWithoutAttach(t *testing.T) {
	needRoot(t)
	pid, _ := mustNamed(t, mustJDK(t, "17"), 3, "-XX:NativeMemoryTracking=summary")
	e := traceJVM(t, pid, "--attach=no")
	if e.JVM.NMT != nil || e.JVM.NMTStatus == nil || !strings.Contains(*e.JVM.NMTStatus, "--attach=no") {
		t.Errorf("%+v", e.JVM)
	}
	if _, err := os.Stat("/tmp/.java_pid" + strconv.Itoa(pid)); err == nil {
		t.Error("it was attached to")
	}
	pid, _ = mustNamed(t, mustJDK(t, "17"), 3)
	if e = traceJVM(t, pid); e.JVM.NMT != nil || e.JVM.NMTStatus == nil || !strings.Contains(*e.JVM.NMTStatus, "-XX:NativeMemoryTracking=summary") {
		t.Errorf("%+v", e.JVM)
	}
}

func TestCountersOfSeveralNettys(t *testing.T) {
	n := func(v uint64) *uint64 { return &v }
	direct := map[string]uint64{}
	for _, d := range []hotspot.DirectMemory{
		{Class: "io.netty.util.internal.PlatformDependent", Field: "DIRECT_MEMORY_COUNTER", Used: n(7), Limit: n(100)},
		{Class: "io.netty.util.internal.PlatformDependent", Field: "DIRECT_MEMORY_COUNTER", Used: n(5), Limit: n(100)}, // by another loader
		{Class: bits, Field: "reservedMemory", Used: n(3), Count: n(2)},
	} {
		addDirect(direct, d)
	}
	got, err := json.Marshal(direct)
	want := `{"io.netty.util.internal.PlatformDependent.DIRECT_MEMORY_COUNTER":12,"io.netty.util.internal.PlatformDependent.DIRECT_MEMORY_LIMIT":200,"java.nio.Bits.COUNT":2,"java.nio.Bits.RESERVED_MEMORY":3}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	for class, want := range map[string]string{
		bits: "NIO direct memory", "io.netty.util.internal.PlatformDependent": "Netty direct memory",
		"a.b.io.netty.util.internal.PlatformDependent": "Netty direct memory (a.b.io.netty)",
	} {
		if got := counterName(class); got != want {
			t.Errorf("%s: %q", class, got)
		}
	}
}
