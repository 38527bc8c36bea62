package symbolize

import (
	"errors"
	"os"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"
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

func TestManyThreadsAreReadInTurn(t *testing.T) {
	p := mustHelper(t, "threads", nil)
	p.line()
	n := NewNamer(p.pid(), NamerOptions{})
	defer n.Close()
	for range 20 {
		p.ask("first")
	}
	if err := n.refresh(day, 3); err != nil { // new ones are always read
		t.Fatal(err)
	}
	stale := 0
	for th := range n.Threads() {
		if e := n.threads[threadKey{th.TID, th.StartTicks}]; th.Comm == "first" {
			e.Comm = "old"
			stale++
		}
	}
	rounds := 0
	for left := stale; left > 0; rounds++ {
		if err := n.refresh(day, 3); err != nil {
			t.Fatal(err)
		}
		was := left
		left = 0
		for th := range n.Threads() {
			if th.Comm == "old" {
				left++
			}
			if !th.Alive {
				t.Errorf("dead: %+v", th)
			}
		}
		if was-left > 3 || rounds > 30 {
			t.Fatalf("round %d: %d of %d read anew", rounds, was-left, was)
		}
	}
	if stale != 20 {
		t.Errorf("%d threads, want 20", stale)
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
