package main

import (
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize"
	"vmaleak/vma"
)

const (
	stacksEvery = time.Minute
	maxAsked    = 4096 // threads that are asked
	maxGuard    = 1 << 20
	mostStack   = 1 << 30
	stackUnit   = 1 << 20
)

// stackFacts adds the stacks of threads that the JVM does not tell of: where
// their stack pointers are, if there is a guard below. A Go program's are elsewhere.
func (s *session) stackFacts(t *target, f *leak.Facts, brief bool) {
	if now := time.Now(); !brief || now.Sub(t.stacksAt) > stacksEvery {
		t.stacksAt, t.stacks = now, nil
		told := map[vma.Thread]bool{}
		for _, r := range f.Regions {
			told[r.Thread] = true
		}
		for i := range f.Threads[:min(len(f.Threads), maxAsked)] {
			th := &f.Threads[i]
			if !th.Alive || told[th.Thread] {
				continue
			}
			if sp, ok := symbolize.StackPointer(t.sp.PID(), int(th.Thread.TID)); ok {
				if r := untold(stackAt(t.sp.VM(), sp), f.Regions); !r.Empty() {
					t.stacks = append(t.stacks, leak.Region{Range: r, Category: leak.ThreadStack, Thread: th.Thread})
				}
			}
		}
	}
	f.Regions = append(f.Regions, t.stacks...)
}

// untold is the part of r up to the first region in it.
func untold(r vma.Range, regions []leak.Region) vma.Range {
	for i := range regions {
		if regions[i].Overlaps(r) {
			r.End = max(r.Start, regions[i].Start)
		}
	}
	return r
}

// stackAt is the stack that holds sp, with its guard; empty if that is no
// stack of its own. The kernel may have joined it with what lies above: then it
// ends at the first whole MiB above sp, as stacks are whole MiB and most of one is free below.
func stackAt(vm *vma.Space, sp uint64) vma.Range {
	if sp < maxGuard {
		return vma.Range{}
	}
	for a := range vm.Over(vma.Range{Start: sp, End: sp + 1}) {
		if a.Kind != vma.Anon || a.Prot != vma.ProtRead|vma.ProtWrite || a.Len() > mostStack || a.Start == 0 {
			break
		}
		for guard := range vm.Over(vma.Range{Start: a.Start - 1, End: a.Start}) {
			if guard.Kind != vma.Anon || guard.Prot != 0 || guard.Len() > maxGuard {
				continue
			}
			end := a.Start + (sp-a.Start+stackUnit)&^(stackUnit-1)
			return vma.Range{Start: guard.Start, End: min(a.End, end)}
		}
	}
	return vma.Range{}
}
