package vma

import "golang.org/x/sys/unix"

// Apply changes s as ev changed the kernel's address space, and returns what
// that did to anonymous memory. Events must come in the order in which the
// kernel made the changes. Fork, exec and exit events change no area: their
// meaning is the caller's (Fork, or a new Space).
func (s *Space) Apply(ev *Event) *Delta {
	s.begin(ev)
	if ev.Failed() {
		s.failed(ev)
		return &s.delta
	}
	switch ev.Op {
	case OpMmap:
		s.mmap(ev)
	case OpMunmap:
		s.release(s.span(ev.Addr, ev.Len))
	case OpMremap:
		s.mremap(ev)
	case OpBrk:
		s.brk(ev)
	case OpMprotect, OpPkeyMprotect:
		s.mprotect(ev, s.span(ev.Addr, ev.Len))
	case OpShmat:
		s.shmat(ev)
	case OpShmdt:
		s.shmdt(ev)
	case OpRemapFilePages:
		s.remapFilePages(s.span(ev.Addr, ev.Len))
	}
	return &s.delta
}

// begin empties the delta and finds the number of ev's call.
func (s *Space) begin(ev *Event) {
	s.delta.reset()
	if s.call = ev.Seq; s.call == 0 {
		s.calls++
		s.call = s.calls
	}
}

// owner is the Owner of what ev acquires.
func (s *Space) owner(ev *Event, bytes uint64) Owner {
	o := Owner{Call: s.call, At: ev.Time, Acquired: bytes, Thread: ev.Thread, Stack: ev.Stack,
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

// replace releases what lies where a goes, and acquires a.
func (s *Space) replace(a Area) {
	if a.Empty() {
		return
	}
	pieces, p := s.removeAt(a.Range)
	for _, b := range pieces {
		if b.Kind.Exported() {
			s.delta.Released = append(s.delta.Released, b)
		}
	}
	if a.Kind.Exported() {
		s.delta.Acquired = append(s.delta.Acquired, a)
	}
	s.insertAt(p, a)
}

// IsAnon reports whether mmap with these flags makes private anonymous memory.
// Private mappings of /dev/zero and huge pages are not: /proc gives them an inode.
func IsAnon(flags uint32) bool {
	const droppable = 0x8 // MAP_DROPPABLE, 6.11
	t := flags & unix.MAP_TYPE
	return flags&unix.MAP_ANONYMOUS != 0 && flags&unix.MAP_HUGETLB == 0 && (t == unix.MAP_PRIVATE || t == droppable)
}

func (s *Space) mmap(ev *Event) {
	a := Area{Range: s.mmapRange(ev, uint64(ev.Ret)), Prot: Prot(ev.Prot) & protMask, Kind: Opaque}
	switch {
	case IsAnon(ev.Flags):
		a.Kind, a.Owner = Anon, s.owner(ev, a.Len())
	case ev.Flags&unix.MAP_HUGETLB != 0:
		a.Owner = Owner{Op: OpMmap, Flags: ev.Flags} // mremap must know
	}
	s.replace(a)
}

// mmapRange is what an mmap covers at addr.
func (s *Space) mmapRange(ev *Event, addr uint64) Range {
	n := ev.Len
	if ev.Flags&unix.MAP_HUGETLB != 0 && ev.Flags&unix.MAP_ANONYMOUS != 0 {
		huge := s.hugePage(ev.Flags)
		n = (n + huge - 1) &^ (huge - 1)
	}
	return s.span(addr, n)
}

func (s *Space) hugePage(flags uint32) uint64 {
	if shift := flags >> unix.MAP_HUGE_SHIFT & 0x3f; shift != 0 {
		return 1 << shift
	}
	return s.HugePage
}

func (s *Space) brk(ev *Event) {
	before, after := s.pages(ev.Addr), s.pages(uint64(ev.Ret))
	switch {
	case after < before:
		s.release(Range{after, before})
	case after > before:
		s.replace(Area{Range{before, after}, s.owner(ev, after-before), ProtRead | ProtWrite, Heap})
	}
}

const protGrows = unix.PROT_GROWSDOWN | unix.PROT_GROWSUP

// mprotect changes the protection of the areas in r. Memory that was PROT_NONE
// and is not any more has a new owner: the caller committed it.
func (s *Space) mprotect(ev *Event, r Range) {
	prot := Prot(ev.Prot) & protMask
	if ev.Prot&protGrows != 0 {
		s.delta.Dirty = append(s.delta.Dirty, whole) // the kernel extended the range to the area's edge
	}
	pieces := s.remove(r)
	var committed uint64
	for i := range pieces {
		if a := &pieces[i]; a.Kind.Exported() && a.Prot == 0 && prot != 0 {
			committed += a.Len()
		}
	}
	for _, a := range pieces { // insert leaves the scratch alone
		s.protect(ev, a, prot, committed)
	}
}

// protect inserts a, a piece of a row cut out, with another protection.
func (s *Space) protect(ev *Event, a Area, prot Prot, committed uint64) {
	switch {
	case !a.Kind.Exported() || a.Prot == prot:
		a.Prot = prot
	case a.Prot == 0:
		s.delta.Released = append(s.delta.Released, a)
		a.Prot, a.Owner = prot, s.owner(ev, committed)
		s.delta.Acquired = append(s.delta.Acquired, a)
	case prot == 0:
		s.delta.Decommitted = append(s.delta.Decommitted, a)
		a.Prot = 0
	default:
		a.Prot = prot
	}
	s.insert(a)
}
