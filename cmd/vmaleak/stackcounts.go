package main

import (
	"vmaleak/leak"
	"vmaleak/symbolize/unwind"
	"vmaleak/tracer"
)

// count counts a stack of sp, unless it has ended and nobody asks any more.
func (k *stacks) count(sp *tracer.Space, number uint32) {
	c := k.counts[sp]
	if c == nil {
		return
	}
	st := k.known[number]
	switch st.Status {
	case unwind.Complete:
		c.Complete++
	case unwind.Continued:
		c.Continued++
	case unwind.Truncated:
		c.Truncated++
	case unwind.Failed:
		c.Failed++
	default:
		c.None++
	}
	if st.Reason != "" {
		c.Reasons[st.Reason]++
	}
}

// countsOf is what became of the stacks of sp's calls.
func (k *stacks) countsOf(sp *tracer.Space) leak.StackCounts {
	c := leak.StackCounts{}
	if k == nil {
		return c
	}
	if known := k.counts[sp]; known != nil {
		c.Add(known)
	}
	e := sp.Events.Stacks
	kernel := leak.StackCounts{RateLimited: e.RateLimited, None: e.Dropped + e.Failed, Reasons: map[string]uint64{}}
	for reason, n := range map[string]uint64{reasonLimited: e.RateLimited, reasonRing: e.Dropped, reasonCopy: e.Failed} {
		if n > 0 {
			kernel.Reasons[reason] = n
		}
	}
	c.Add(&kernel)
	return c
}

// drop forgets the counts of a space that has ended.
func (k *stacks) drop(sp *tracer.Space) {
	if k != nil {
		delete(k.counts, sp)
	}
}

// open begins to count the stacks of a space.
func (k *stacks) open(sp *tracer.Space) {
	if k != nil {
		k.counts[sp] = &leak.StackCounts{Reasons: map[string]uint64{}}
	}
}
