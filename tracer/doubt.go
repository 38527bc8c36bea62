package tracer

import (
	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

// extent is where a call worked: from is what it took or changed, into what it
// made of it. Both are the same but for mremap.
func extent(page uint64, ev *vma.Event) (from, into vma.Range) {
	up := func(n uint64) uint64 { return (n + page - 1) &^ (page - 1) }
	at := func(start, length uint64) vma.Range { return vma.Range{Start: start, End: start + up(max(length, 1))} }
	from = at(ev.Addr, ev.Len)
	switch {
	case ev.Failed():
	case ev.Op == vma.OpMmap || ev.Op == vma.OpShmat:
		from = at(uint64(ev.Ret), ev.Len)
	case ev.Op == vma.OpMremap:
		return from, at(uint64(ev.Ret), ev.NewLen)
	case ev.Op == vma.OpBrk:
		from = vma.Range{Start: up(min(ev.Addr, uint64(ev.Ret))), End: up(max(ev.Addr, uint64(ev.Ret)))}
	}
	return from, from
}

// refused is the target of a fixed move that was refused with EFAULT: it is as
// it was if the source began with a hole, else it was unmapped first.
func refused(page uint64, ev *vma.Event) (vma.Range, bool) {
	into := vma.Range{Start: ev.Target, End: ev.Target + (ev.NewLen+page-1)&^(page-1)}
	return into, ev.Op == vma.OpMremap && ev.Errno() == int64(unix.EFAULT) && ev.Flags&unix.MREMAP_FIXED != 0
}

// carry returns the ranges in doubt after ev: what a call sets outright is in
// doubt no longer, what it makes of something in doubt is.
func carry(doubt ranges, page uint64, ev *vma.Event) ranges {
	if len(doubt) == 0 {
		return nil
	}
	from, into := extent(page, ev)
	if target, ok := refused(page, ev); ok && doubt.overlaps(from) {
		return doubt.add(from).add(target)
	}
	switch {
	case ev.Op == vma.OpMprotect || ev.Op == vma.OpPkeyMprotect:
		// It stopped at a hole, and which that was is in doubt too.
		if ev.Errno() == int64(unix.ENOMEM) && doubt.overlaps(from) {
			return doubt.add(from)
		}
	case ev.Failed():
	case ev.Op == vma.OpMmap || ev.Op == vma.OpMunmap || ev.Op == vma.OpBrk:
		return doubt.without(from)
	case ev.Op == vma.OpMremap && ev.Len != 0:
		moved := doubt.overlaps(from)
		if ev.Flags&unix.MREMAP_DONTUNMAP == 0 && from.Start != into.Start {
			doubt = doubt.without(from)
		}
		if moved {
			return doubt.add(into)
		}
	}
	return doubt
}
