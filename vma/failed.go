package vma

import "golang.org/x/sys/unix"

// failed handles the calls that change something although they fail. What
// they change is not told by their arguments: it is Dirty, but for mprotect
// that met a hole.
//
//	mprotect ENOMEM   a hole: all below it is changed. No hole: dirty
//	mprotect other    dirty: the areas before the refusing one are changed
//	mmap FIXED        anonymous: only ENOMEM before 6.12. A file, shared or
//	                  huge pages: the file system refused after the unmapping
//	                  (__mmap_region, vms_abort_munmap_vmas)
//	mremap FIXED      the target, unmapped first; several areas, of which
//	                  some have moved (remap_move, 6.17)
//	shmat SHM_REMAP   the target
//
// Errors that are found before anything is done, and EINTR, which is the lock
// not taken, change nothing.
func (s *Space) failed(ev *Event) {
	errno := unix.Errno(ev.Errno())
	if errno == unix.EINTR {
		return
	}
	switch ev.Op {
	case OpMprotect, OpPkeyMprotect:
		r := s.span(ev.Addr, ev.Len)
		hole, found := s.firstHole(r)
		switch {
		case ev.Prot&protGrows == protGrows || r.Empty():
		case ev.Prot&protGrows != 0: // the range began at the area's edge
			s.dirtyAnon(whole)
		case errno == unix.ENOMEM && found:
			s.mprotect(ev, Range{r.Start, hole})
		default:
			s.dirtyAnon(r)
		}
	case OpMmap:
		switch {
		case ev.Flags&unix.MAP_FIXED == 0 || errno == unix.EBADF || errno == unix.EEXIST:
		case IsAnon(ev.Flags) && (errno != unix.ENOMEM || !s.FixedBreaks):
		default:
			s.dirty(s.mmapRange(ev, ev.Addr))
		}
	case OpMremap:
		s.mremapFailed(ev, errno)
	case OpShmat:
		s.dirty(s.shmatFailed(ev))
	}
}

func (s *Space) mremapFailed(ev *Event, errno unix.Errno) {
	const must = unix.MREMAP_FIXED | unix.MREMAP_MAYMOVE
	src, dst := s.span(ev.Addr, ev.Len), s.span(ev.Target, ev.NewLen)
	switch {
	case ev.Flags&must != must, ev.NewLen == 0,
		ev.Flags&^uint32(must|unix.MREMAP_DONTUNMAP) != 0,
		ev.Flags&unix.MREMAP_DONTUNMAP != 0 && ev.Len != ev.NewLen,
		src.Overlaps(dst):
		return // refused at once
	case s.FixedBreaks || errno == unix.ENOMEM:
	default:
		if hole, found := s.firstHole(src); found && hole == src.Start {
			return // 6.17 looks at the source first
		}
	}
	s.dirty(src)
	s.delta.Dirty = append(s.delta.Dirty, dst) // into a hole too, something may have come
}

// dirty says that only /proc knows r, if any area is there to be changed.
func (s *Space) dirty(r Range) {
	if p := s.rows.seek(r.Start); !r.Empty() && !s.rows.end(p) && s.rows.span(p).Start < r.End {
		s.delta.Dirty = append(s.delta.Dirty, r)
	}
}

// dirtyAnon is dirty, if there is memory whose protection counts.
func (s *Space) dirtyAnon(r Range) {
	for p := s.rows.seek(r.Start); !s.rows.end(p) && s.rows.span(p).Start < r.End; p = s.rows.next(p) {
		if a := s.rows.at(p); a.Kind != Opaque {
			s.delta.Dirty = append(s.delta.Dirty, r)
			return
		}
	}
}

// firstHole is the lowest address in r that no area covers.
func (s *Space) firstHole(r Range) (addr uint64, found bool) {
	addr = r.Start
	for p := s.rows.seek(addr); addr < r.End; p = s.rows.next(p) {
		if s.rows.end(p) || s.rows.span(p).Start > addr {
			return addr, true
		}
		addr = s.rows.at(p).End
	}
	return addr, false
}
