package vma

import "golang.org/x/sys/unix"

// Apply changes s as ev changed the kernel's address space, and returns what
// that did to anonymous memory. Events must come in the order in which the
// kernel made the changes. Fork, exec and exit events change no area: their
// meaning is the caller's (Fork, or a new Space).
func (s *Space) Apply(ev *Event) *Delta {
	s.delta.reset()
	if ev.Failed() {
		s.failed(ev)
		return &s.delta
	}
	switch ev.Op {
	case OpMmap:
		s.mmap(ev)
	case OpMunmap:
		s.release(Range{ev.Addr, ev.Addr + s.pages(ev.Len)})
	case OpMremap:
		s.mremap(ev)
	case OpBrk:
		s.brk(ev)
	case OpMprotect, OpPkeyMprotect:
		s.mprotect(ev, Range{ev.Addr, ev.Addr + s.pages(ev.Len)})
	case OpShmat:
		s.shmat(ev)
	case OpShmdt:
		s.shmdt(ev)
	}
	return &s.delta
}

// owner is the Owner of what ev acquires.
func (ev *Event) owner(bytes uint64) Owner {
	o := Owner{Call: ev.Seq, At: ev.Time, Acquired: bytes, Thread: ev.Thread, Stack: ev.Stack,
		Calls: 1, Op: ev.Op, Origin: Traced}
	if ev.Op == OpMmap {
		o.Flags = ev.Flags
	}
	if ev.Op == OpPkeyMprotect {
		o.Op = OpMprotect
	}
	if ev.Inferred {
		o.Origin = Inferred
	}
	return o
}

// release removes r and books its anonymous pieces as released.
func (s *Space) release(r Range) {
	for _, a := range s.remove(r) {
		if a.Kind.Exported() {
			s.delta.Released = append(s.delta.Released, a)
		}
	}
}

// acquire inserts a, which must lie in a hole, and books it if it is anonymous.
func (s *Space) acquire(a Area) {
	if a.Empty() {
		return
	}
	if a.Kind.Exported() {
		s.delta.Acquired = append(s.delta.Acquired, a)
	}
	s.insert(a)
}

// IsAnon reports whether mmap with these flags makes private anonymous memory.
// Private mappings of /dev/zero and huge pages are not: /proc gives them an inode.
func IsAnon(flags uint32) bool {
	const droppable = 0x8 // MAP_DROPPABLE, 6.11
	t := flags & unix.MAP_TYPE
	return flags&unix.MAP_ANONYMOUS != 0 && flags&unix.MAP_HUGETLB == 0 && (t == unix.MAP_PRIVATE || t == droppable)
}

func (s *Space) mmap(ev *Event) {
	n := s.pages(ev.Len)
	a := Area{Range: Range{uint64(ev.Ret), uint64(ev.Ret) + n}, Prot: Prot(ev.Prot) & protMask, Kind: Opaque}
	switch {
	case IsAnon(ev.Flags):
		a.Kind, a.Owner = Anon, ev.owner(n)
	case ev.Flags&unix.MAP_HUGETLB != 0 && ev.Flags&unix.MAP_ANONYMOUS != 0:
		huge := s.HugePage
		if shift := ev.Flags >> unix.MAP_HUGE_SHIFT & 0x3f; shift != 0 {
			huge = 1 << shift
		}
		a.End = a.Start + (ev.Len+huge-1)&^(huge-1)
	}
	s.release(a.Range)
	s.acquire(a)
}

func (s *Space) brk(ev *Event) {
	before, after := s.pages(ev.Addr), s.pages(uint64(ev.Ret))
	switch {
	case after < before:
		s.release(Range{after, before})
	case after > before:
		r := Range{before, after}
		s.release(r)
		s.acquire(Area{r, ev.owner(r.Len()), ProtRead | ProtWrite, Heap})
	}
}

// mprotect changes the protection of the areas in r. Memory that was PROT_NONE
// and is not any more has a new owner: the caller committed it.
func (s *Space) mprotect(ev *Event, r Range) {
	prot := Prot(ev.Prot) & protMask
	if ev.Prot&(unix.PROT_GROWSDOWN|unix.PROT_GROWSUP) != 0 {
		s.delta.Dirty = append(s.delta.Dirty, whole) // the kernel extended the range to the area's edge
	}
	var committed uint64
	for a := range s.Over(r) {
		if a.Kind.Exported() && a.Prot == 0 {
			committed += a.Intersect(r).Len()
		}
	}
	if prot == 0 {
		committed = 0
	}
	for _, a := range append([]Area(nil), s.remove(r)...) {
		was := a
		a.Prot = prot
		switch {
		case !a.Kind.Exported() || was.Prot == prot:
		case was.Prot == 0:
			s.delta.Released = append(s.delta.Released, was)
			a.Owner = ev.owner(committed)
			s.delta.Acquired = append(s.delta.Acquired, a)
		case prot == 0:
			s.delta.Decommitted = append(s.delta.Decommitted, was)
		}
		s.insert(a)
	}
}

