package leak

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

func TestAnArenaReservedBeforeTheTraceGrows(t *testing.T) {
	s := newSim(t, 1)
	worker := s.thread("leak-inflater-1")
	at := uint64(0x7f1000000000)
	truth := vma.New(vma.Options{})
	truth.Apply(&vma.Event{Op: vma.OpMmap, Len: arenaSize, Flags: anonymous | unix.MAP_NORESERVE, Ret: int64(at)})
	_, d := s.vm.Reconcile(truth, nil, vma.PreExisting)
	s.s.Book(&vma.Event{Time: s.now.UnixNano()}, d)
	s.every(100*time.Millisecond, 0.1, func(int) {
		s.mprotect(worker, at, 64<<10, rw)
		at += 64 << 10
	})
	s.run(30 * time.Second)
	got := s.judgement()
	if got == nil {
		t.Fatal("no suspect")
	}
	if got.Verdict != "growing" || *got.Category != MallocArena || got.Growth.PerHour == nil || *got.Growth.PerHour < 2200*mib || *got.Growth.PerHour > 2300*mib {
		t.Errorf("%s, %s, growth %+v, want growing, %s, 2250 MiB an hour", got.Verdict, *got.Category, got.Growth, MallocArena)
	}
}

func TestWhatIsHeldForAMomentIsNoGrowth(t *testing.T) {
	s := newSim(t, 2)
	worker := s.thread("worker-1")
	s.with("app.Mail.read()")
	s.every(250*time.Millisecond, 0, func(i int) {
		addr := s.get(worker, 4*mib)
		if i%4 != 0 {
			s.in(1200*time.Millisecond, func() { s.munmap(worker, addr, 4*mib) })
		}
	})
	s.run(30 * time.Second)
	got := s.judgement()
	if got == nil || got.Growth.PerHour == nil {
		t.Fatalf("no growth: %+v", got)
	}
	if share := float64(*got.Growth.PerHour) / (3600 * 4 * mib); share < 0.92 || share > 1.08 {
		t.Errorf("growth is %.2f of the truth", share)
	}
}

func TestTwentySimilarStepsAreGrowing(t *testing.T) {
	s := newSim(t, 3)
	worker := s.thread("worker-1")
	s.with("app.Mail.read()")
	s.every(400*time.Millisecond, 0, func(i int) {
		if i < 20 {
			s.get(worker, mib)
		}
	})
	s.run(7800 * time.Millisecond)
	if got := s.judgement(); got != nil && got.Verdict != "suspicious" {
		t.Errorf("19 steps are %s", got.Verdict)
	}
	s.run(8200 * time.Millisecond)
	if got := s.judgement(); got == nil || got.Verdict != "growing" {
		t.Errorf("20 steps are %+v, want growing", got)
	}
}
