package leak

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

const page = 4096

var epoch = time.Date(2021, 3, 1, 22, 0, 0, 0, time.UTC)

// bench is a ledger with one space, driven by events.
type bench struct {
	tb  testing.TB
	l   *Ledger
	s   *Space
	vm  *vma.Space
	now time.Time
	seq uint64

	stack func() uint32 // of the next event; nil: none
}

func newBench(tb testing.TB, o Options) *bench {
	tb.Helper()
	b := &bench{tb: tb, l: New(o), vm: vma.New(vma.Options{}), now: epoch}
	b.s = b.l.Open(Process{PID: 7, PIDs: []int{7}, Space: "s1", Comm: "java"}, b.vm, epoch)
	return b
}

// apply applies and books ev, at the bench's time.
func (b *bench) apply(ev vma.Event) {
	b.seq++
	ev.Seq, ev.Time = b.seq, b.now.UnixNano()
	if b.stack != nil {
		ev.Stack = b.stack()
	}
	b.s.Book(&ev, b.vm.Apply(&ev))
}

func tid(n int) vma.Thread { return vma.Thread{TID: uint32(n), Start: 1} }

const anonymous = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS

func (b *bench) mmap(t vma.Thread, addr, length uint64, prot uint32) {
	b.apply(vma.Event{Op: vma.OpMmap, Thread: t, Len: length, Prot: prot, Flags: anonymous, Ret: int64(addr)})
}

func (b *bench) munmap(t vma.Thread, addr, length uint64) {
	b.apply(vma.Event{Op: vma.OpMunmap, Thread: t, Addr: addr, Len: length})
}

func (b *bench) mprotect(t vma.Thread, addr, length uint64, prot uint32) {
	b.apply(vma.Event{Op: vma.OpMprotect, Thread: t, Addr: addr, Len: length, Prot: prot})
}

// snapshot is a valid snapshot at the bench's time.
func (b *bench) snapshot(threads ...ThreadFacts) *Snapshot {
	b.tb.Helper()
	s := b.l.Snapshot(b.now, Header{Source: SourceLive, StartedAt: epoch}, func(*Space) Facts { return Facts{Threads: threads, Verified: true} })
	if err := s.CheckValid(); err != nil {
		b.tb.Fatal(err)
	}
	for _, w := range s.Warnings {
		if w.Code == "rebooked" {
			b.tb.Fatalf("the accounts differ from the rows by %d bytes", w.Count)
		}
	}
	return s
}

func (b *bench) entry(threads ...ThreadFacts) *Entry {
	b.tb.Helper()
	return b.snapshot(threads...).Processes[0]
}
