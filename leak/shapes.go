package leak

import (
	"cmp"
	"slices"

	"vmaleak/vma"
)

// shapes is what the rows' places tell: ranges in order of address.
type shapes struct {
	arenas []vma.Range // heaps of glibc's malloc
	stacks []vma.Range // of threads, with their guards
}

const (
	arenaSize = 64 << 20
	arenasAt  = 1 << 37 // the kernel places arenas above; Java heaps with compressed references lie below
	maxGuard  = 64 << 10
	minStack  = 64 << 10
	maxStack  = 64 << 20
	maxArenas = 1 << 16
)

// shapes looks at the rows once.
func (b *builder) shapes() *shapes {
	if b.layout != nil {
		return b.layout
	}
	l := &shapes{}
	b.layout = l
	for i := range b.arenas {
		if a := &b.arenas[i]; a.Kind == "arena" {
			start := uint64(a.Start) &^ (arenaSize - 1)
			l.arenas = append(l.arenas, vma.Range{Start: start, End: start + arenaSize})
		}
	}
	if b.s.vm == nil {
		return l
	}
	var prev vma.Area
	for a := range b.s.vm.Exported() {
		if a.Prot == vma.ProtRead|vma.ProtWrite {
			if a.Start == prev.End && isStack(&prev, &a) {
				l.stacks = append(l.stacks, vma.Range{Start: prev.Start, End: a.End})
			}
			for at := a.Start; at%arenaSize == 0 && at < a.End && at >= arenasAt && len(l.arenas) < maxArenas; at += arenaSize {
				if r := (vma.Range{Start: at, End: at + arenaSize}); b.isArena(r) {
					l.arenas = append(l.arenas, r)
				}
			}
		}
		prev = a
	}
	slices.SortFunc(l.arenas, func(x, y vma.Range) int { return cmp.Compare(x.Start, y.Start) })
	l.arenas = slices.Compact(l.arenas)
	return l
}

// isArena reports whether r, of which the start is writable, looks like an
// arena: anonymous all over, and reserved up to its very end. One without a
// reservation is full, or, in a virtual machine, most likely its heap.
func (b *builder) isArena(r vma.Range) bool {
	at, full := r.Start, false
	for a := range b.s.vm.Over(r) {
		if a.Kind != vma.Anon || a.Prot&vma.ProtExec != 0 || a.Start > at {
			return false
		}
		at, full = a.End, a.Prot != 0
	}
	if full {
		return at >= r.End && b.e.JVM == nil
	}
	return at == r.End
}

// isStack reports whether a, with guard below it, looks like the stack of a
// thread: together or without the guard whole units of 64 KiB.
func isStack(guard, a *vma.Area) bool {
	if guard.Prot != 0 || guard.Len() > maxGuard {
		return false
	}
	if a.Op == vma.OpMmap {
		return a.Flags&mapStack != 0
	}
	n := a.Len()
	return n >= minStack/2 && n <= maxStack && (n%minStack == 0 || (n+guard.Len())%minStack == 0)
}

// within reports whether one of the ranges, in order, holds addr.
func within(ranges []vma.Range, addr uint64) bool {
	i, _ := slices.BinarySearchFunc(ranges, addr, func(r vma.Range, addr uint64) int {
		if r.End <= addr {
			return -1
		}
		return 1
	})
	return i < len(ranges) && ranges[i].Contains(addr)
}
