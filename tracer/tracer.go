// Package tracer is the edge to the kernel: it loads the kernel half, chooses
// how to attach it, follows processes, and turns the records of the ring into
// an exact model of each address space, which it compares with /proc/PID/maps.
// ARCHITECTURE.md says how the numbers make it exact.
package tracer

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"vmaleak/bpf"
	"vmaleak/vma"
)

// Handler is told what happens to the spaces, in order, on the goroutine that calls Poll.
type Handler interface {
	// Open announces a space: its model is empty, or a copy of its parent's after fork.
	Open(s *Space)
	// Apply tells of one event and what it did. An event with Op 0 is a
	// reconciliation with /proc/PID/maps. Neither may be kept.
	Apply(s *Space, ev *vma.Event, d *vma.Delta)
	// End says that the space is gone: "exit", "signal", "oom" or "exec". Its model stands as it last was.
	End(s *Space, at time.Time, by string)
	// Stack hands over the stack of the event of s that has the ticket as its
	// vma.Event.Stack. It comes as soon as it is read, since it can only be resolved
	// while the process lives: mostly before Apply tells of the event, now and then
	// after it, even before Open or after End; and Apply may never come.
	Stack(s *Space, ticket uint32, raw *Stack)
}

// Options sets what differs from the defaults; the zero value is right.
type Options struct {
	Ring    int           // bytes of the events ring, a power of two; 0 = 16 MiB
	Backend string        // LockSequence or EnterExit; "" = the first that works
	Audit   time.Duration // how often a space is compared with /proc/PID/maps; 0 = 30 s, negative = never

	Stacks    bool   // copy the stacks of calls that acquire memory (Backend.NoStacks: where that cannot be)
	StackMin  uint64 // bytes that a call acquires at least to have its stack copied; 0 = 32 KiB
	StackRate int    // stacks a second and space; 0 = 4,000
	StackRing int    // bytes of the stacks ring, a power of two; 0 = 8 MiB

	Malloc uint64       // bytes of a block of malloc that FollowMalloc follows at least; 0 = none are
	Live   int          // such blocks of all processes that can be followed at once; 0 = 131,072
	Blocks BlockHandler // is told of them; not nil if Malloc is not 0
	Probes string       // Session or Pair; "" = the first that works
}

// Tracer follows address spaces. One goroutine uses it; Close may be called twice.
type Tracer struct {
	Backend Backend

	opt     Options
	h       Handler
	vmopt   vma.Options
	coll    *ebpf.Collection   // the maps and the iterator
	progs   []*ebpf.Collection // one program each
	kernel  *btf.Spec          // while loading
	skips   uint64             // programs that the kernel skipped, at the last look
	skipsAt time.Time
	links   []link.Link
	ring    *ringbuf.Reader
	stacks  stacks
	malloc  mallocs
	states  *states
	bySlot  map[uint32]*Space
	execs   map[int]int // by PID, while it lives
	ids     map[int]int // spaces named after a PID so far
	dropped uint64      // records, at the last scan
	boot    int64       // CLOCK_MONOTONIC + boot = Unix time, ns
	scanAt  time.Time
	rec     ringbuf.Record
	current record // the one that is dispatched: here, it need not be allocated
	noSpace uint64
	wait    time.Duration // for the next record
	ignored bpf.SpaceRef  // of the probe: nobody's
	closed  bool

	consumed uint64 // bytes taken out of the ring
	produced uint64 // bytes that were in or had gone through it at the last note
}

