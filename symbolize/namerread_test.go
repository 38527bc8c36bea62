package symbolize

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"vmaleak/symbolize/hotspot"
	"vmaleak/symbolize/jvm"
)

func readingOf(from, to uint64, threads ...hotspot.Thread) Result {
	return Result{read: true, threads: threads, release: "17", from: from, to: to}
}

// readable is a Namer of a JVM that a test plays.
func readable(tb testing.TB, mode AttachMode) *Namer {
	n := still(tb)
	n.options.Attach, n.isJVM = mode, true
	return n
}

func TestReadingNamesOnlyWhoWasThere(t *testing.T) {
	n := readable(t, AttachNo)
	old, young, gone := n.put(1, 900, "a"), n.put(2, 1005, "b"), n.put(3, 900, "c")
	n.bury(gone, day, 950)
	early, late := n.put(4, 900, "d"), n.put(4, 1003, "e")
	vm, unread := n.put(5, 10, "GC Thread#0"), n.put(6, 10, "java")
	n.Adopt(readingOf(1000, 1010,
		hotspot.Thread{TID: 1, Named: true, Name: "one"}, hotspot.Thread{TID: 2, Named: true, Name: "two"},
		hotspot.Thread{TID: 3, Named: true, Name: "three"}, hotspot.Thread{TID: 4, Named: true, Name: "four"},
		hotspot.Thread{TID: 6}, hotspot.Thread{TID: 99, Named: true, Name: "nobody's"}), day)
	if old.Name == nil || *old.Name != "one" {
		t.Errorf("there before: %+v", old.Thread)
	}
	for _, e := range []*entry{young, gone, early, late, vm, unread} {
		if e.Name != nil {
			t.Errorf("%s is called %q", e.Comm, *e.Name)
		}
	}
	if !vm.nameless || vm.Label() != "GC Thread#0" || unread.nameless {
		t.Errorf("nameless: a thread of the VM %v, one that could not be read %v", vm.nameless, unread.nameless)
	}
	if e := n.Effects(); e.Readings != 1 || e.Unread != 1 || e.Dumps != 0 || e.Attaches != 0 || e.Ambiguous != 2 || n.JVM() != "17" {
		t.Errorf("effects %+v, JVM %q", e, n.JVM())
	}
	n.Adopt(readingOf(2000, 2001, hotspot.Thread{TID: 1, Named: true, Name: "renamed"}), day)
	if *old.Name != "renamed" {
		t.Errorf("after the thread was renamed: %q", *old.Name)
	}
}

func TestReadingsComeOftenButTakeLittle(t *testing.T) {
	n := readable(t, AttachAuto)
	if !n.Due(day) || n.Due(day) {
		t.Fatal("a reading is due at the start, once")
	}
	n.Adopt(readingOf(1000, 1001), day)
	if n.Due(day.Add(time.Hour)) {
		t.Error("due, though nobody has no name")
	}
	n.put(1, 2000, "java").seen = true
	if n.Due(day.Add(minReading - 1)) {
		t.Error("due too early after another")
	}
	now := day.Add(time.Hour)
	if !n.Due(now) {
		t.Fatal("not due for a thread with events")
	}
	r := readingOf(1000, 1001) // too early for it
	r.readTook = time.Second
	n.Adopt(r, now)
	if n.Due(now.Add(share*time.Second - 1)) {
		t.Error("due again, though the last one took so long")
	}
	if !n.DueLast(now.Add(1)) {
		t.Error("no reading at the end")
	}
	n.Adopt(readingOf(2500, 2501, hotspot.Thread{TID: 1, Named: true}), now)
	if n.Due(now.Add(time.Hour)) {
		t.Error("due, though every thread has its name")
	}
}

func TestJVMIsAskedOnlyIfItsMemoryDoesNotTell(t *testing.T) {
	failed := errors.New("unknown layout")
	for _, c := range []struct {
		mode  AttachMode
		err   error
		asked bool
	}{
		{AttachAuto, nil, false},
		{AttachAuto, hotspot.ErrNotReady, false},
		{AttachAuto, ErrGone, false},
		{AttachAuto, failed, true},
		{AttachAuto, hotspot.ErrNotHotSpot, true},
		{AttachNo, failed, false},
		{AttachYes, nil, true},
	} {
		what := fmt.Sprintf("mode %d, %v", c.mode, c.err)
		n := readable(t, c.mode)
		n.pid = 1 << 30 // the dump fails at once
		n.read = func() ([]hotspot.Thread, string, error) { return nil, "", c.err }
		if !n.Due(day) {
			t.Fatalf("%s: not due", what)
		}
		r := n.Fetch(context.Background())
		if !r.read || r.asked != c.asked {
			t.Errorf("%s: read %v, asked %v", what, r.read, r.asked)
		}
		n.Adopt(r, day)
		if !errors.Is(n.Err(), c.err) && !c.asked {
			t.Errorf("%s: the error is %v", what, n.Err())
		}
		if e := n.Effects(); (e.Attaches > 0) != c.asked || (e.Readings > 0) != (c.err == nil) {
			t.Errorf("%s: %+v", what, e)
		}
	}
}

func TestMemoryIsTriedAgain(t *testing.T) {
	n := readable(t, AttachAuto)
	n.read = func() ([]hotspot.Thread, string, error) { return nil, "", hotspot.ErrNotReady }
	now, tries := day, 0
	for range 100 { // 10 s
		if n.Due(now) {
			tries++
			n.Adopt(n.Fetch(t.Context()), now)
		}
		now = now.Add(100 * time.Millisecond)
	}
	if tries < 8 || tries > 15 {
		t.Errorf("a young JVM was tried %d times in 10 s", tries)
	}
	n.read = func() ([]hotspot.Thread, string, error) { return nil, "", nil }
	now = now.Add(firstLook)
	if !n.Due(now) {
		t.Fatal("not due again")
	}
	n.Adopt(n.Fetch(t.Context()), now)
	if n.Err() != nil || n.Effects().Readings != 1 {
		t.Errorf("afterwards: %v, %+v", n.Err(), n.Effects())
	}
	// And after a dump: the memory may be readable later.
	n.Adopt(Result{read: true, readErr: hotspot.ErrNotHotSpot, asked: true, Dump: &jvm.Dump{JVM: "VM (17)"}}, now)
	if n.Due(now) || !n.Due(now.Add(time.Minute)) || !n.plan.read {
		t.Errorf("after a dump: %+v", n.plan)
	}
}

func TestLongNamesAreCut(t *testing.T) {
	n := readable(t, AttachNo)
	e := n.put(1, 10, "java")
	for range 2 {
		n.Adopt(readingOf(1000, 1001, hotspot.Thread{TID: 1, Named: true, Name: "x" + strings.Repeat("é", 30000)}), day)
		if e.Name == nil || len(*e.Name) > maxName || len(*e.Name) < maxName-4 || !utf8.ValidString(*e.Name) || strings.Contains(*e.Name, "\ufffd") {
			t.Fatalf("the name has %d bytes", len(*e.Name))
		}
	}
}
