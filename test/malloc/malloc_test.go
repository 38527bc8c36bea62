package malloc

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"vmaleak/tracer"
)

// seed is that of this run: VMALEAK_SEED repeats one.
func seed(tb testing.TB) string {
	s := os.Getenv("VMALEAK_SEED")
	if s == "" {
		s = strconv.Itoa(rand.IntN(1 << 20))
	}
	tb.Logf("VMALEAK_SEED=%s", s)
	return s
}

// The threads of racers race for blocks in all ways that malloc's family has.
func TestBlocksOfRacingThreadsAreExact(t *testing.T) {
	for _, c := range []struct {
		name, probes string
		compiler     []string
	}{
		{"glibc", tracer.Session, []string{"gcc"}},
		{"glibc, probes at entry and return", tracer.Pair, []string{"gcc"}},
		{"musl", "", []string{"musl-gcc"}},
		{"musl, linked statically", "", []string{"musl-gcc", "-static"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			racers := mustBuild(t, "racers.c", c.compiler...)
			k := mustTrace(t, tracer.Options{Malloc: 4096, Stacks: true, Probes: c.probes})
			p := mustStart(t, racers, seed(t), "6", "2000", "4096")
			if err := k.tr.Follow(p.pid); err != nil {
				if c.probes == tracer.Session {
					skip(t, "needs sessions of uprobes: %v", err)
				}
				t.Fatal(err)
			}
			told := p.mustWork(t, k)
			b := k.entries()[p.pid]
			if got, want := liveOf(b), told.live[p.pid]; !maps.Equal(got, want) || len(want) == 0 {
				t.Errorf("the books have other blocks than live:\n%v\nand not\n%v", minus(got, want), minus(want, got))
			}
			if b.Bytes != told.bytes || b.Failed != told.failed {
				t.Errorf("%d bytes live and %d calls were refused, the program says %d and %d", b.Bytes, b.Failed, told.bytes, told.failed)
			}
			if !b.Exact || b.Given < 10000 || b.FreedByOther == 0 {
				t.Errorf("not exact, or not much happened: %+v", *b)
			}
			if k.stacks < 100 {
				t.Errorf("%d of %d blocks came with a stack", k.stacks, k.given)
			}
		})
	}
}

// minus is what a has more than b.
func minus(a, b map[block]int) map[block]int {
	m := map[block]int{}
	for k, n := range a {
		if n > b[k] {
			m[k] = n - b[k]
		}
	}
	return m
}

// A ring that is far too small drops records: the kernel half's table tells what lives all the same.
func TestDroppedRecordsAreMadeGood(t *testing.T) {
	racers := mustBuild(t, "racers.c", "gcc")
	k := mustTrace(t, tracer.Options{Malloc: 4096, Ring: 64 << 10})
	p := mustStart(t, racers, seed(t), "6", "3000", "4096")
	if err := k.tr.Follow(p.pid); err != nil {
		t.Fatal(err)
	}
	told := p.mustWork(t, k)
	if k.entries()[p.pid].Dropped == 0 {
		t.Fatal("no record was dropped: the ring is not small enough")
	}
	k.heal()
	b := k.entries()[p.pid]
	if got, want := liveOf(b), told.live[p.pid]; !maps.Equal(got, want) {
		t.Errorf("after healing the books have other blocks than live:\n%v\nand not\n%v", minus(got, want), minus(want, got))
	}
	if b.Exact || b.Because == nil || b.Healed == 0 {
		t.Errorf("the books do not say that records were dropped: %+v", *b)
	}
}

// A process that ends makes room in the table.
func TestTheTableIsEmptiedOfProcessesThatEnded(t *testing.T) {
	racers := mustBuild(t, "racers.c", "gcc")
	k := mustTrace(t, tracer.Options{Malloc: 1024, Live: 250})
	for range 3 { // each leaves more than a hundred blocks
		p := mustStart(t, racers, seed(t), "2", "2000", "1024")
		if err := k.tr.Follow(p.pid); err != nil {
			t.Fatal(err)
		}
		told := p.mustWork(t, k)
		b := k.entries()[p.pid]
		if b.Untracked > 0 || !maps.Equal(liveOf(b), told.live[p.pid]) {
			t.Errorf("%d blocks found no room: %+v", b.Untracked, *b)
		}
		ended := k.ended
		p.in.Close()
		for deadline := time.Now().Add(10 * time.Second); k.ended == ended; {
			if err := k.tr.Poll(time.Now().Add(5 * time.Millisecond)); err != nil || time.Now().After(deadline) {
				t.Fatalf("the end of the process was not seen: %v", err)
			}
		}
	}
}

