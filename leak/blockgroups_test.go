package leak

import (
	"testing"
	"time"

	"vmaleak/vma"
)

// blocksOf runs a process for a while whose thread asks for a block each second
// and frees it as free says, all within one arena from before the trace.
func blocksOf(t *testing.T, seconds int, free func(second int) (id int)) *Entry {
	t.Helper()
	l := New(Options{})
	vm, truth := vma.New(vma.Options{PageSize: 4096}), vma.New(vma.Options{PageSize: 4096})
	truth.Apply(&vma.Event{Op: vma.OpMmap, Len: 1 << 30, Prot: 3, Flags: anonymous, Ret: 1 << 32})
	vm.Reconcile(truth, nil, vma.PreExisting)
	begin := time.Unix(1000, 0)
	s := l.Open(Process{PID: 1, Space: "1", StartedAt: begin.Add(-time.Hour)}, vm, begin)
	worker := vma.Thread{TID: 10, Start: 1}
	name := "worker-1"
	var e *Entry
	for second := 1; second <= seconds; second++ {
		now := begin.Add(time.Duration(second) * time.Second)
		b := Block{ID: uint64(second), Addr: 1<<32 + uint64(second)<<20, Size: 1 << 20, At: now.UnixNano(), Thread: worker}
		if id := free(second); id > 0 {
			b.Gone[0] = uint64(id)
		}
		s.BookBlock(&b)
		l.Tick(now)
		if second%5 == 0 || second == seconds {
			snap := l.Snapshot(now, Header{Source: SourceLive}, func(*Space) Facts {
				return Facts{Blocks: &BlockFacts{MinSize: 1 << 20, Since: begin}, Threads: []ThreadFacts{{Thread: worker, Name: &name, Alive: true}}}
			})
			if err := snap.CheckValid(); err != nil {
				t.Fatal(err)
			}
			e = snap.Processes[0]
		}
	}
	return e
}

func TestBlocksThatAreNotFreedAreSuspects(t *testing.T) {
	e := blocksOf(t, 180, func(int) int { return 0 })
	if len(e.Suspects) != 1 {
		t.Fatalf("%d suspects", len(e.Suspects))
	}
	s := e.Suspects[0]
	if !s.Blocks || s.Verdict == VerdictSuspicious || *s.Pool != "worker-#" || *s.Category != MallocArena || s.Outstanding != 180<<20 || s.Mappings != 180 ||
		s.Growth.PerHour == nil || *s.Growth.PerHour < 3240<<20 || *s.Growth.PerHour > 3960<<20 {
		t.Errorf("%+v, %d/h", s, *s.Growth.PerHour)
	}
	if e.Totals.Outstanding != 0 || e.Totals.Mapped != 1<<30 {
		t.Errorf("blocks count to the totals: %+v", e.Totals)
	}
}

func TestBlocksThatAreFreedAreNot(t *testing.T) {
	for name, free := range map[string]func(second int) int{
		"at once":                func(second int) int { return second - 1 },
		"after a while":          func(second int) int { return second - 20 },
		"a cache that has grown": func(second int) int { return second - 60 },
	} {
		if e := blocksOf(t, 180, free); len(e.Suspects) > 0 {
			t.Errorf("%s: %+v", name, e.Suspects[0])
		}
	}
}

func TestABlockWithAMappingOfItsOwnIsNotCountedTwice(t *testing.T) {
	l := New(Options{})
	vm := vma.New(vma.Options{PageSize: 4096})
	s := l.Open(Process{PID: 1, Space: "1"}, vm, time.Unix(0, 1))
	at := uint64(1 << 32)
	for i, c := range []struct {
		mapped, offset, size uint64
		inside               bool
	}{
		{1<<20 + 4096, 16, 1 << 20, false},
		{1<<20 + 8192, 4096, 1 << 20, false}, // aligned
		{64 << 20, 2048, 1 << 20, true},      // one of musl's or jemalloc's slabs
	} {
		ev := vma.Event{Seq: uint64(i + 1), Op: vma.OpMmap, Len: c.mapped, Prot: 3, Flags: anonymous, Ret: int64(at), Thread: vma.Thread{TID: 1, Start: 1}}
		s.Book(&ev, vm.Apply(&ev))
		if got := s.inside(&block{addr: at + c.offset, size: c.size}); got != c.inside {
			t.Errorf("%+v: inside is %v", c, got)
		}
		at += 128 << 20
	}
}
