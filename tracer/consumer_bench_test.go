package tracer

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vmaleak/bpf"
	"vmaleak/leak"
	"vmaleak/vma"
)

// bookkeeper is a Handler that keeps the books of every space, as the command does.
type bookkeeper struct {
	ledger *leak.Ledger
	books  map[*Space]*leak.Space
}

func (k *bookkeeper) Open(s *Space) {
	k.books[s] = k.ledger.Open(leak.Process{PID: s.PID(), PIDs: s.PIDs, Space: s.ID}, s.VM(), s.Since)
}
func (k *bookkeeper) Apply(s *Space, ev *vma.Event, d *vma.Delta) { k.books[s].Book(ev, d) }
func (k *bookkeeper) End(*Space, time.Time, string)               {}
func (k *bookkeeper) Stack(*Space, uint32, *Stack)                {}

const (
	areaLen = 64 << 10
	threads = 64
)

// consumer is a Tracer without a kernel half, with one space whose records are fed by hand.
type consumer struct {
	tb    testing.TB
	tr    *Tracer
	s     *Space
	k     *bookkeeper
	slots []uint64 // where areas may lie, in random order
}

func newConsumer(tb testing.TB, areas int) *consumer {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	c := &consumer{tb: tb, k: &bookkeeper{leak.New(leak.Options{}), map[*Space]*leak.Space{}}, slots: make([]uint64, areas)}
	c.tr = &Tracer{Backend: Backend{Mode: LockSequence}, h: c.k, bySlot: map[uint32]*Space{}, execs: map[int]int{}, ids: map[int]int{}}
	c.tr.states = &states{all: make([]bpf.SpaceState, 2)}
	c.s = c.tr.newSpace(1, 0, 7)
	c.s.opened, c.s.ready = true, true
	c.k.Open(c.s)
	for i := range c.slots {
		c.slots[i] = 0x7f0000000000 + uint64(i)*(areaLen+4096)
	}
	r.Shuffle(areas, func(i, j int) { c.slots[i], c.slots[j] = c.slots[j], c.slots[i] })
	return c
}

// event is one record as the ring holds it; thread i's areas lie in every threads-th slot.
func (c *consumer) event(op vma.Op, slot int, at uint64) bpf.Event {
	e := bpf.Event{Op: uint16(op), Phase: 1, Space: 1, Tgid: 7, Tid: uint32(100 + slot%threads), StartNs: 1e9, TimeNs: 1, Len: areaLen}
	if op == vma.OpMmap {
		e.Ret, e.Prot, e.Flags = int64(at), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS
	} else {
		e.Addr = at
	}
	return e
}

// feed numbers the records on from what was applied and consumes them. Every
// eighth comes after its successor, as when its thread was slow to return.
func (c *consumer) feed(wire []bpf.Event, at uint64) {
	base := c.s.win.base
	for i := range wire {
		n := i
		if j := i &^ 7; i < j+2 && j+1 < len(wire) {
			n = j + 1 - i%8
		}
		e := &wire[n]
		e.Seq, e.TimeNs = base+1+uint64(n), at+uint64(n)*500
		got, err := eventFromBPF(unsafe.Slice((*byte)(unsafe.Pointer(e)), unsafe.Sizeof(*e)))
		if err != nil {
			c.tb.Fatal(err)
		}
		if err := c.tr.dispatch(got); err != nil {
			c.tb.Fatal(err)
		}
	}
	if c.s.win.base != base+uint64(len(wire)) {
		c.tb.Fatalf("%d of %d records were applied", c.s.win.base-base, len(wire))
	}
}

// fill maps an area in every slot.
func (c *consumer) fill() {
	wire := make([]bpf.Event, 0, 1<<14)
	for i, at := range c.slots {
		if wire = append(wire, c.event(vma.OpMmap, i, at)); len(wire) == cap(wire) || i == len(c.slots)-1 {
			c.feed(wire, uint64(i)*500)
			wire = wire[:0]
		}
	}
	if c.s.vm.Len() != len(c.slots) {
		c.tb.Fatalf("%d areas, want %d", c.s.vm.Len(), len(c.slots))
	}
}

func cpuTime(tb testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkConsumer times one record from the ring's bytes to the books:
// decode, order, vma.Space.Apply, leak.Space.Book. A process of so many areas
// unmaps one at random and maps it again. events/cpu-s is per second of processor
// time, the garbage collector's included: a busy machine does not change it as it does the clock.
func BenchmarkConsumer(b *testing.B) {
	for _, areas := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("areas=%d", areas), func(b *testing.B) {
			c := newConsumer(b, areas)
			c.fill()
			r := rand.New(rand.NewPCG(3, 4))
			wire := make([]bpf.Event, 0, 1<<14)
			for len(wire) < cap(wire) {
				i := r.IntN(areas)
				wire = append(wire, c.event(vma.OpMunmap, i, c.slots[i]), c.event(vma.OpMmap, i, c.slots[i]))
			}
			b.ReportAllocs()
			before, at := cpuTime(b), uint64(areas)*500
			b.ResetTimer()
			for done := 0; done < b.N; done += len(wire) {
				c.feed(wire[:min(len(wire), b.N-done)], at)
				at += uint64(len(wire)) * 500
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/(cpuTime(b)-before).Seconds(), "events/cpu-s")
		})
	}
}

// BenchmarkMillionAreas measures what a process of 1,000,000 areas costs in
// memory, model and books together. peak-MB counts what the garbage collector
// has not taken back yet; MB are millions of bytes.
func BenchmarkMillionAreas(b *testing.B) {
	for b.Loop() {
		var before, after, peak runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c := newConsumer(b, 1_000_000)
		c.fill()
		runtime.ReadMemStats(&peak)
		c.slots = nil
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "live-MB")
		b.ReportMetric(float64(peak.HeapAlloc-before.HeapAlloc)/1e6, "peak-MB")
		runtime.KeepAlive(c)
	}
}
