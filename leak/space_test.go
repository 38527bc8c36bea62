package leak

import (
	"testing"
	"time"

	"vmaleak/vma"
)

const rw = 3

// want compares one number of a thread of an entry.
func want(t *testing.T, what string, got, want uint64) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %d, want %d", what, got, want)
	}
}

func TestBytesAcquiredByOneThreadAndReleasedByAnother(t *testing.T) {
	b := newBench(t, Options{})
	b.mmap(tid(1), 0x100000, 16*page, rw)
	b.munmap(tid(2), 0x104000, 4*page)
	e := b.entry()
	want(t, "outstanding of the owner", e.Threads[0].Outstanding, 12*page)
	want(t, "released of the owner", e.Threads[0].Released, 4*page)
	want(t, "freed by the owner", e.Threads[0].Freed, 0)
	want(t, "freed by the other", e.Threads[1].Freed, 4*page)
	want(t, "calls with a byte left", e.Threads[0].Mappings, 1)
	a := e.Accounts[0]
	want(t, "size of the account", *a.Size, 16*page)
	want(t, "acquired calls", a.AcquiredCount, 1)
	want(t, "calls wholly released", a.ReleasedCount, 0)
	if len(a.ReleasedBy) != 1 || *a.ReleasedBy[0].Thread != 1 || a.ReleasedBy[0].Bytes != 4*page {
		t.Errorf("released by %+v", a.ReleasedBy)
	}
}

func TestCommitMovesBytesFromTheOldOwnerToTheCaller(t *testing.T) {
	b := newBench(t, Options{})
	b.mmap(tid(1), 0x100000, 16*page, 0)
	want(t, "reserved", b.entry().Totals.Reserved, 16*page)
	b.mprotect(tid(2), 0x100000, 4*page, rw)
	e := b.entry()
	want(t, "outstanding of the one who reserved", e.Threads[0].Outstanding, 12*page)
	want(t, "committed of the one who reserved", e.Threads[0].Committed, 0)
	want(t, "outstanding of the one who committed", e.Threads[1].Outstanding, 4*page)
	want(t, "committed of the one who committed", e.Threads[1].Committed, 4*page)
	b.mprotect(tid(1), 0x100000, 2*page, 0)
	e = b.entry()
	want(t, "outstanding after uncommit", e.Threads[1].Outstanding, 4*page)
	want(t, "committed after uncommit", e.Threads[1].Committed, 2*page)
}

func TestWhatWasThereBeforeIsNobodys(t *testing.T) {
	vm := vma.New(vma.Options{})
	truth := vma.New(vma.Options{})
	truth.Apply(&vma.Event{Op: vma.OpMmap, Len: 8 * page, Prot: rw, Flags: anonymous, Ret: 0x200000})
	vm.Reconcile(truth, nil, vma.PreExisting)
	l := New(Options{})
	s := l.Open(Process{PID: 1, Space: "a"}, vm, epoch)
	ev := vma.Event{Seq: 1, Op: vma.OpMunmap, Thread: tid(1), Addr: 0x200000, Len: page, Time: epoch.UnixNano()}
	s.Book(&ev, vm.Apply(&ev))
	snap := l.Snapshot(epoch, Header{Source: SourceLive}, nil)
	if err := snap.CheckValid(); err != nil {
		t.Fatal(err)
	}
	want(t, "pre-existing", snap.Processes[0].Totals.PreExisting, 7*page)
	want(t, "outstanding", snap.Processes[0].Totals.Outstanding, 0)
}