// Open loads and attaches the kernel half. The error says what is missing and how to get it.
func Open(o Options, vmopt vma.Options, h Handler) (*Tracer, error) {
	if o.Ring == 0 {
		o.Ring = 16 << 20
	}
	if o.Audit == 0 {
		o.Audit = 30 * time.Second
	}
	if o.StackMin == 0 {
		o.StackMin = 32 << 10
	}
	if o.StackRate == 0 {
		o.StackRate = 4000
	}
	if o.StackRing == 0 {
		o.StackRing = 8 << 20
	}
	if o.Live == 0 {
		o.Live = 1 << 17
	}
	t := &Tracer{opt: o, h: h, vmopt: vmopt, bySlot: map[uint32]*Space{}, execs: map[int]int{}, ids: map[int]int{}}
	t.stacks.early, t.stacks.late = map[stackKey]unclaimed{}, map[stackKey]claimant{}
	if err := t.load(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if o.Malloc == 0 {
		t.kernel = nil // 60 MB that only loading needs
	}
	t.syncClock()
	return t, nil
}

// Close detaches everything. The spaces' models stay readable.
func (t *Tracer) Close() error {
	if t.closed {
		return nil
	}
	t.closed = true
	return t.unload()
}

func (t *Tracer) unload() error {
	var errs []error
	errs = append(errs, t.malloc.close())
	for _, l := range t.links {
		errs = append(errs, l.Close())
	}
	t.links = nil
	if t.ring != nil {
		errs = append(errs, t.ring.Close())
		t.ring = nil
	}
	if t.stacks.ring != nil {
		errs = append(errs, t.stacks.ring.Close())
		t.stacks.ring = nil
	}
	errs = append(errs, t.states.close())
	t.states = nil
	for _, p := range t.progs {
		p.Close()
	}
	t.progs = nil
	if t.coll != nil {
		t.coll.Close()
		t.coll = nil
	}
	return errors.Join(errs...)
}

// Spaces yields the spaces that have not ended, in no order.
func (t *Tracer) Spaces() iter.Seq[*Space] {
	return func(yield func(*Space) bool) {
		for _, s := range t.bySlot {
			if s.opened {
				s.counters()
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Unfollowed is how many records named a space that could not be followed.
func (t *Tracer) Unfollowed() uint64 { return t.noSpace }

// Unjoined is how many stacks came without their event, which was lost, or
// events without their stack.
func (t *Tracer) Unjoined() uint64 { return t.stacks.lost }

// Skipped is how often the kernel skipped one of our programs, because another
// ran on that processor: each is a number or a report that is missing.
func (t *Tracer) Skipped() uint64 { return t.skips }

// A record that wakes nobody waits in the ring for readAhead; when nothing comes, for up to idle.
const (
	readAhead = 10 * time.Millisecond
	idle      = 80 * time.Millisecond
)

// Poll reads and applies what happens until the deadline.
func (t *Tracer) Poll(until time.Time) error {
	for {
		now, consumed := time.Now(), t.consumed
		t.note()
		if !t.drained() {
			if err := t.read(now); err != nil {
				return err
			}
		}
		if err := t.settle(time.Now()); err != nil {
			return err
		}
		if now = time.Now(); !now.Before(until) {
			return nil
		}
		if t.consumed != consumed || t.wait == 0 {
			t.wait = readAhead
		}
		wake := now.Add(t.wait)
		if until.Before(wake) {
			wake = until
		}
		if err := t.read(wake); err != nil {
			return err
		}
		if t.consumed == consumed {
			t.wait = min(2*t.wait, idle)
		}
	}
}

// ringHeader is what the kernel puts before each record (BPF_RINGBUF_HDR_SZ).
const ringHeader = 8

// batch bounds how many records are read before timers are looked at.
const batch = 1 << 16

// read takes records until the ring is empty and the deadline has passed.
func (t *Tracer) read(deadline time.Time) error {
	t.ring.SetDeadline(deadline)
	for range batch {
		switch err := t.ring.ReadInto(&t.rec); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("read the events ring: %w", err)
		}
		t.consumed += uint64(ringHeader + (len(t.rec.RawSample)+7)&^7)
		e, err := eventFromBPF(t.rec.RawSample)
		if err != nil {
			return err
		}
		if err := t.dispatch(e); err != nil {
			return err
		}
	}
	return nil
}

// note remembers, before the ring is read, which numbers must be found in it.
func (t *Tracer) note() {
	for _, s := range t.bySlot {
		if seq, ok := quiet(s.state); ok && s.state.Gen == s.gen {
			s.idleSeq = seq
		}
	}
	t.produced = t.consumed + uint64(t.ring.AvailableBytes())
}

// drained reports whether all that was in the ring at the last note has been read.
func (t *Tracer) drained() bool { return t.consumed >= t.produced }

// free gives a slot back once its space has ended.
func (t *Tracer) free(s *Space) {
	delete(t.bySlot, s.slot)
	if err := t.coll.Maps[mapUnclaimed].Update(nil, s.slot, ebpf.UpdateAny); err != nil {
		t.noSpace++ // one slot fewer: the next claim may fail, and counts itself
	}
}

func ref(s *Space) bpf.SpaceRef { return bpf.SpaceRef{Space: s.slot, Gen: s.gen} }
