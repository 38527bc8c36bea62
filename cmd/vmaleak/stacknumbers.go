package main

import (
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize/unwind"
	"vmaleak/tracer"
)

// numbering gives stacks the ledger's numbers, and knows what they stand for.
type numbering struct {
	numbers map[stackKey]uint32
	known   []*unwind.Stack // by number; nil: free
	free    []uint32
	kept    int // frames of known
	frames  map[*unwind.Frame]leak.Frame
	inUse   func() map[uint32]bool // the numbers that the ledger still needs
	sweepAt time.Time
}

// stackKey tells stacks apart that the document must tell apart.
type stackKey struct {
	id, task string
}

const (
	maxStacks = 1 << 16 // different ones
	maxFrames = 1 << 19 // of all of them

	sweepEvery = 10 * time.Second // at most, when there is no room
)

// The reasons of calls without a stack.
const (
	reasonLimited = "rate-limited"
	reasonRing    = "the ring of stacks was full"
	reasonCopy    = "the stack could not be copied"
	reasonBehind  = "more stacks came than could be walked"
	reasonMany    = "too many different stacks"
)

// The numbers that follow the tracer's.
const (
	noneBehind = tracer.StackFailed + 1 + iota
	noneMany
)

// newNumbering numbers the stacks that are none first, as the tracer numbers them.
func newNumbering(inUse func() map[uint32]bool) numbering {
	k := numbering{inUse: inUse, numbers: map[stackKey]uint32{}, known: make([]*unwind.Stack, 1), frames: map[*unwind.Frame]leak.Frame{}}
	for _, reason := range []string{tracer.StackLimited: reasonLimited, tracer.StackDropped: reasonRing,
		tracer.StackFailed: reasonCopy, noneBehind: reasonBehind, noneMany: reasonMany}[1:] {
		k.number(&unwind.Stack{ID: "none: " + reason, Status: unwind.None, Reason: reason})
	}
	return k
}

// number is the ledger's number of a stack.
func (k *numbering) number(st *unwind.Stack) uint32 {
	key := stackKey{st.ID, st.Task}
	n, ok := k.numbers[key]
	if !ok {
		if k.full(st) {
			k.sweep(time.Now())
		}
		if k.full(st) {
			return noneMany
		}
		k.kept += len(st.Frames)
		if last := len(k.free) - 1; last >= 0 {
			n, k.free = k.free[last], k.free[:last]
			k.known[n] = st
		} else {
			n = uint32(len(k.known))
			k.known = append(k.known, st)
		}
		k.numbers[key] = n
	}
	return n
}

func (k *numbering) full(st *unwind.Stack) bool {
	return len(k.known)-len(k.free) >= maxStacks || k.kept+len(st.Frames) > maxFrames
}

// sweep frees the numbers of stacks whose memory is gone, now and then.
func (k *numbering) sweep(now time.Time) {
	if now.Before(k.sweepAt) {
		return
	}
	k.sweepAt = now.Add(sweepEvery)
	used := k.inUse()
	for key, n := range k.numbers {
		if n <= noneMany || used[n] {
			continue
		}
		k.kept -= len(k.known[n].Frames)
		k.known[n] = nil
		k.free = append(k.free, n)
		delete(k.numbers, key)
	}
	clear(k.frames)
}

// of is the stack of a number for the document, nil for none.
func (k *numbering) of(number uint32) *leak.Stack {
	if int(number) >= len(k.known) || k.known[number] == nil {
		return nil
	}
	st := k.known[number]
	doc := &leak.Stack{ID: st.ID, Status: string(st.Status), Reason: str(st.Reason), Task: str(st.Task),
		Frames: make([]leak.Frame, len(st.Frames))}
	for i, f := range st.Frames {
		doc.Frames[i] = k.frame(f)
	}
	return doc
}

// frame is f for the document: the same frames share their texts.
func (k *numbering) frame(f *unwind.Frame) leak.Frame {
	d, ok := k.frames[f]
	if !ok {
		d = leak.Frame{Kind: string(f.Kind), Function: str(f.Function), File: str(f.File), Module: str(f.Module), BuildID: str(f.BuildID)}
		if f.Line > 0 {
			d.Line = &f.Line
		}
		if f.Module != "" {
			offset := leak.Addr(f.Offset)
			d.Offset = &offset
		}
		k.frames[f] = d
	}
	return d
}