func TestHealingReleasesWithoutAnyone(t *testing.T) {
	b := newBench(t, Options{})
	b.mmap(tid(1), 0x100000, 16*page, rw)
	truth := vma.New(vma.Options{})
	truth.Apply(&vma.Event{Op: vma.OpMmap, Len: 4 * page, Prot: rw, Flags: anonymous, Ret: 0x102000})
	truth.Apply(&vma.Event{Op: vma.OpMmap, Len: 2 * page, Prot: rw, Flags: anonymous, Ret: 0x300000})
	_, d := b.vm.Reconcile(truth, nil, vma.Healed)
	b.s.Book(&vma.Event{Time: b.now.UnixNano()}, d)
	e := b.entry()
	want(t, "outstanding", e.Totals.Outstanding, 4*page)
	want(t, "healed", e.Totals.Healed, 2*page)
	want(t, "released", e.Threads[0].Released, 12*page)
	if by := e.Accounts[0].ReleasedBy; len(by) != 1 || by[0].Thread != nil {
		t.Errorf("released by %+v, want nobody", by)
	}
	late := vma.Event{Seq: 9, Op: vma.OpMmap, Thread: tid(2), Len: 2 * page, Prot: rw, Flags: anonymous, Ret: 0x300000, Time: b.now.UnixNano()}
	b.s.Book(&late, b.vm.Claim(&late))
	e = b.entry()
	want(t, "claimed", e.Threads[1].Outstanding, 2*page)
	want(t, "healed after the claim", e.Totals.Healed, 0)
}

func TestDeadThreadsWithoutBytesAreFolded(t *testing.T) {
	b := newBench(t, Options{})
	b.mmap(tid(1), 0x100000, page, rw)
	b.munmap(tid(1), 0x100000, page)
	b.mmap(tid(2), 0x100000, page, rw)
	e := b.entry(ThreadFacts{Thread: tid(1)}, ThreadFacts{Thread: tid(2)}, ThreadFacts{Thread: tid(3), Alive: true})
	if len(e.Threads) != 2 || *e.Threads[0].TID != 2 || *e.Threads[1].TID != 3 {
		t.Fatalf("threads are %+v", e.Threads)
	}
	if e.ThreadsGone != (ThreadsGone{1, page, page}) {
		t.Errorf("threads gone: %+v", e.ThreadsGone)
	}
}

func TestThreadsAreFoldedWhenThereAreTooMany(t *testing.T) {
	b := newBench(t, Options{Threads: 10})
	for i := 1; i <= 1000; i++ {
		b.mmap(tid(i), 0x100000, page, rw)
		b.munmap(tid(i), 0x100000, page)
	}
	if n := len(b.s.threads); n > 10 {
		t.Errorf("%d threads are kept", n)
	}
	want(t, "gone and kept", b.entry().ThreadsGone.Count+uint64(len(b.s.threads)), 1000)
}

func TestSizesAreFoldedWhenThereAreTooMany(t *testing.T) {
	b := newBench(t, Options{Accounts: 16})
	for i := uint64(1); i <= 500; i++ {
		b.mmap(tid(int(i%3)+1), i<<32, i*page, rw)
		if i%2 == 0 {
			b.munmap(tid(1), (i/2)<<32, i*page)
		}
	}
	if n := len(b.entry().Accounts); n > 40 {
		t.Errorf("%d accounts are kept", n)
	}
}

func TestFloatingRowsHaveALengthOnly(t *testing.T) {
	b := newBench(t, Options{})
	b.s.Float(&vma.Event{Seq: 1, Op: vma.OpMmap, Thread: tid(1), Prot: rw, Flags: anonymous, Time: b.now.UnixNano()}, 16*page)
	e := b.entry()
	m := e.Mappings[0]
	if m.Start != nil || m.End != nil || m.Length != 16*page || m.Origin != "traced" {
		t.Errorf("the row is %+v", m)
	}
	want(t, "mapped", e.Totals.Mapped, 16*page)
}

func TestInheritedRowsStayOutOfThreadSums(t *testing.T) {
	b := newBench(t, Options{})
	b.mmap(tid(1), 0x100000, 16*page, rw)
	child := b.vm.Fork()
	s := b.l.Open(Process{PID: 8, Space: "s2", Parent: "s1"}, child, b.now)
	ev := vma.Event{Seq: 1, Op: vma.OpMunmap, Thread: tid(8), Addr: 0x100000, Len: page, Time: b.now.UnixNano()}
	s.Book(&ev, child.Apply(&ev))
	snap := b.snapshot()
	e := snap.Processes[1]
	want(t, "inherited", e.Totals.Inherited, 15*page)
	if len(e.Threads) != 0 {
		t.Errorf("threads: %+v", e.Threads)
	}
	if m := e.Mappings[0]; m.TID == nil || *m.TID != 1 || m.Thread != nil {
		t.Errorf("the inherited row is %+v", m)
	}
}

