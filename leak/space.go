package leak

import (
	"time"

	"vmaleak/vma"
)

// Space is the books of one address space. The goroutine that owns the Ledger
// owns it.
type Space struct {
	ledger    *Ledger
	p         Process
	vm        *vma.Space
	openedAt  time.Time
	lastAt    int64 // the latest time booked
	threads   map[vma.Thread]*thread
	lastT     *thread
	touched   []*thread // scratch of Book
	nAccounts int
	full      bool // no room for accounts until the next snapshot
	tickets   bool // rows may hold tickets
	gone      ThreadsGone
	poolsGone map[string]*track // what the pools' folded threads held
	floats    []float

	mapped, committed       int64 // running sums over vm and floats
	outstanding, committedO int64 // of what is outstanding
	all                     track
	series                  []tickPoint
	resident                *uint64               // last known
	blocks                  *blocks               // of malloc, nil: none were told of
	keeps                   map[string]*retention // by category of malloc

	groups     map[kind]*group
	turnover   map[uint8]*turnover // by class of call
	sampledAt  int64               // when the groups were last looked at
	sampleNext int64               // when to look again
	sampleGap  int64
	booked     int64             // the time of the last event
	eye        *builder          // for looking between snapshots
	free       map[string]*track // bytes that malloc holds free, by category
	limits     map[string]*track

	endedBy string
	endedAt time.Time
	entry   *Entry // of an ended space, once made
}

// float is a row whose address is unknown.
type float struct {
	vma.Owner
	length uint64
	prot   vma.Prot
}

// Process is what is known of the process, for the caller to keep up to date.
func (s *Space) Process() *Process { return &s.p }

// Ended reports whether End was called.
func (s *Space) Ended() bool { return s.endedBy != "" }

// owned reports whether a thread's account holds a.
func owned(a *vma.Owner) bool { return a.Origin == vma.Traced || a.Origin == vma.Inferred }

// Book accounts what one event, already applied to the vma.Space, did: d is
// what Apply, Claim or Reconcile returned. With ev.Op == 0 nobody did it: a
// seed, or healing after a loss.
func (s *Space) Book(ev *vma.Event, d *vma.Delta) {
	if s.endedBy != "" {
		return
	}
	var who *thread
	for i := range d.Released {
		a := &d.Released[i]
		n := a.Len()
		s.mapped -= int64(n)
		s.committed -= int64(a.Committed())
		if !owned(&a.Owner) {
			s.replaced(ev, a)
			continue
		}
		if who == nil && ev.Op != 0 {
			who = s.thread(ev.Thread)
		}
		if who != nil {
			who.freed += n
		}
		t := s.books(&a.Owner)
		t.release(s, a, who)
		s.outstanding -= int64(n)
		s.committedO -= int64(a.Committed())
		s.touch(t)
	}
	for i := range d.Decommitted {
		a := &d.Decommitted[i]
		s.committed -= int64(a.Len())
		if owned(&a.Owner) {
			t := s.books(&a.Owner)
			s.decommit(t, a)
			s.committedO -= int64(a.Len())
			s.touch(t)
		} else {
			s.replaced(ev, a)
		}
	}
	for i := range d.Acquired {
		a := &d.Acquired[i]
		s.mapped += int64(a.Len())
		s.committed += int64(a.Committed())
		if !owned(&a.Owner) {
			continue
		}
		t := s.books(&a.Owner)
		t.acquire(s, a, i == 0)
		s.outstanding += int64(a.Len())
		s.committedO += int64(a.Committed())
		s.touch(t)
	}
	s.mark(ev.Time)
	s.watch(ev.Time, d)
}

// Float books length bytes that ev acquired at an unknown address. Nothing
// can release them.
func (s *Space) Float(ev *vma.Event, length uint64) {
	if s.endedBy != "" || length == 0 {
		return
	}
	f := float{length: length, prot: vma.Prot(ev.Prot & 7), Owner: vma.Owner{Call: ev.Seq, At: ev.Time, Acquired: length,
		Thread: ev.Thread, Stack: ev.Stack, Flags: ev.Flags, Calls: 1, Op: ev.Op, Origin: vma.Traced}}
	s.floats = append(s.floats, f)
	a := f.area()
	t := s.books(&a.Owner)
	t.acquire(s, &a, true)
	s.mapped += int64(length)
	s.outstanding += int64(length)
	s.committed += int64(a.Committed())
	s.committedO += int64(a.Committed())
	s.touch(t)
	s.mark(ev.Time)
	s.watch(ev.Time, &vma.Delta{Acquired: []vma.Area{a}})
}

