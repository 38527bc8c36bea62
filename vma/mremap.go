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
	src, dst := s.span(ev.Addr, ev.Len), s.span(uint64(ev.Ret), ev.NewLen)
	if dst.Empty() || src.Empty() && ev.Len != 0 {
		return // no kernel does this
	}
	first := s.mapped(src)
	if huge := s.hugePage(first.Flags); first.Kind == Opaque && first.Flags&unix.MAP_HUGETLB != 0 {
		src.End = src.Start + (src.Len()+huge-1)&^(huge-1)
		dst.End = dst.Start + (dst.Len()+huge-1)&^(huge-1)
	}
	keep := ev.Flags&unix.MREMAP_DONTUNMAP != 0
	moves := dst.Start != src.Start || keep
	resized := dst.Len() != src.Len()
	switch {
	case moves && src.Overlaps(dst) || dst.Empty():
		return
	case src.Empty():
		if first.Kind != Opaque {
			first = Area{Kind: Opaque, Prot: first.Prot}
		}
		first.shift(dst.Start - src.Start)
		first.Range = dst
		s.replace(first)
		return
	case dst.Len() < src.Len():
		s.release(Range{src.Start + dst.Len(), src.End})
		src.End = src.Start + dst.Len()
	}
	last := first
	if p := s.rows.seek(src.End - 1); !s.rows.end(p) && s.rows.span(p).Start < src.End {
		last = s.rows.at(p)
	}
	if moves {
		s.move(ev, src, dst, resized, keep)
	}
	if grown := (Range{dst.Start + src.Len(), dst.End}); !grown.Empty() {
		last.Range = grown
		switch {
		case last.Kind == Opaque:
			last.shift(dst.Start - src.Start)
		case last.Kind != Stack || moves:
			last.Kind, last.Owner = Anon, s.owner(ev, grown.Len())
		}
		s.replace(last)
	}
}

// mapped is the area at the start of src. The kernel says that there is one: if
// the model has none, it is opaque and begins there.
func (s *Space) mapped(src Range) Area {
	p := s.rows.seek(src.Start)
	switch {
	case s.rows.end(p):
	case s.rows.span(p).Start <= src.Start:
		return s.rows.at(p)
	default:
		src.End = min(src.End, s.rows.span(p).Start)
	}
	a := Area{Range: src, Kind: Opaque, Prot: ProtRead}
	s.insert(a)
	return a
}

// move carries the areas of src to dst, whose bytes beyond src's length stay a
// hole. Only one area can be resized: dst is then unmapped whatever the model lacks of src.
func (s *Space) move(ev *Event, src, dst Range, resized, keep bool) {
	s.moved = append(s.moved[:0], s.remove(src)...)
	var anon uint64
	for i := range s.moved {
		if a := &s.moved[i]; a.Kind.Exported() {
			anon += a.Len()
		}
	}
	if resized {
		s.release(dst)
	}
	for _, a := range s.moved {
		a.Start, a.End = a.Start+dst.Start-src.Start, a.End+dst.Start-src.Start
		a.shift(dst.Start - src.Start)
		s.release(a.Range)
		switch a.Kind {
		case Stack: // it has lost its name: pre-existing memory comes to light
			a.Kind = Anon
			s.acquire(a)
			continue
		case Heap:
			a.Kind = Anon
		}
		s.insert(a)
	}
	if !keep {
		return
	}
	for _, a := range s.moved {
		if a.Kind.Exported() {
			a.Owner = s.owner(ev, anon)
		}
		s.acquire(a)
	}
}

// shift is what a move by distance does to an owner: the place of a shared memory segment goes along.
func (a *Area) shift(distance uint64) {
	if a.Kind == Opaque && a.Op == OpShmat {
		a.At += int64(distance)
	}
}
