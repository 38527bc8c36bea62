package symbolize

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"

	"vmaleak/symbolize/jvm"
)

var day = time.Unix(1_700_000_000, 0)

func TestNamerFollowsThreads(t *testing.T) {
	p := mustHelper(t, "threads", nil)
	p.line()
	n := NewNamer(p.pid(), NamerOptions{})
	defer n.Close()
	// What the kernel keeps of a name, and what is made of it.
	for _, c := range []struct{ comm, want string }{
		{`plain`, "plain"},
		{`fourteen byte€s`, "fourteen byte\uFFFD"}, // cut in the middle of a character
		{`line\nbreak`, "line\nbreak"},
		{`\x1b[31mred`, "\x1b[31mred"},
		{`a) R 1 2 (b`, "a) R 1 2 (b"},
		{`back\\slash\\n`, `back\slash\n`},
		{`\xff\xfe`, "\uFFFD"},
		{`pool-1-worker-9`, "pool-1-worker-9"},
	} {
		tid, err := strconv.Atoi(p.ask(c.comm))
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Refresh(day); err != nil {
			t.Fatal(err)
		}
		th, ok := n.Lookup(uint32(tid), 0)
		if !ok || th.Comm != c.want || th.Label() != c.want || th.Name != nil || th.Pool != Pool(c.want) || !th.Alive || th.NSTID != tid {
			t.Errorf("%s: %+v %v, want comm %q", c.comm, th, ok, c.want)
		}
		if !utf8.ValidString(th.Comm) {
			t.Errorf("%q is not UTF-8", th.Comm)
		}
		if age := time.Since(th.StartedAt); age < -time.Second || age > time.Minute {
			t.Errorf("started %v ago", age)
		}
		if again, ok := n.Lookup(uint32(tid), th.StartTicks); !ok || again.Comm != th.Comm {
			t.Errorf("by start time: %+v %v", again, ok)
		}
		if _, ok := n.Lookup(uint32(tid), th.StartTicks+1); ok {
			t.Error("another start time finds the thread too")
		}
		if n.Saw(uint32(tid), th.StartTicks+1) {
			t.Error("an event of another thread with this TID is taken for it")
		}
	}
	if n.Due(day) {
		t.Error("a dump is due of a process that is no JVM")
	}
	p.ask("-")
	var dead Thread
	until(t, "a thread is gone", func() bool {
		if err := n.Refresh(day.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		for th := range n.Threads() {
			if !th.Alive {
				dead = th
			}
		}
		return dead.TID != 0
	})
	if dead.Comm != "pool-1-worker-9" || !dead.GoneAt.Equal(day.Add(time.Second)) {
		t.Errorf("the dead thread is %+v", dead)
	}
	if th, ok := n.Lookup(uint32(dead.TID), dead.StartTicks); !ok || th.Comm != dead.Comm {
		t.Errorf("asked for: %+v %v", th, ok)
	}
	p.finish()
	if err := n.Refresh(day); !errors.Is(err, ErrGone) {
		t.Errorf("after the end: %v", err)
	}
}

func TestNamerOfNobody(t *testing.T) {
	for what, n := range map[string]*Namer{
		"no process":      NewNamer(1<<30, NamerOptions{}),
		"another process": NewNamer(os.Getpid(), NamerOptions{StartTicks: 1}),
	} {
		if err := n.Refresh(day); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", what, err)
		}
		if n.Saw(1, 1) || n.Due(day) {
			t.Errorf("%s: known or due", what)
		}
		if _, ok := n.Lookup(1, 1); ok {
			t.Errorf("%s: has threads", what)
		}
		for range 2 {
			if err := n.Close(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

// still is a Namer of a process that cannot be read: its threads are those
// that a test puts in.
func still(tb testing.TB) *Namer {
	n := NewNamer(os.Getpid(), NamerOptions{Attach: AttachYes})
	if err := n.Close(); err != nil {
		tb.Fatal(err)
	}
	n.dirErr = nil // take refuses a closed one
	n.dir = nil
	return n
}

func (n *Namer) put(tid int, start uint64, comm string) *entry {
	e := &entry{Thread: Thread{TID: tid, NSTID: tid, StartTicks: start, Comm: comm, Pool: Pool(comm), Alive: true}, tickets: n.tickets}
	n.threads[e.key()] = e
	n.live[tid] = e
	return e
}

func dumpOf(from, to uint64, threads ...jvm.Thread) Result {
	return Result{Dump: &jvm.Dump{Threads: threads, Took: time.Millisecond}, from: from, to: to}
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
		n.Adopt(Result{Err: fmt.Errorf("dial: %w", c.err)}, day)
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

func TestDeadThreadsAreBounded(t *testing.T) {
	n := still(t)
	keep := n.put(1, 1, "asked for")
	n.bury(keep, day, 5)
	for i := range 3 * maxDead {
		n.bury(n.put(100+i, 10, "w"), day, 20)
		if i%100 == 0 {
			if _, ok := n.Lookup(1, 1); !ok {
				t.Fatal("a dead thread that is asked for was forgotten")
			}
		}
		n.evict()
	}
	kept := 0
	for range n.Threads() {
		kept++
	}
	if kept > maxDead || kept < maxDead/2 || kept != n.dead || kept+n.Effects().Forgotten != 3*maxDead+1 {
		t.Errorf("%d kept, %d counted, %d forgotten", kept, n.dead, n.Effects().Forgotten)
	}
	if _, ok := n.Lookup(uint32(100+3*maxDead-1), 10); !ok {
		t.Error("the last dead thread was forgotten")
	}
}

func TestUnknownThreadsAreNotLookedForAgainAndAgain(t *testing.T) {
	p := mustHelper(t, "threads", nil)
	p.line()
	n := NewNamer(p.pid(), NamerOptions{})
	defer n.Close()
	for i := range 10 * maxLooks {
		n.Saw(uint32(1<<30+i), 1)
		n.Saw(1<<30, 1)
	}
	if n.looks != maxLooks || n.Effects().Missed != maxLooks {
		t.Errorf("%d looks, %d missed", n.looks, n.Effects().Missed)
	}
	if err := n.Refresh(day); err != nil {
		t.Fatal(err)
	}
	if n.looks != 0 || len(n.absent) != 0 {
		t.Errorf("after a Refresh: %d looks, %d absent", n.looks, len(n.absent))
	}
}

func BenchmarkRefresh(b *testing.B) {
	p := mustHelper(b, "threads", nil)
	p.line()
	for i := range 500 {
		p.ask("w-" + strconv.Itoa(i))
	}
	n := NewNamer(p.pid(), NamerOptions{})
	defer n.Close()
	for b.Loop() {
		if err := n.Refresh(day); err != nil {
			b.Fatal(err)
		}
	}
}