// area is f as an area that begins at 0.
func (f *float) area() vma.Area {
	return vma.Area{Range: vma.Range{End: f.length}, Owner: f.Owner, Prot: f.prot, Kind: vma.Anon}
}

func (s *Space) touch(t *thread) {
	if !t.touched {
		t.touched = true
		s.touched = append(s.touched, t)
	}
}

// mark adds what the touched threads hold now to their tracks.
func (s *Space) mark(at int64) {
	if at > s.lastAt {
		s.lastAt = at
	}
	if len(s.touched) == 0 {
		return
	}
	for _, t := range s.touched {
		t.touched = false
		t.track.add(s.lastAt, t.committed, t.outstanding())
	}
	s.touched = s.touched[:0]
	s.all.add(s.lastAt, s.committedO, uint64(s.outstanding))
}

// thread is the books of id, made if there are none.
func (s *Space) thread(id vma.Thread) *thread {
	if s.lastT != nil && s.lastT.id == id {
		return s.lastT
	}
	t := s.threads[id]
	if t == nil {
		if len(s.threads) >= s.ledger.opt.Threads {
			s.foldThreads(func(*thread) bool { return true })
		}
		t = &thread{id: id, group: nameless(id), accounts: map[sizeKey]*account{}}
		s.threads[id] = t
	}
	s.lastT = t
	return t
}

// accountFor is t's account for k, or the mixed one of its stack where there is
// no room, or at last the one without a stack.
func (s *Space) accountFor(t *thread, k sizeKey) *account {
	if a := t.account(k); a != nil {
		return a
	}
	if most := s.ledger.opt.Accounts; s.nAccounts >= most && k != (sizeKey{}) {
		if !s.full {
			s.foldAccounts(false)
			if s.nAccounts > most*7/8 {
				s.foldAccounts(true)
			}
			s.full = s.nAccounts > most*7/8
		}
		switch {
		case s.full && k.size != 0:
			return s.accountFor(t, sizeKey{k.stack, 0})
		case s.nAccounts >= 2*most:
			return s.accountFor(t, sizeKey{})
		}
	}
	a := &account{}
	t.accounts[k] = a
	t.last, t.lastKey = a, k
	s.nAccounts++
	return a
}

func (s *Space) foldAccounts(stacks bool) {
	s.nAccounts = 0
	for t := range s.allBooks() {
		s.nAccounts += t.foldAccounts(stacks)
	}
}

// foldThreads folds the threads that own nothing and that gone agrees to.
func (s *Space) foldThreads(gone func(*thread) bool) {
	for id, t := range s.threads {
		if t.busy() || !gone(t) {
			continue
		}
		delete(s.threads, id)
		s.gone.Count++
		for c := range t.all() {
			s.nAccounts -= len(c.accounts)
			s.gone.Acquired += c.acquired
			s.gone.Released += c.released
			s.foldTrack(c)
		}
		*t = thread{id: t.id, gone: true} // releasers' lists may still name it
	}
	s.lastT = nil
}

// busy reports whether t or a task of it owns anything.
func (t *thread) busy() bool {
	for c := range t.all() {
		if c.outstanding() != 0 || c.touched {
			return true
		}
	}
	return false
}

// foldTrack keeps what a folded thread held once as the past of its pool: a
// pool of short-lived threads must not seem to have grown.
func (s *Space) foldTrack(t *thread) {
	const maxPools = 512
	if t.pool == "" || len(t.track.cells) == 0 {
		return
	}
	past := s.poolsGone[t.pool]
	if past == nil {
		if len(s.poolsGone) >= maxPools {
			return
		}
		past = &track{}
		s.poolsGone[t.pool] = past
	}
	past.merge(&t.track)
}

// End freezes the space: its state is kept as it is now, and later events
// change nothing. by is one of Ended*. The caller may drop the vma.Space
// afterwards. The facts for its entry are asked for by the next Snapshot, once.
func (s *Space) End(at time.Time, by string) {
	if s.endedBy != "" {
		return
	}
	s.Rebase()
	s.tick(at)
	s.endedBy, s.endedAt = by, at
	s.vm = s.vm.Clone()
	s.ledger.retire(s)
}
