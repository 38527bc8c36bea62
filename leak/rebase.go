package leak

import "vmaleak/vma"

// Rebase makes the running sums and the accounts equal to what the vma.Space
// holds: for a caller that replaced owners without booking the Delta. Bytes
// that an account lacks count as acquired, bytes that it has too many as
// released by nobody. It returns how many bytes were wrong.
func (s *Space) Rebase() (wrong uint64) {
	if s.vm == nil {
		return 0
	}
	for t := range s.allBooks() {
		t.count = tally{}
	}
	s.mapped, s.committed, s.outstanding, s.committedO = 0, 0, 0, 0
	s.rows(func(a *vma.Area, _ bool) bool {
		n, c := a.Len(), a.Committed()
		s.tickets = s.tickets || a.Stack >= vma.Ticket
		s.mapped += int64(n)
		s.committed += int64(c)
		if owned(&a.Owner) {
			t := s.books(&a.Owner)
			t.count.bytes += n
			t.count.committed += c
			s.outstanding += int64(n)
			s.committedO += int64(c)
		}
		return true
	})
	for t := range s.allBooks() {
		wrong += t.correct(t.count.bytes)
		if t.committed != int64(t.count.committed) {
			t.committed = int64(t.count.committed)
			s.touch(t)
		}
	}
	if wrong != 0 {
		s.rebaseAccounts()
	}
	s.mark(s.lastAt)
	return wrong
}

// rebaseAccounts makes every account equal to its rows.
func (s *Space) rebaseAccounts() {
	for t := range s.allBooks() {
		for _, acc := range t.accounts {
			acc.left = 0
		}
	}
	s.rows(func(a *vma.Area, _ bool) bool {
		if owned(&a.Owner) {
			s.accountFor(s.books(&a.Owner), s.key(&a.Owner)).left += a.Len()
		}
		return true
	})
	for t := range s.allBooks() {
		for _, acc := range t.accounts {
			acc.correct(acc.left)
		}
		t.recount()
		s.touch(t)
	}
}

// rows yields every exported area of the space, then the floating ones. The
// area holds until yield returns.
func (s *Space) rows(yield func(a *vma.Area, floating bool) bool) {
	a := new(vma.Area) // one for all: it escapes
	for *a = range s.vm.Exported() {
		if !yield(a, false) {
			return
		}
	}
	for i := range s.floats {
		*a = s.floats[i].area()
		if !yield(a, true) {
			return
		}
	}
}

// correct makes t's outstanding bytes want, and returns how many were wrong.
func (t *thread) correct(want uint64) uint64 {
	switch have := t.outstanding(); {
	case have < want:
		t.acquired += want - have
		return want - have
	case have > want:
		t.released += have - want
		return have - want
	}
	return 0
}

// correct makes a's outstanding bytes want.
func (a *account) correct(want uint64) {
	switch have := a.outstanding(); {
	case have < want:
		a.acquired += want - have
	case have > want:
		a.release(have-want, nil)
	}
}

// recount makes t's sums those of its accounts.
func (t *thread) recount() {
	t.acquired, t.released = 0, 0
	for _, a := range t.accounts {
		t.acquired += a.acquired
		t.released += a.released
	}
}

// preExisting yields the length of every committed row from before the trace.
func (b *builder) preExisting(yield func(length uint64)) {
	b.s.rows(func(a *vma.Area, _ bool) bool {
		if a.Origin == vma.PreExisting && a.Prot != 0 {
			yield(a.Len())
		}
		return true
	})
}
