package main

import (
	"fmt"
	"testing"

	"vmaleak/symbolize/unwind"
	"vmaleak/tracer"
)

func TestStacksOfASpaceThatHasEndedAreNotCountedForEver(t *testing.T) {
	k := newStacks(nil)
	defer k.close()
	sp := new(tracer.Space)
	k.open(sp)
	k.count(sp, noneBehind)
	if c := k.countsOf(sp); c.None != 1 || c.Reasons[reasonBehind] != 1 {
		t.Errorf("%+v", c)
	}
	k.drop(sp)
	if k.count(sp, noneBehind); len(k.counts) != 0 {
		t.Errorf("an answer that came late is kept: %v", k.counts)
	}
}

// A trace that sees more stacks than there is room for gives up those whose memory is gone, and no others.
func TestNumbersOfStacksThatHoldNothingAreUsedAgain(t *testing.T) {
	held := map[uint32]bool{}
	k := newNumbering(func() map[uint32]bool { return held })
	deep := make([]*unwind.Frame, 1<<10)
	for i := range deep {
		deep[i] = &unwind.Frame{Kind: unwind.Native, Function: "f"}
	}
	stack := func(i int) *unwind.Stack {
		return &unwind.Stack{ID: fmt.Sprint(i), Status: unwind.Complete, Frames: deep}
	}
	first := k.number(stack(0))
	held[first] = true
	i := 1
	for ; k.number(stack(i)) != noneMany || len(k.free) > 0; i++ {
		if k.kept > maxFrames {
			t.Fatalf("%d frames are kept", k.kept)
		}
		if i > 10*maxFrames/len(deep) {
			break
		}
		k.sweepAt = k.sweepAt.Add(-sweepEvery)
	}
	if i < 2*maxFrames/len(deep) {
		t.Errorf("after %d stacks there was no room, though all but one hold nothing", i)
	}
	if st := k.of(first); st == nil || st.ID != "0" || k.number(stack(0)) != first {
		t.Errorf("the one that is held is %v", st)
	}
	if st := k.of(noneMany); st == nil || st.Status != "none" {
		t.Errorf("the stack of what has none is %v", st)
	}
}
