package main

import (
	"strings"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize/hotspot"
	"vmaleak/vma"
)

// watchJVM has a target's JVM read from now on.
func (s *session) watchJVM(t *target) {
	if t.jvm == nil && s.jvms != nil {
		t.jvm = s.jvms.watch(t.sp.PID())
	}
}

// jvmWait is how long an export waits for JVMs to be read once more.
const jvmWait = 3 * time.Second

// freshJVMs has the JVMs read as they are now.
func (s *session) freshJVMs() error {
	if s.jvms == nil {
		return nil
	}
	number := s.jvms.ask()
	waiting := func() bool {
		for _, t := range s.targets {
			if t.jvm != nil && t.jvm.answered.Load() < number {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(jvmWait); waiting() && time.Now().Before(deadline); {
		if err := s.tr.Poll(time.Now().Add(2 * time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

// jvmFacts adds what is known of a target's JVM. f.Threads are known by then.
func (s *session) jvmFacts(t *target, f *leak.Facts) {
	if t.jvm == nil {
		return
	}
	r := t.jvm.last.Load()
	if r == nil {
		return
	}
	j := &leak.JVM{}
	if of := t.books.Process().JVM; of != nil {
		*j = *of
	}
	j.Collector = str(r.collector)
	j.Heap = &leak.JVMHeap{Used: r.heap.Used, Committed: r.heap.Committed, Max: r.heap.Max}
	j.Metaspace, j.ClassSpace, j.CodeCache = jvmSpace(r.spaces.Metaspace), jvmSpace(r.spaces.ClassSpace), jvmSpace(r.spaces.CodeCache)
	j.Threads = r.spaces.Threads
	j.HeapRanges = []leak.AddrRange{}
	byTID := map[int]vma.Thread{}
	for _, th := range f.Threads {
		if th.Alive {
			byTID[th.NSTID] = th.Thread
		}
	}
	for _, g := range r.regions {
		f.Regions = append(f.Regions, leak.Region{Range: vma.Range{Start: g.Start, End: g.End}, Category: g.Purpose, Thread: byTID[g.TID]})
		if g.Purpose == hotspot.JavaHeap {
			j.HeapRanges = append(j.HeapRanges, leak.AddrRange{Start: leak.Addr(g.Start), End: leak.Addr(g.End)})
		}
	}
	j.Direct = map[string]uint64{}
	for _, d := range r.direct {
		f.Counters = append(f.Counters, leak.Counter{Name: counterName(d.Class), Counter: d.Class + "." + d.Field, Used: d.Used, Limit: d.Limit})
		addDirect(j.Direct, d)
	}
	t.jvm.addNMT(r, j)
	f.JVM = j
}

func jvmSpace(u hotspot.Usage) *leak.JVMSpace {
	if u == (hotspot.Usage{}) {
		return nil
	}
	return &leak.JVMSpace{Used: u.Used, Committed: u.Committed, Reserved: u.Max}
}

// bits is the class that counts the JDK's own direct buffers.
const bits = "java.nio.Bits"

// counterName is what a counter of direct memory is called: Netty's by the
// package that it was shaded to, since there may be several.
func counterName(class string) string {
	if class == bits {
		return "NIO direct memory"
	}
	switch where := strings.TrimSuffix(class, ".util.internal.PlatformDependent"); where {
	case "io.netty":
		return "Netty direct memory"
	default:
		return "Netty direct memory (" + where + ")"
	}
}

// addDirect adds a class's counters by the names of its fields; of several
// copies of a class, each with a loader of its own, these are sums.
func addDirect(direct map[string]uint64, d hotspot.DirectMemory) {
	names := [4]string{d.Field, "DIRECT_MEMORY_LIMIT", "", ""}
	if d.Class == bits {
		names = [4]string{"RESERVED_MEMORY", "MAX_MEMORY", "TOTAL_CAPACITY", "COUNT"}
	}
	for i, n := range []*uint64{d.Used, d.Limit, d.Capacity, d.Count} {
		if n != nil && names[i] != "" {
			direct[d.Class+"."+names[i]] += *n
		}
	}
}

// jvmWarning says of which JVMs it is not known what all addresses are for.
func (s *session) jvmWarning() *leak.Warning {
	var w *leak.Warning
	for _, t := range s.targets {
		if t.jvm == nil {
			continue
		}
		r := t.jvm.last.Load()
		switch {
		case r == nil || r.missing == nil:
		case w == nil:
			w = &leak.Warning{Code: "jvm-regions", Message: "what a JVM has reserved memory for is not all known; the rest is judged by stacks and layout: " +
				strings.ReplaceAll(r.missing.Error(), "\n", "; "), Count: 1}
		default:
			w.Count++
		}
	}
	return w
}
