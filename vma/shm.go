package vma

import "golang.org/x/sys/unix"

// A row of a shared memory segment is opaque, with Op shmat. What shmdt must
// know stands in fields that an opaque row has no other use for: At is the
// address where the segment's first byte is or would be (mremap shifts it),
// Acquired the segment's length, 0 unknown.

const (
	shmRdonly = 0x1000
	shmRemap  = 0x4000
)

func (s *Space) shmat(ev *Event) {
	r := s.span(uint64(ev.Ret), ev.Len)
	if ev.Len == 0 {
		// The segment's length is unknown: without SHM_REMAP it lies in a
		// hole, and one page tells a later call that it is not one.
		r = s.span(uint64(ev.Ret), s.PageSize)
		if ev.Flags&shmRemap != 0 {
			s.delta.Dirty = append(s.delta.Dirty, whole)
		} else {
			s.delta.Dirty = append(s.delta.Dirty, r)
		}
	}
	a := Area{r, Owner{Call: s.call, At: ev.Ret, Acquired: s.pages(ev.Len), Op: OpShmat}, ProtRead | ProtWrite, Opaque}
	if ev.Flags&shmRdonly != 0 {
		a.Prot = ProtRead
	}
	s.replace(a)
}

// shmdt removes what is left of the segment attached at ev.Addr, as
// ksys_shmdt (ipc/shm.c) does: its first page may be gone, and other mappings
// may lie in between. The kernel's first area goes whole, the others if they
// end within the segment; where its areas may be smaller than ours, the result is dirty.
func (s *Space) shmdt(ev *Event) {
	base, end := ev.Addr&(1<<56-1), ^uint64(0)
	var seg Owner
	for p := s.rows.seek(base); !s.rows.end(p) && s.rows.span(p).Start < end; {
		a := s.rows.at(p)
		if a.Kind != Opaque || a.Op != OpShmat || uint64(a.At) != base || seg.Op != 0 && a.Owner != seg {
			p = s.rows.next(p)
			continue
		}
		first := seg.Op == 0
		if seg = a.Owner; seg.Acquired != 0 {
			end = base + seg.Acquired
		}
		if seg.Acquired == 0 || a.End > end {
			s.delta.Dirty = append(s.delta.Dirty, a.Range)
		}
		if a.End > end && !first {
			return
		}
		p = s.rows.remove(p, p.i+1)
	}
}

// remapFilePages changes no coverage, but of a segment the places that shmdt looks for.
func (s *Space) remapFilePages(r Range) {
	for p := s.rows.seek(r.Start); !s.rows.end(p) && s.rows.span(p).Start < r.End; p = s.rows.next(p) {
		if a := s.rows.at(p); a.Kind == Opaque && a.Op == OpShmat {
			s.delta.Dirty = append(s.delta.Dirty, r)
			return
		}
	}
}

// shmatFailed is the range that a failed SHM_REMAP may have unmapped.
func (s *Space) shmatFailed(ev *Event) Range {
	if ev.Flags&shmRemap == 0 || ev.Errno() == int64(unix.EINTR) {
		return Range{}
	}
	if ev.Len == 0 {
		return whole
	}
	return s.span(ev.Addr&^(s.PageSize-1), ev.Len)
}
