package tracer

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"

	"vmaleak/bpf"
)

// Stack is the stack of one call, as it was when the call returned: raw, for an unwinder.
type Stack struct {
	PID, TID int
	Start    uint64 // the thread's start, clock ticks since boot
	PC, SP   uint64
	Regs     [32]uint64 // in DWARF's numbering for the architecture; what it has no number for is 0
	Mem      []byte     // from SP upward; belongs to whom it was handed to
	Absent   uint32     // bit n: page n of 4 KiB from the one SP is in was not in memory; Mem has zeros there, or has ended
	Limited  bool       // the copy ended at its size limit; else where the stack ends, or could not be read
	Returns  []Return   // innermost first
}

// Return is a return address that an uretprobe replaced, and where on the stack it was.
type Return struct{ SP, PC uint64 }

// StackCounters is what became of the stacks of a space's acquiring calls;
// Taken, RateLimited, Dropped and Failed add up to all that asked for one.
type StackCounters struct {
	Taken       uint64
	RateLimited uint64 // above Options.StackRate
	Dropped     uint64 // the ring was full
	Failed      uint64 // nothing of it could be read
}

// What vma.Event.Stack says of a call whose stack was asked for and is not
// there, in the order of enum stack_status. Tickets are larger than 1<<31.
const (
	StackLimited = 1 + iota // above Options.StackRate
	StackDropped            // the ring was full
	StackFailed             // nothing of it could be read
)

// ticketBit tells tickets from the ledger's numbers of stacks.
const ticketBit = 1 << 31

// stackKey is what a stack and its event have in common: a thread returns from one call at a time.
type stackKey struct {
	tid  uint32
	time uint64
}

// claimant is an event that was read before its stack.
type claimant struct {
	s      *Space
	ticket uint32
	since  time.Time
}

// unclaimed is a stack that was read before its event, or whose event was lost.
type unclaimed struct {
	raw   *Stack
	since time.Time
}

// stacks joins the ring of stacks with the events. A stack is in its ring
// before its event is in the other, but stacks of other threads lie between, and
// the first of them may be unfinished: either may be read first.
type stacks struct {
	ring   *ringbuf.Reader
	rec    ringbuf.Record
	ticket uint32 // the last one
	early  map[stackKey]unclaimed
	late   map[stackKey]claimant
	lost   uint64 // stacks without an event, and events whose stack never came
}

// joinTime is how long either waits for the other.
const joinTime = 2 * time.Second

// unjoined bounds how many stacks wait for their events.
const unjoined = 1 << 10

// claim gives the event of s the ticket of its stack, and the handler the stack
// itself, now if it can be read.
func (t *Tracer) claimStack(s *Space, e *bpf.Event) (uint32, error) {
	j := &t.stacks
	j.ticket = (j.ticket + 1) | ticketBit
	ticket, key := j.ticket, stackKey{e.Tid, e.TimeNs}
	j.late[key] = claimant{s, ticket, time.Time{}}
	if u, ok := j.early[key]; ok {
		delete(j.early, key)
		t.joinStack(key, u.raw)
		return ticket, nil
	}
	return ticket, t.readStacks(func() bool { _, waits := j.late[key]; return waits })
}

// joinStack hands a stack to the handler, or keeps it until its event is read.
func (t *Tracer) joinStack(key stackKey, raw *Stack) {
	j := &t.stacks
	if c, ok := j.late[key]; ok {
		delete(j.late, key)
		t.h.Stack(c.s, c.ticket, raw)
		return
	}
	if len(j.early) >= unjoined {
		j.lost++
		return
	}
	j.early[key] = unclaimed{raw, time.Time{}}
}

// readStacks reads stacks while there are any and more are wanted.
func (t *Tracer) readStacks(more func() bool) error {
	j := &t.stacks
	for j.ring != nil && more() && j.ring.AvailableBytes() > 0 {
		j.ring.SetDeadline(time.Unix(1, 0)) // what is there, without waiting
		switch err := j.ring.ReadInto(&j.rec); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil:
			return fmt.Errorf("read the stacks ring: %w", err)
		}
		key, raw, err := stackFromBPF(j.rec.RawSample)
		if err != nil {
			return err
		}
		t.joinStack(key, raw)
	}
	return nil
}

// sweepStacks reads what no event has asked for, and lets go of what has waited
// for too long: the event of a stack may be lost.
func (t *Tracer) sweepStacks(now time.Time) error {
	j := &t.stacks
	if err := t.readStacks(func() bool { return len(j.early) < unjoined }); err != nil {
		return err
	}
	for key, u := range j.early {
		if u.since.IsZero() {
			j.early[key] = unclaimed{u.raw, now}
		} else if now.Sub(u.since) > joinTime {
			delete(j.early, key)
			j.lost++
		}
	}
	for key, c := range j.late {
		if c.since.IsZero() {
			j.late[key] = claimant{c.s, c.ticket, now}
		} else if now.Sub(c.since) > joinTime {
			delete(j.late, key)
			j.lost++
		}
	}
	return nil
}

// stackFromBPF converts a ring sample, which holds whole pieces: the first
// begins below the stack pointer.
func stackFromBPF(sample []byte) (stackKey, *Stack, error) {
	head := int(unsafe.Sizeof(bpf.Stack{}))
	if len(sample) < head {
		return stackKey{}, nil, fmt.Errorf("the ring holds a stack of %d bytes: the two halves are of different versions; run make generate build", len(sample))
	}
	b := (*bpf.Stack)(unsafe.Pointer(&sample[0]))
	mem := sample[head:]
	mem = mem[:min(len(mem), int(b.Pieces)*bpf.StackPiece)]
	below := int(b.Sp % bpf.StackPiece)
	mem = mem[min(len(mem), below):]
	s := &Stack{
		PID: int(b.Tgid), TID: int(b.Tid), Start: b.StartNs / uint64(clockTick), PC: b.Pc, SP: b.Sp, Regs: b.Regs,
		Absent: b.Absent, Limited: max(int(b.Pieces), bits.Len32(b.Absent))*bpf.StackPiece-below > bpf.StackLimit,
	}
	s.Mem = append(make([]byte, 0, min(len(mem), bpf.StackLimit)), mem[:min(len(mem), bpf.StackLimit)]...)
	for _, r := range b.Returns[:min(int(b.Returned), len(b.Returns))] {
		s.Returns = append(s.Returns, Return{SP: r.Sp, PC: r.Pc})
	}
	return stackKey{b.Tid, b.TimeNs}, s, nil
}
