package workloads

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// all reports whether everything shall run, and not only what is quick.
func all() bool { return os.Getenv("VMALEAK_WORKLOADS") == "all" }

// TestWorkloads runs each leak and its control, on each JDK.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	needTrace(t)
	for i := range workloads {
		w := &workloads[i]
		for _, jdk := range w.jdks() {
			name := w.name + "/" + cmp.Or(jdk, "any")
			t.Run(name+"/leak", func(t *testing.T) { t.Parallel(); judgeOne(t, w, jdk, false) })
			t.Run(name+"/control", func(t *testing.T) { t.Parallel(); judgeOne(t, w, jdk, true) })
		}
	}
}

// jdks are those on which it shall run: "" for none in particular.
func (w *workload) jdks() (list []string) {
	if w.program == "c" || w.program == "go" {
		if all() || w.quick != "" {
			return []string{""}
		}
		return nil
	}
	for _, jdk := range []string{"17", "25"} {
		n, err := strconv.Atoi(jdk)
		if err == nil && n >= w.since && (all() || w.quick == jdk) {
			list = append(list, jdk)
		}
	}
	return list
}

// quickly is how long the few run that always do.
const quickly = 20 * time.Second

func judgeOne(t *testing.T, w *workload, jdk string, control bool) {
	if !all() {
		short := *w
		short.lasts = quickly
		w = &short
	}
	r := startWorkload(t, w, jdk, control)
	r.traceIt(t)
	want := r.expect(t)
	r.stop(t)
	e := r.final.Processes[0]
	if ev := e.Events; ev.Lost != 0 || ev.DriftBytes != 0 {
		t.Errorf("lost %d, drift %d bytes", ev.Lost, ev.DriftBytes)
	}
	seen := r.sightings
	if control && w.fills > 0 { // and what it held is dropped from the suspicion soon after
		seen = slices.DeleteFunc(slices.Clone(seen), func(s sighting) bool { return s.after < w.fills+4*time.Second })
	}
	o := judge(e, *r.final.EndedAt, seen, want)
	o.name, o.jdk, o.control = w.name, jdk, control
	record(o)
	t.Logf("truth %.1f MiB/h by %s for %v, end in %v", want.perHour/(1<<20), want.thread, want.categories, want.limit)
	t.Logf("judged %s: pool %s, %s, growth %.2f, end %.2f of the truth, first after %v", o.verdict, o.pool, o.category, o.growth, o.end, o.first)
	for _, wrong := range o.wrong {
		t.Error(wrong)
	}
}

// expect is the truth about the run, from when it was told to go until the trace ended.
func (r *live) expect(tb testing.TB) (x expected) {
	tb.Helper()
	x.leaks = !r.control && !r.w.innocent
	if !x.leaks {
		return x
	}
	word := "truth"
	if r.w.program == "netty" {
		word = "stats"
		x.thread, x.categories = "WorkerPetalGroup-9-1", []string{"direct-buffer"}
	}
	var truth []told
	for _, line := range mustTold(tb, r.target, word) {
		if line.at.After(r.went) && line.at.Before(r.endedTrace) {
			truth = append(truth, line)
		}
	}
	if len(truth) < 3 || len(r.memory) < 3 {
		tb.Fatalf("the workload told the truth %d times, and its memory was read %d times: too few", len(truth), len(r.memory))
	}
	last := truth[len(truth)-1]
	if thread, ok := last.fields["thread"]; ok {
		categories, also, _ := strings.Cut(last.fields["category"], "+")
		x.thread, x.categories, x.also = thread, strings.Split(categories, "|"), also
	}
	x.perHour = slope(truth, func(t told) (time.Time, float64) { return t.at, t.leaked })
	tb.Logf("the workload says %.1f MiB/h; by the kernel %.1f MiB/h in arenas, %.1f of all", x.perHour/(1<<20),
		slope(since(r.memory), memory.inArenas)/(1<<20), slope(r.memory, memory.all)/(1<<20))
	switch r.w.truth {
	case arenas:
		x.perHour, x.arena = slope(since(r.memory), memory.inArenas), true
		if r.w.program == "netty" { // one of its threads may have the main arena
			x.categories = append(x.categories, "malloc-arena", "brk-heap")
		}
	case committed:
		x.perHour = slope(r.memory, memory.all)
	}
	if r.w.name == "netty-out-of-memory" {
		x.limit = r.outOfMemory(tb).Sub(*r.final.EndedAt)
	} else if left := r.left(last); left > 0 {
		x.limit = time.Duration(left / x.perHour * float64(time.Hour))
	}
	return x
}

// outOfMemory is when the server ran out of direct memory: Netty says so, or on JDK 25 the JDK.
func (r *live) outOfMemory(tb testing.TB) (at time.Time) {
	tb.Helper()
	r.target.until(tb, "the server runs out of memory", func() bool {
		for _, l := range r.target.find("connection") {
			if strings.Contains(l.text, "direct memory") || strings.Contains(l.text, "direct buffer memory") {
				at = l.at
				break
			}
		}
		return !at.IsZero()
	})
	return at
}

// left is the bytes until the limit, 0 if there is none.
func (r *live) left(last told) float64 {
	switch {
	case r.group != nil:
		return r.max - r.endedUsed
	case r.max > 0:
		return r.max - r.memory[len(r.memory)-1].size
	case r.w.limit == direct && r.w.program == "netty":
		mib, _ := strconv.ParseFloat(strings.TrimSuffix(r.nettyLimit(), "m"), 64) // it is a constant
		return mib*(1<<20) - last.leaked
	case r.w.limit == direct:
		most, _ := strconv.ParseFloat(last.fields["limit"], 64) // 0 shows as no end
		return most - last.leaked
	}
	return 0
}

// since is all from when malloc's heaps began to grow: until then it uses again what was freed.
func since(all []memory) []memory {
	first, last := all[0].arenas, all[len(all)-1].arenas
	i := slices.IndexFunc(all, func(m memory) bool { return m.arenas > first+(last-first)/20 })
	if i < 0 || len(all)-i < 3 {
		return all
	}
	return all[i:]
}

func (m memory) inArenas() (time.Time, float64) { return m.at, m.arenas }
func (m memory) all() (time.Time, float64)      { return m.at, m.committed }
