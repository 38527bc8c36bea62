package vma

import "golang.org/x/sys/unix"

// mremap follows mm/mremap.c of 6.18, whose behaviour includes that of earlier kernels:
//
//	old_len 0        a second mapping of a shared area: opaque
//	shrink           the tail is unmapped first, also when the rest then moves
//	grow in place    new bytes behind the area, the caller's
//	move             the target is unmapped, the areas move with their owners,
//	                 bytes beyond old_len are the caller's
//	several areas    (6.17) each moves by the same distance; holes between them
//	                 leave the target there untouched
//	DONTUNMAP        the areas move, and an empty mapping of the same kind
//	                 stays behind, which the caller acquired
func (s *Space) mremap(ev *Event) {
	oldLen, newLen := s.pages(ev.Len), s.pages(ev.NewLen)
	src, dst := ev.Addr, uint64(ev.Ret)
	if oldLen == 0 {
		s.release(Range{dst, dst + newLen})
		s.acquire(Area{Range: Range{dst, dst + newLen}, Prot: ProtRead, Kind: Opaque})
		return
	}
	if newLen < oldLen {
		s.release(Range{src + newLen, src + oldLen})
	}
	kept := Range{src, src + min(oldLen, newLen)}
	last := Area{Range: kept, Kind: Opaque, Prot: ProtRead} // what a source that the model lacks must have been
	for a := range s.Over(kept) {
		last = a
	}
	keep := ev.Flags&unix.MREMAP_DONTUNMAP != 0
	if dst != src || keep {
		s.move(ev, kept, dst, newLen, keep)
	}
	if newLen > oldLen {
		grown := Area{Range: Range{dst + oldLen, dst + newLen}, Prot: last.Prot, Kind: last.Kind}
		s.release(grown.Range)
		if grown.Kind != Opaque {
			grown.Kind, grown.Owner = Anon, ev.owner(grown.Len())
		}
		s.acquire(grown)
	}
}

// move carries the areas of from to dst, where newLen bytes are the target.
func (s *Space) move(ev *Event, from Range, dst, newLen uint64, keep bool) {
	pieces := append([]Area(nil), s.remove(from)...)
	var covered uint64
	for _, a := range pieces {
		covered += a.Len()
	}
	if covered == from.Len() {
		s.release(Range{dst, dst + newLen})
	}
	var anon uint64
	for _, a := range pieces {
		to := a
		to.Start, to.End = dst+(a.Start-from.Start), dst+(a.End-from.Start)
		if to.Kind == Stack || to.Kind == Heap {
			to.Kind = Anon
			to.Origin = max(to.Origin, PreExisting)
		}
		s.release(to.Range)
		s.insert(to)
		if a.Kind != Opaque {
			anon += a.Len()
		}
	}
	if !keep {
		return
	}
	for _, a := range pieces {
		if a.Kind != Opaque {
			a.Owner, a.Kind = ev.owner(anon), Anon
		}
		s.acquire(a)
	}
}
