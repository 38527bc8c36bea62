package leak

import "vmaleak/vma"

const (
	arenaSize = 64 << 20
	arenasAt  = 1 << 37 // the kernel places arenas above; Java heaps with compressed references lie below
	maxGuard  = 64 << 10
	minStack  = 64 << 10
	maxStack  = 64 << 20
	maxShapes = 1 << 17

	maxAddress = 1 << 56 // of user space
)

// shapes is what the rows' places tell, in order and disjoint: heaps of
// glibc's malloc, and stacks of threads with their guards. It looks at the rows once.
func (b *builder) shapes() []Region {
	if b.shaped {
		return b.layout
	}
	b.shaped = true
	var list []Region
	arena := func(at uint64) {
		list = append(list, Region{Range: vma.Range{Start: at, End: at + arenaSize}, Category: MallocArena})
	}
	if m := b.e.Malloc; m != nil {
		for i := range m.Arenas {
			for _, at := range m.Arenas[i].Heaps[:min(len(m.Arenas[i].Heaps), maxShapes)] {
				arena(uint64(at) &^ (arenaSize - 1))
			}
		}
	}
	if b.s.vm == nil {
		return nil
	}
	var prev vma.Area
	for a := range b.s.vm.Exported() {
		if a.Prot == vma.ProtRead|vma.ProtWrite {
			if a.Start == prev.End && isStack(&prev, &a) {
				list = append(list, Region{Range: vma.Range{Start: prev.Start, End: a.End}, Category: ThreadStack})
			}
			for at := max(arenasAt, (a.Start+arenaSize-1)&^(arenaSize-1)); at < min(a.End, maxAddress) && len(list) < maxShapes; at += arenaSize {
				if b.isArena(vma.Range{Start: at, End: at + arenaSize}) {
					arena(at)
				}
			}
		}
		prev = a
	}
	b.layout = sorted(list)
	return b.layout
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
		if a.Op == vma.OpMmap && a.Prot != 0 { // malloc reserves an arena, and makes it writable then
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
