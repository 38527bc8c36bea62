package leak

import (
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

// random applies one event of every kind of change, in an arena of 64 pages.
func (b *bench) random(rng func(n int) int) {
	const arena, pages = uint64(0x10000000), 64
	at := func() uint64 { return arena + uint64(rng(pages))*page }
	length := func() uint64 { return uint64(rng(12)+1) * page }
	prot := uint32([]int{0, 1, 3, 3, 3, 5}[rng(6)])
	t := tid(rng(5) + 1)
	b.now = b.now.Add(time.Duration(rng(100)) * time.Millisecond)
	switch rng(12) {
	case 0, 1, 2:
		b.apply(vma.Event{Op: vma.OpMmap, Thread: t, Len: length(), Prot: prot, Flags: anonymous | unix.MAP_FIXED, Ret: int64(at()), Inferred: rng(9) == 0})
	case 3:
		b.apply(vma.Event{Op: vma.OpMmap, Thread: t, Len: length(), Prot: prot, Flags: unix.MAP_SHARED | unix.MAP_FIXED, Ret: int64(at())})
	case 4, 5:
		b.munmap(t, at(), length())
	case 6, 7:
		b.mprotect(t, at(), length(), prot)
	case 8:
		b.apply(vma.Event{Op: vma.OpBrk, Thread: t, Addr: 0x1000000 + uint64(rng(9))*page, Ret: int64(0x1000000 + rng(9)*page)})
	case 9:
		from := at()
		for a := range b.vm.Over(vma.Range{Start: from, End: from + 1}) {
			n := min(length(), a.End-from)
			ev := vma.Event{Op: vma.OpMremap, Thread: t, Addr: from, Len: n, NewLen: length(), Flags: unix.MREMAP_MAYMOVE, Ret: int64(0x20000000 + rng(32)*page)}
			if rng(3) == 0 {
				ev.Flags |= unix.MREMAP_DONTUNMAP
				ev.NewLen = n
			}
			b.apply(ev)
			break
		}
	case 10:
		truth := b.vm.Clone()
		for range 3 {
			ev := vma.Event{Op: vma.OpMmap, Len: length(), Prot: prot, Flags: anonymous, Ret: int64(at())}
			truth.Apply(&ev)
		}
		_, d := b.vm.Reconcile(truth, nil, vma.Healed)
		b.s.Book(&vma.Event{Time: b.now.UnixNano()}, d)
	case 11:
		ev := vma.Event{Op: vma.OpMmap, Thread: t, Len: length(), Prot: prot, Flags: anonymous, Ret: int64(at()), Seq: 1 << 40, Time: b.now.UnixNano()}
		ev.Seq += b.seq
		if b.stack != nil {
			ev.Stack = b.stack()
		}
		b.s.Book(&ev, b.vm.Claim(&ev))
	}
}

// tickets gives every event a ticket, of which some are resolved before, some
// later and some never.
func (b *bench) tickets(rng func(n int) int) func() uint32 {
	next := vma.Ticket
	return func() uint32 {
		next++
		for range rng(3) {
			b.l.Resolve(next-uint32(rng(20)), uint32(rng(40)))
		}
		return next
	}
}

// recount compares the threads of e with the rows of the space.
func (b *bench) recount(e *Entry) {
	b.tb.Helper()
	sums := map[int]uint64{}
	var mapped uint64
	for a := range b.vm.Exported() {
		mapped += a.Len()
		if a.Origin == vma.Traced || a.Origin == vma.Inferred {
			sums[int(a.Thread.TID)] += a.Len()
		}
	}
	if mapped != e.Totals.Mapped {
		b.tb.Fatalf("mapped is %d, the rows are %d", e.Totals.Mapped, mapped)
	}
	for _, t := range e.Threads {
		if sums[*t.TID] != t.Outstanding {
			b.tb.Fatalf("thread %d: outstanding %d, its rows are %d", *t.TID, t.Outstanding, sums[*t.TID])
		}
		delete(sums, *t.TID)
	}
	if len(sums) != 0 {
		b.tb.Fatalf("threads that are missing: %v", sums)
	}
}

func TestRandomEventsKeepTheBooksRight(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		b := newBench(t, Options{Accounts: 24, Threads: 4, Stack: numbered})
		if seed%2 == 0 {
			b.stack = b.tickets(rng.IntN)
		}
		for i := range 1500 {
			b.random(rng.IntN)
			if i%50 != 0 {
				continue
			}
			facts := []ThreadFacts{{Thread: tid(1 + rng.IntN(5)), Alive: true}}
			b.recount(b.entry(facts[:rng.IntN(2)]...))
			b.l.Tick(b.now)
			if t.Failed() {
				t.Fatalf("seed %d, event %d", seed, i)
			}
		}
	}
}

func FuzzBook(f *testing.F) {
	f.Add([]byte("\x00\x05\x03\x02\x01 acquire, release, acquire"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBench(t, Options{Accounts: 8, Threads: 3, Stack: numbered})
		next := func(n int) int {
			if len(data) == 0 {
				return 0
			}
			v := int(data[0])
			data = data[1:]
			return v % n
		}
		if next(2) == 0 {
			b.stack = b.tickets(next)
		}
		for range 200 {
			if len(data) == 0 {
				break
			}
			b.random(next)
		}
		b.recount(b.entry())
	})
}