func TestAnEndedSpaceStandsStill(t *testing.T) {
	b := newBench(t, Options{KeepEnded: 1})
	b.mmap(tid(1), 0x100000, 16*page, rw)
	b.s.End(b.now.Add(time.Second), EndedExec)
	b.munmap(tid(1), 0x100000, 16*page)
	asked := 0
	take := func() *Snapshot {
		s := b.l.Snapshot(b.now, Header{Source: SourceLive}, func(*Space) Facts { asked++; return Facts{} })
		if err := s.CheckValid(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	take()
	e := take().Processes[0]
	if asked != 1 {
		t.Errorf("facts were asked %d times, want once", asked)
	}
	if !e.Exited || *e.EndedBy != EndedExec || e.Totals.Outstanding != 16*page {
		t.Errorf("entry: %+v", e)
	}
	small := b.l.Open(Process{PID: 9, Space: "s9", Parent: "s1"}, vma.New(vma.Options{}), b.now)
	small.End(b.now, EndedExit)
	s := take()
	if len(s.Processes) != 1 || len(s.Warnings) != 1 || s.Warnings[0].Code != "ended-folded" || s.Warnings[0].Count != 1 {
		t.Errorf("%d processes, warnings %+v", len(s.Processes), s.Warnings)
	}
}

func TestRebaseBooksAnewWhatWasReplacedUnseen(t *testing.T) {
	b := newBench(t, Options{})
	b.mmap(tid(1), 0x100000, 16*page, rw)
	b.vm.Apply(&vma.Event{Op: vma.OpMunmap, Addr: 0x100000, Len: 3 * page})
	b.vm.Apply(&vma.Event{Seq: 5, Op: vma.OpMmap, Thread: tid(2), Len: 5 * page, Prot: rw, Flags: anonymous, Ret: 0x400000})
	want(t, "bytes that were wrong", b.s.Rebase(), 8*page)
	e := b.entry()
	want(t, "outstanding of the first", e.Threads[0].Outstanding, 13*page)
	want(t, "outstanding of the second", e.Threads[1].Outstanding, 5*page)
}

func TestThreadsWithoutNamesCountToTheOnlyPoolOfTheirSize(t *testing.T) {
	b := newBench(t, Options{})
	name := "WorkerPetalGroup-9-5"
	for i := range 4 {
		b.mmap(tid(i+1), uint64(i+1)<<32, chunk, rw)
	}
	b.mmap(tid(5), 0x100000, 2*chunk, rw)
	facts := []ThreadFacts{{Thread: tid(2), Name: &name, Alive: true}}
	for _, id := range []int{1, 3, 4, 5} {
		facts = append(facts, ThreadFacts{Thread: tid(id), Alive: true})
	}
	e := b.entry(facts...)
	if p := e.Pools[0]; p.Name != "WorkerPetalGroup-9-#" || p.Threads != 4 || p.Unnamed != 3 || p.Mappings != 4 {
		t.Errorf("pool: %+v", p)
	}
	if p := e.Pools[1]; p.Name != "" || p.Threads != 1 || p.Unnamed != 0 {
		t.Errorf("the pool of the rest: %+v", p)
	}
	if th := e.Threads[0]; th.Pool != nil || th.LikelyPool == nil || *th.LikelyPool != "WorkerPetalGroup-9-#" {
		t.Errorf("a thread without a name: %+v", th)
	}
}

func TestFactsOfDroppedSpacesAreAskedOnce(t *testing.T) {
	l := New(Options{KeepEnded: 1})
	for i := range 5 {
		s := l.Open(Process{PID: i + 1, Space: string(rune('a' + i))}, vma.New(vma.Options{}), epoch)
		s.End(epoch, EndedExit)
	}
	asked := map[string]int{}
	for range 2 {
		l.Snapshot(epoch, Header{Source: SourceLive}, func(s *Space) Facts { asked[s.Process().Space]++; return Facts{} })
	}
	if len(asked) != 5 || asked["a"] != 1 || asked["e"] != 1 {
		t.Errorf("asked: %v", asked)
	}
}