// Blocks beyond the room that there is are counted, and the books say that they are not exact.
func TestBlocksWithoutRoomAreCounted(t *testing.T) {
	racers := mustBuild(t, "racers.c", "gcc")
	k := mustTrace(t, tracer.Options{Malloc: 1024, Live: 40})
	p := mustStart(t, racers, seed(t), "2", "2000", "1024")
	if err := k.tr.Follow(p.pid); err != nil {
		t.Fatal(err)
	}
	told := p.mustWork(t, k)
	b := k.entries()[p.pid]
	if b.Untracked == 0 || b.Exact || b.Because == nil {
		t.Errorf("%d blocks live and there is room for 40; the books say %+v", len(told.live[p.pid]), *b)
	}
	for is, n := range liveOf(b) {
		if n > told.live[p.pid][is] {
			t.Errorf("%d blocks %v live, the books have %d", told.live[p.pid][is], is, n)
		}
	}
}

// A child has its parent's blocks, of which nothing is known, and its own.
func TestBlocksAcrossForkAreToldApart(t *testing.T) {
	family := mustBuild(t, "family.c", "gcc")
	k := mustTrace(t, tracer.Options{Malloc: 4096})
	p := mustStart(t, family)
	if err := k.tr.Follow(p.pid); err != nil {
		t.Fatal(err)
	}
	k.child = func() {
		if _, err := io.WriteString(p.in, "go\n"); err != nil {
			t.Error(err)
		}
	}
	told := p.mustWork(t, k)
	all := k.entries()
	if len(told.live) != 2 {
		t.Fatalf("the program tells of %d processes", len(told.live))
	}
	for pid, want := range told.live {
		b := all[pid]
		if b == nil {
			t.Fatalf("process %d was not followed", pid)
		}
		if got := liveOf(b); !maps.Equal(got, want) {
			t.Errorf("process %d has other blocks than live:\n%v\nand not\n%v", pid, minus(got, want), minus(want, got))
		}
		if parent := pid == p.pid; parent == (b.Inherited != nil) || !parent && b.Inherited.Count != 50 {
			t.Errorf("process %d inherited %+v", pid, b.Inherited)
		}
	}
}

// A program without malloc is refused with the reason.
func TestAProgramWithoutMallocIsRefused(t *testing.T) {
	racers := mustBuild(t, "racers.c", "musl-gcc", "-static", "-s")
	k := mustTrace(t, tracer.Options{Malloc: 4096})
	k.tb = ignore{t} // its Open says the same
	p := mustStart(t, racers, "1", "1", "1", "4096")
	if err := k.tr.Follow(p.pid); err != nil {
		t.Fatal(err)
	}
	_, err := k.tr.FollowMalloc(p.pid)
	if !errors.Is(err, tracer.ErrNoMalloc) {
		t.Errorf("a stripped static program is followed, or the error is another one: %v", err)
	}
}

// ignore is a test that errors do not fail.
type ignore struct{ testing.TB }

func (ignore) Error(...any) {}

// The probes leave nothing behind: the program runs on, untouched, after the trace.
func TestTheTargetIsLeftAsItWas(t *testing.T) {
	racers := mustBuild(t, "racers.c", "gcc")
	k := mustTrace(t, tracer.Options{Malloc: 4096})
	p := mustStart(t, racers, seed(t), "4", "4000", "4096")
	before := mustCode(t, p.pid)
	if err := k.tr.Follow(p.pid); err != nil {
		t.Fatal(err)
	}
	if mustCode(t, p.pid) == before {
		t.Error("no probe is in malloc: this test tells nothing")
	}
	if err := k.tr.Close(); err != nil {
		t.Fatal(err)
	}
	if mustCode(t, p.pid) != before {
		t.Error("malloc is not what it was before the trace")
	}
}

// mustCode is the code of libc as it is in the process.
func mustCode(tb testing.TB, pid int) string {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		tb.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		tb.Fatal(err)
	}
	defer mem.Close()
	for line := range strings.Lines(string(text)) {
		var start, end int64
		if !strings.Contains(line, "r-xp") || !strings.Contains(line, "libc.so") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x", &start, &end); err != nil {
			tb.Fatal(err)
		}
		code := make([]byte, end-start)
		if _, err := mem.ReadAt(code, start); err != nil {
			tb.Fatal(err)
		}
		return string(code)
	}
	tb.Fatal("no code of a libc is mapped")
	return ""
}
