package leak

import (
	"strings"
	"testing"
	"time"
)

// mallocEntry is an entry with what malloc holds.
func mallocEntry(b *bench, resident uint64, m *MallocFacts) *Entry {
	b.tb.Helper()
	s := b.l.Snapshot(b.now, Header{Source: SourceLive, StartedAt: epoch}, func(*Space) Facts {
		return Facts{Verified: true, Resident: &resident, Malloc: m}
	})
	if err := s.CheckValid(); err != nil {
		b.tb.Fatal(err)
	}
	return s.Processes[0]
}

func TestWhatMallocKeepsIsAFinding(t *testing.T) {
	late := "there was no time"
	m := &MallocFacts{At: epoch, Arenas: []Arena{
		{Kind: MainArena, Start: 0x1000, Committed: 100 * mib, Free: 20 * mib, FreeResident: 10 * mib},
		{Kind: OtherArena, Start: 64 * mib, Heaps: []Addr{64 * mib, 128 * mib}, Committed: 120 * mib, Free: 90 * mib, FreeResident: 70 * mib, KeptResident: 8 * mib},
		{Kind: OtherArena, Start: 256 * mib, Heaps: []Addr{256 * mib}, Committed: 60 * mib, Free: 50 * mib, FreeResident: 30 * mib, Incomplete: &late},
	}}
	e := mallocEntry(newBench(t, Options{}), 400*mib, m)
	if len(e.Suspects) != 0 || len(e.Retained) != 1 {
		t.Fatalf("suspects %+v, retained %+v", e.Suspects, e.Retained)
	}
	r := e.Retained[0]
	if r.Category != MallocArena || r.Bytes != 100*mib || r.Since != nil {
		t.Errorf("%+v", r)
	}
	if why := strings.Join(r.Why, "\n"); !strings.Contains(why, "at least 100 MiB") || !strings.Contains(why, "2 arenas") ||
		!strings.Contains(why, late) || !strings.Contains(why, "MALLOC_ARENA_MAX") || !strings.Contains(why, "8 MiB more") {
		t.Error(why)
	}
	if u := e.Malloc.Uses; len(u) != 2 || u[0].Category != BrkHeap || u[1].Free != 140*mib || u[1].Arenas != 2 || len(e.Malloc.Arenas) != 3 {
		t.Errorf("%+v", e.Malloc)
	}
}

func TestLittleThatIsKeptIsNoFinding(t *testing.T) {
	arena := []Arena{{Kind: OtherArena, Committed: 64 * mib, Free: 20 * mib, FreeResident: 17 * mib}}
	for what, c := range map[string]struct {
		resident uint64
		m        *MallocFacts
		want     int
	}{
		"it is":                       {200 * mib, &MallocFacts{At: epoch, Arenas: arena}, 1},
		"a small share":               {500 * mib, &MallocFacts{At: epoch, Arenas: arena}, 0},
		"few bytes":                   {40 * mib, &MallocFacts{At: epoch, Arenas: []Arena{{Kind: MainArena, Free: 15 * mib, FreeResident: 15 * mib}}}, 0},
		"another malloc is not known": {40 * mib, &MallocFacts{At: epoch, UnknownBecause: "jemalloc"}, 0},
		"nobody looked":               {40 * mib, nil, 0},
	} {
		e := mallocEntry(newBench(t, Options{}), c.resident, c.m)
		if len(e.Retained) != c.want {
			t.Errorf("%s: %+v", what, e.Retained)
		}
		if (e.Malloc == nil) != (c.m == nil) || e.Malloc != nil && (e.Malloc.UnknownBecause != nil) != (len(e.Malloc.Arenas) == 0) {
			t.Errorf("%s: %+v", what, e.Malloc)
		}
	}
}

func TestSinceIsKnownWhereItWasSeenToGrow(t *testing.T) {
	b := newBench(t, Options{})
	look := func(n uint64) *time.Time {
		b.now = b.now.Add(time.Minute)
		e := mallocEntry(b, 200*mib, &MallocFacts{At: b.now, Arenas: []Arena{{Kind: OtherArena, Free: n, FreeResident: n}}})
		if len(e.Retained) != 1 {
			return nil
		}
		return e.Retained[0].Since
	}
	for _, n := range []uint64{60 * mib, 61 * mib} {
		if at := look(n); at != nil {
			t.Errorf("%d bytes are said to grow since %v", n, at)
		}
	}
	look(20 * mib)
	low := b.now
	if at := look(90 * mib); at == nil || !at.Equal(low) {
		t.Errorf("grown since %v, want %v", at, low)
	}
}

func TestFiguresOfMallocThatCannotBeAreRefused(t *testing.T) {
	b := newBench(t, Options{})
	for what, spoil := range map[string]func(m *Malloc){
		"pages":    func(m *Malloc) { m.Arenas[0].KeptResident = m.Arenas[0].Free },
		"a list":   func(m *Malloc) { m.Uses = nil },
		"heaps":    func(m *Malloc) { m.Arenas[0].Heaps = nil },
		"a sum":    func(m *Malloc) { m.Arenas = m.Arenas[:0] },
		"category": func(m *Malloc) { m.Uses[0].Category = JavaHeap },
	} {
		e := mallocEntry(b, 200*mib, &MallocFacts{At: epoch, Arenas: []Arena{{Kind: OtherArena, Free: 20 * mib, FreeResident: 20 * mib}}})
		if err := e.check(); err != nil {
			t.Fatal(err)
		}
		if spoil(e.Malloc); e.check() == nil {
			t.Errorf("%s is let through", what)
		}
	}
}