func (s *Space) shmat(ev *Event) {
	n := s.pages(ev.Len)
	remap := ev.Flags&0x4000 != 0 // SHM_REMAP
	if n == 0 {
		// The segment's length is unknown: without SHM_REMAP it lies in a
		// hole, and one page tells a later call that it is not one.
		n = s.PageSize
		if remap {
			s.delta.Dirty = append(s.delta.Dirty, whole)
		}
	}
	r := Range{uint64(ev.Ret), uint64(ev.Ret) + n}
	s.release(r)
	s.insert(Area{r, ev.owner(n), ProtRead, Opaque})
}

// shmdt removes what is left of the segment that was attached at ev.Addr. A
// segment attached before the trace is not known: its row is, until cut.
func (s *Space) shmdt(ev *Event) {
	var seg Area
	for a := range s.Over(Range{ev.Addr, ev.Addr + 1}) {
		seg = a
	}
	if seg.Kind != Opaque {
		return
	}
	r := seg.Range
	if seg.Op == OpShmat {
		r = Range{ev.Addr, ev.Addr + max(seg.Acquired, s.PageSize)}
	}
	for _, a := range append([]Area(nil), s.remove(r)...) {
		if a.Owner != seg.Owner || a.Kind != Opaque {
			s.insert(a)
		}
	}
}

// failed handles the calls that change something although they fail.
func (s *Space) failed(ev *Event) {
	dirty := func(r Range) {
		for a := range s.Over(r) {
			if a.Kind.Exported() {
				s.delta.Dirty = append(s.delta.Dirty, r)
				return
			}
		}
	}
	switch ev.Op {
	case OpMprotect, OpPkeyMprotect:
		if ev.Addr%s.PageSize != 0 || ev.Len == 0 {
			return
		}
		r := Range{ev.Addr, ev.Addr + s.pages(ev.Len)}
		switch hole, found := s.firstHole(r); {
		case ev.Errno() == int64(unix.EINVAL):
		case ev.Errno() == int64(unix.ENOMEM) && found:
			s.mprotect(ev, Range{r.Start, hole}) // applied up to the first hole
		default:
			dirty(r)
		}
	case OpMmap:
		if ev.Flags&unix.MAP_FIXED == 0 || ev.Addr%s.PageSize != 0 {
			return
		}
		r := Range{ev.Addr, ev.Addr + s.pages(ev.Len)}
		anon := ev.Flags&unix.MAP_ANONYMOUS != 0
		switch ev.Errno() {
		case int64(unix.EBADF), int64(unix.EEXIST), int64(unix.ENODEV):
		case int64(unix.ENOMEM):
			if !anon || s.FixedBreaks {
				dirty(r)
			}
		default: // a driver's own error comes after the old mapping may have gone
			if !anon && r.Len() != 0 && r.Start < r.End && ev.Errno() != int64(unix.EACCES) {
				dirty(r)
			}
		}
	case OpMremap:
		if ev.Flags&unix.MREMAP_FIXED == 0 {
			return
		}
		src := Range{ev.Addr, ev.Addr + s.pages(ev.Len)}
		if s.FixedBreaks || s.several(src) {
			dirty(src)
			if ev.Target != 0 {
				dirty(Range{ev.Target, ev.Target + s.pages(ev.NewLen)})
			}
		}
	}
}

// firstHole is the lowest address in r that no area covers.
func (s *Space) firstHole(r Range) (addr uint64, found bool) {
	addr = r.Start
	for a := range s.Over(r) {
		if a.Start > addr {
			return addr, true
		}
		addr = a.End
	}
	return addr, addr < r.End
}

// several reports whether r holds more than one kind of area: since 6.17 one
// mremap moves several, and may stop half-way at one that cannot be moved.
func (s *Space) several(r Range) bool {
	n, opaque := 0, false
	for a := range s.Over(r) {
		n++
		opaque = opaque || a.Kind == Opaque
	}
	return n > 1 && opaque
}
