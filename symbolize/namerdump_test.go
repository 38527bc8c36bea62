package symbolize

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"vmaleak/symbolize/jvm"
)

func dumpOf(from, to uint64, threads ...jvm.Thread) Result {
	return Result{Dump: &jvm.Dump{Threads: threads, Took: time.Millisecond}, asked: true, from: from, to: to}
}

func TestDumpNamesOnlyWhoWasThere(t *testing.T) {
	const from, to = 1000, 1010
	type thread struct {
		start uint64
		gone  uint64 // 0: alive
	}
	for _, c := range []struct {
		what    string
		threads []thread
		named   int // index of the thread that gets the name; -1: none
	}{
		{"there before the dump was asked for", []thread{{900, 0}}, 0},
		{"started in the same tick", []thread{{1000, 0}}, -1},
		{"started while the dump was made", []thread{{1005, 0}}, -1},
		{"started after it", []thread{{1011, 0}}, -1},
		{"died while it was made", []thread{{900, 1005}}, 0},
		{"died after it, TID used again", []thread{{900, 1020}, {1015, 0}}, 0},
		{"known dead before, TID used again before", []thread{{900, 950}, {940, 0}}, 1},
		{"known dead before, nobody since", []thread{{900, 950}}, -1},
		{"died meanwhile, TID used again meanwhile", []thread{{900, 1009}, {1006, 0}}, -1},
	} {
		n := still(t)
		var es []*entry
		for _, th := range c.threads {
			e := n.put(7, th.start, "comm")
			if th.gone != 0 {
				n.bury(e, day, th.gone)
			}
			es = append(es, e)
		}
		n.Adopt(dumpOf(from, to, jvm.Thread{Name: "w-1", NID: 7}), day)
		for i, e := range es {
			if got := e.Name != nil; got != (i == c.named) {
				t.Errorf("%s: thread %d named: %v", c.what, i, got)
			}
		}
	}
}

func TestThreadKnownBeforeTheDumpOfTheSameTick(t *testing.T) {
	n := still(t)
	known := n.put(1, 1000, "java")
	if !n.Due(day) {
		t.Fatal("not due")
	}
	fresh := n.put(2, 1000, "java")
	n.Adopt(dumpOf(1000, 1000, jvm.Thread{Name: "a", NID: 1}, jvm.Thread{Name: "b", NID: 2}), day)
	if known.Name == nil || fresh.Name != nil {
		t.Errorf("known before: %v, found after: %v", known.Name, fresh.Name)
	}
}

func TestEmptyAndUnknownNames(t *testing.T) {
	n := still(t)
	empty, native, young := n.put(1, 10, "java"), n.put(2, 10, "native-1"), n.put(3, 950, "java")
	n.Adopt(dumpOf(1000, 1001, jvm.Thread{Name: "", NID: 1}, jvm.Thread{Name: "forged", NID: 99}), day)
	if empty.Name == nil || *empty.Name != "" || empty.Pool != "" || empty.Label() != "" {
		t.Errorf("an empty Java name is %+v", empty.Thread)
	}
	if native.Name != nil || native.Pool != "native-#" || native.Label() != "native-1" || !native.nameless {
		t.Errorf("a native thread is %+v", native)
	}
	if young.nameless {
		t.Error("a thread that started just before the dump is given up")
	}
	if native.seen = true; native.wanted() {
		t.Error("a native thread is asked for again")
	}
	if native.setComm("renamed"); !native.wanted() {
		t.Error("a native thread with a new comm is not asked for again")
	}
}

func TestChurnDoesNotStormDumps(t *testing.T) {
	n := still(t)
	now := day
	tick := uint64(1000)
	dumps := 0
	var last time.Time
	for second := range 3600 {
		now = now.Add(time.Second)
		tick += 100
		e := n.put(second+10, tick, "short") // a new thread each second, with events …
		e.seen = true
		if n.Due(now) {
			if !last.IsZero() && now.Sub(last) < minInterval {
				t.Fatalf("second %d: a dump %v after the last", second, now.Sub(last))
			}
			last = now
			dumps++
			n.Adopt(dumpOf(tick, tick+1), now) // … that the dump is always too early for
		}
		n.bury(e, now, tick)
		n.evict()
	}
	if dumps < 2 || dumps > 3600/int(maxInterval/time.Second)+6 {
		t.Errorf("%d dumps in an hour of churn", dumps)
	}
	// One that stays is asked for again, at once when the interval is over.
	n.put(9, tick-200, "java").seen = true
	now = now.Add(maxInterval)
	if !n.Due(now) {
		t.Fatal("not due")
	}
	n.Adopt(dumpOf(tick, tick+1, jvm.Thread{Name: "stays", NID: 9}), now)
	if n.wait != minInterval {
		t.Errorf("after a dump that told something the next may come after %v", n.wait)
	}
}

func TestLastDumpIsForAllThreads(t *testing.T) {
	n := still(t)
	if !n.Due(day) {
		t.Fatal("not due")
	}
	n.Adopt(dumpOf(1000, 1001), day)
	n.put(1, 1100, "java") // without events
	if n.Due(day.Add(time.Hour)) {
		t.Error("due for a thread without events")
	}
	if n.DueLast(day.Add(minInterval - 1)) {
		t.Error("the last dump comes too early after another")
	}
	if !n.DueLast(day.Add(minInterval)) {
		t.Error("no last dump, though a thread has no name")
	}
	n.Adopt(dumpOf(2000, 2001, jvm.Thread{Name: "x", NID: 1}), day)
	if n.DueLast(day.Add(time.Hour)) {
		t.Error("a last dump, though every thread has its name")
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		err  error
		next time.Duration // 0: never
	}{
		{jvm.ErrNotJVM, 0},
		{jvm.ErrAttachDisabled, 0},
		{jvm.ErrZombie, 0},
		{ErrGone, 0},
		{jvm.ErrNoSocket, firstLook},
		{jvm.ErrNoHandler, firstLook},
		{jvm.ErrStopped, firstLook},
		{jvm.ErrTimeout, 2 * minInterval},
		{context.Canceled, 2 * minInterval},
	} {
		n := still(t)
		if !n.Due(day) {
			t.Fatal("not due")
		}
		n.Adopt(Result{Err: fmt.Errorf("dial: %w", c.err), asked: true}, day)
		if !errors.Is(n.Err(), c.err) {
			t.Errorf("%v: the error is %v", c.err, n.Err())
		}
		if c.next == 0 {
			if n.Due(day.Add(24 * time.Hour)) {
				t.Errorf("%v: asked again", c.err)
			}
			continue
		}
		if n.Due(day.Add(c.next - 1)) {
			t.Errorf("%v: asked again too early", c.err)
		}
		if !n.Due(day.Add(c.next)) {
			t.Errorf("%v: not asked again after %v", c.err, c.next)
		}
	}
}
