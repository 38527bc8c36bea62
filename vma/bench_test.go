package vma

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

const benchLen = 64 << 10

// benchSpace is a space of n live rows, mapped in random order, and the slots
// they lie in: every slot has room for one row and a gap.
func benchSpace(tb testing.TB, n int, seed uint64) (*Space, []uint64) {
	r := rand.New(rand.NewPCG(1, seed))
	slots := make([]uint64, n)
	for i := range slots {
		slots[i] = 0x7f0000000000 + uint64(i)*(benchLen+4096)
	}
	r.Shuffle(n, func(i, j int) { slots[i], slots[j] = slots[j], slots[i] })
	s := New(Options{})
	ev := Event{Op: OpMmap, Len: benchLen, Prot: 3, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, Thread: Thread{TID: 1}}
	for i, at := range slots {
		ev.Seq, ev.Ret = uint64(i+1), int64(at)
		s.Apply(&ev)
	}
	if s.Len() != n {
		tb.Fatalf("%d rows, want %d", s.Len(), n)
	}
	return s, slots
}

// onCPU reports processor time too, which a busy machine does not stretch as it does the clock.
func onCPU(b *testing.B) func() {
	used := func() int64 {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkApply times one event, half of them mmap and half munmap of a random live row.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			s, slots := benchSpace(b, n, 2)
			r := rand.New(rand.NewPCG(3, 4))
			order := make([]uint64, 1<<16)
			for i := range order {
				order[i] = slots[r.IntN(n)]
			}
			un := Event{Op: OpMunmap, Len: benchLen}
			mm := Event{Op: OpMmap, Len: benchLen, Prot: 3, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS}
			b.ReportAllocs()
			b.ResetTimer()
			defer onCPU(b)()
			for i := 0; i < b.N; i += 2 {
				at := order[i/2%len(order)]
				un.Addr, mm.Ret = at, int64(at)
				un.Seq, mm.Seq = uint64(i), uint64(i+1)
				s.Apply(&un)
				s.Apply(&mm)
			}
		})
	}
}

// BenchmarkMprotect times the commit and decommit of pages in a reservation.
func BenchmarkMprotect(b *testing.B) {
	s, _ := benchSpace(b, 16<<10, 2)
	const base, pages = 0x10000000, 4096
	s.Apply(&Event{Op: OpMmap, Ret: base, Len: pages << 12, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS})
	r := rand.New(rand.NewPCG(3, 4))
	b.ReportAllocs()
	b.ResetTimer()
	defer onCPU(b)()
	for i := 0; i < b.N; i++ {
		s.Apply(&Event{Op: OpMprotect, Seq: uint64(i), Addr: base + uint64(r.IntN(pages-8))<<12, Len: 8 << 12, Prot: uint32(i) & 3})
	}
}

func BenchmarkClone(b *testing.B) {
	s, slots := benchSpace(b, 1<<20, 2)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c := s.Clone()
		c.Apply(&Event{Op: OpMunmap, Addr: slots[i%len(slots)], Len: benchLen})
	}
}

// TestMillionRowsFit measures what a million rows cost. The peak counts what
// the garbage collector has not taken back yet.
func TestMillionRowsFit(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a million rows: not with -short")
	}
	var before, after, peak runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, _ := benchSpace(t, 1_000_000, 2)
	runtime.ReadMemStats(&peak)
	runtime.GC()
	runtime.ReadMemStats(&after)
	const mib = 1 << 20
	live, with := (after.HeapAlloc-before.HeapAlloc)/mib, (peak.HeapAlloc-before.HeapAlloc)/mib
	t.Logf("1,000,000 rows: %d MiB live, %d MiB of heap with what was not collected yet", live, with)
	if max(live, with) > 200 {
		t.Error("more than 200 MiB")
	}
	runtime.KeepAlive(s)
}

// BenchmarkRestack passes over a million rows of which every 64th has a ticket.
func BenchmarkRestack(b *testing.B) {
	s, _ := benchSpace(b, 1<<20, 2)
	p := pos{}
	for i := 0; !s.rows.end(p); i++ {
		if i%64 == 0 {
			s.rows.setStack(p, Ticket)
		}
		p = s.rows.next(p)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Restack(func(ticket uint32) uint32 { return ticket })
	}
}
