package leak

import (
	"time"

	"vmaleak/vma"
)

// A stack is known some time after its event was booked, or before it. Until
// then the bytes are booked with no stack, and in an account of the ticket's own
// besides: once the stack is known, they move by as much to its account. The
// rows take the number at the next snapshot.

// pending is what was booked with one ticket whose stack is not known.
type pending struct {
	s    *Space
	t    *thread
	size uint64
	own  account

	committed int64 // of what is outstanding
	at        int64 // the ledger's clock
}

// known is a ticket whose stack is known, and which rows may still hold.
type known struct {
	stack  uint32
	booked bool  // its bytes are in the books
	old    bool  // was there at the last settlement
	at     int64 // the ledger's clock
}

// tickets is the open ones of all spaces.
type tickets struct {
	pending map[uint32]*pending
	known   map[uint32]known
	waiting map[uint32]*waiting // of blocks
	clock   int64               // nanoseconds since the Unix epoch, of the latest Open, Tick or Snapshot
	late    uint64              // given up before their stack was known

	tasks map[uint32]string // of stacks, as Options.Stack told
}

const (
	maxPending = 1 << 15
	maxKnown   = 1 << 16 // more are settled at once
	ticketAge  = int64(time.Minute)
)

// Resolve says which stack a ticket stands for, by its number, 0 for none. The
// caller numbers the stacks of all spaces from 1, one stack by one number,
// which Options.Stack tells from now on. It may come
// before the event was booked, and after the End of its space until the next
// Snapshot. A ticket whose stack does not come within a minute or two has none.
func (l *Ledger) Resolve(ticket, stack uint32) {
	if ticket < vma.Ticket || stack >= vma.Ticket {
		return
	}
	if _, twice := l.known[ticket]; twice || l.resolveBlock(ticket, stack) {
		return
	}
	p := l.pending[ticket]
	delete(l.pending, ticket)
	if p != nil && stack != 0 && !p.move(stack) {
		stack = 0
		l.late++
	}
	l.known[ticket] = known{stack: stack, booked: p != nil, at: l.clock}
	if len(l.known) >= maxKnown {
		l.settle(true)
	}
}

// move takes the bytes of p from the account without a stack to stack's, and
// reports whether it could: not if the books were made anew since.
func (p *pending) move(stack uint32) bool {
	if p.t.gone || p.s.vm == nil {
		return true
	}
	for _, k := range [...]sizeKey{{0, p.size}, {}} {
		from := p.t.accounts[k]
		if from == nil || !from.holds(&p.own) {
			continue
		}
		if from.sub(&p.own); from.acquired == 0 {
			delete(p.t.accounts, k)
			p.t.last = nil
			p.s.nAccounts--
		}
		to := p.t.carry(p.s.ledger.taskOf(stack))
		p.s.accountFor(to, sizeKey{stack, p.size}).add(&p.own)
		if to != p.t {
			p.t.give(to, p)
		}
		return true
	}
	return false
}

// stackOf is the number of a stack, 0 while it is not known.
func (l *Ledger) stackOf(stack uint32) uint32 {
	if stack >= vma.Ticket {
		return l.known[stack].stack
	}
	return stack
}

// key is the account that the bytes of a belong to now.
func (s *Space) key(a *vma.Owner) sizeKey {
	k := keyOf(a)
	k.stack = s.ledger.stackOf(k.stack)
	return k
}

// ticketed remembers that t acquired a with a ticket.
func (s *Space) ticketed(t *thread, a *vma.Area, newCall bool) {
	l := s.ledger
	s.tickets = true
	if k, ok := l.known[a.Stack]; ok {
		if !k.booked {
			k.booked = true
			l.known[a.Stack] = k
		}
		return
	}
	p := l.pending[a.Stack]
	if p == nil {
		if len(l.pending) >= maxPending {
			l.late++
			l.known[a.Stack] = known{booked: true, at: l.clock}
			return
		}
		p = &pending{s: s, t: t, size: keyOf(&a.Owner).size, at: l.clock}
		l.pending[a.Stack] = p
	}
	p.own.acquired += a.Len()
	p.committed += int64(a.Committed())
	if newCall {
		p.own.calls++
	}
}

// unticketed remembers that a, acquired with a ticket, was released by who.
func (s *Space) unticketed(a *vma.Area, who *thread) {
	if p := s.ledger.pending[a.Stack]; p != nil && p.s == s {
		p.committed -= int64(a.Committed())
		if n := min(a.Len(), p.own.outstanding()); n > 0 {
			p.own.release(n, who)
		}
	}
}

// decommit takes a, which is PROT_NONE now, off what t has committed.
func (s *Space) decommit(t *thread, a *vma.Area) {
	t.committed -= int64(a.Len())
	if a.Stack >= vma.Ticket {
		if p := s.ledger.pending[a.Stack]; p != nil && p.s == s {
			p.committed -= int64(a.Len())
		}
	}
}

// settle gives up the tickets that are too old, puts numbers in the rows of all
// spaces, and forgets what no row holds any more. An early Resolve, whose event is
// not booked, is kept for some time; where there are too many, until the second time.
func (l *Ledger) settle(crowded bool) {
	l.settleBlocks()
	for ticket, p := range l.pending {
		if l.clock-p.at > ticketAge {
			delete(l.pending, ticket)
			l.late++
		}
	}
	for _, spaces := range [...][]*Space{l.live, l.ended} {
		for _, s := range spaces {
			s.restack()
		}
	}
	for ticket, k := range l.known {
		if k.booked || l.clock-k.at > ticketAge || crowded && k.old {
			delete(l.known, ticket)
		} else if !k.old {
			k.old = true
			l.known[ticket] = k
		}
	}
}

// restack puts numbers in the place of s's tickets, but for the pending.
func (s *Space) restack() {
	if !s.tickets || s.vm == nil {
		return
	}
	s.tickets = false
	number := func(ticket uint32) uint32 {
		if s.ledger.pending[ticket] != nil {
			s.tickets = true
			return ticket
		}
		return s.ledger.stackOf(ticket)
	}
	s.vm.Restack(number)
	for i := range s.floats {
		if f := &s.floats[i]; f.Stack >= vma.Ticket {
			f.Stack = number(f.Stack)
		}
	}
}

// pendingOf is how many tickets of s have no stack yet.
func (l *Ledger) pendingOf(s *Space) (n uint64) {
	for _, p := range l.pending {
		if p.s == s {
			n++
		}
	}
	if s.blocks != nil {
		n += uint64(s.blocks.waiting)
	}
	return n
}
