package main

import (
	"testing"

	"vmaleak/tracer"
)

func TestStacksOfASpaceThatHasEndedAreNotCountedForEver(t *testing.T) {
	k := newStacks()
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
