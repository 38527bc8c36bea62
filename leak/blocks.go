package leak

import "vmaleak/vma"

// Blocks of malloc lie inside mappings: they have books of their own, which
// add to no total. They are told apart by id, since addresses are used again.

// Block is what one call of malloc's family did.
type Block struct {
	ID        uint64    // of the block that the call gave, unique in its space; 0 if none is followed
	Gone      [2]uint64 // ids of blocks that are no more, 0 = none
	Addr      uint64
	Size      uint64 // that was asked for
	At        int64  // Unix time in nanoseconds
	Thread    vma.Thread
	Stack     uint32 // a ticket, a number of a stack, or 0
	Failed    bool   // the call was refused
	Untracked bool   // there is a block, but no room to follow it
}

// blockKey tells accounts of blocks apart. size 0 is mixed, where there were too many.
type blockKey struct {
	thread vma.Thread
	stack  uint32
	size   uint64
}

// blockSum is blocks added up.
type blockSum struct {
	count, bytes      uint64 // that live
	given, givenBytes uint64
	freed, freedBytes uint64
	byOthers          uint64 // of freed: by another thread than the one that asked for them
	first, last       int64  // when the first and the last block came
	track             track
	pool              string // as of the last snapshot
}

func (a *blockSum) give(size uint64, at int64) {
	a.count++
	a.bytes += size
	a.given++
	a.givenBytes += size
	if a.first == 0 || at < a.first {
		a.first = at
	}
	a.last = max(a.last, at)
}

func (a *blockSum) free(size uint64, byOther bool) {
	a.count--
	a.bytes -= size
	a.freed++
	a.freedBytes += size
	if byOther {
		a.byOthers++
	}
}

// fold adds o, of which nothing lives.
func (a *blockSum) fold(o *blockSum) {
	a.given += o.given
	a.givenBytes += o.givenBytes
	a.freed += o.freed
	a.freedBytes += o.freedBytes
	a.byOthers += o.byOthers
	a.last = max(a.last, o.last)
	if a.first == 0 || o.first < a.first {
		a.first = o.first
	}
}

// block is one that lives. Until its stack is known it is in no account.
type block struct {
	addr    uint64
	size    uint64
	at      int64
	thread  vma.Thread
	account *blockSum
	stack   uint32 // of account
	ticket  uint32
	mixed   bool // account has not its size, or not even its thread
	placed  bool // own is known
	own     bool // it is a mapping of its own
}

// blocks is the books of blocks of one space.
type blocks struct {
	live      map[uint64]*block
	accounts  map[blockKey]*blockSum
	all       blockSum
	waiting   int // blocks in no account yet
	failed    uint64
	untracked uint64
	healed    uint64 // found or missing after records were lost
	tracedAt  int64
	foldedAt  uint64 // blocks freed until then
	inherited struct{ count, bytes uint64 }
}

const (
	maxBlockAccounts = 1 << 12
	maxWaiting       = 1 << 15
)

// waiting is a block whose stack is not known yet.
type waiting struct {
	s       *Space
	b       *block
	gone    bool // it was freed meanwhile
	byOther bool
	at      int64 // the ledger's clock
}

// blockBooks is the books of blocks of s, made if there are none.
func (s *Space) blockBooks() *blocks {
	if s.blocks == nil {
		s.blocks = &blocks{live: map[uint64]*block{}, accounts: map[blockKey]*blockSum{}}
	}
	return s.blocks
}

// BookBlock books what one call of malloc's family did.
func (s *Space) BookBlock(b *Block) {
	if s.endedBy != "" {
		return
	}
	k := s.blockBooks()
	at := max(b.At, k.tracedAt)
	for _, id := range b.Gone {
		if id != 0 {
			k.gone(s, id, b.Thread, false)
		}
	}
	switch {
	case b.Failed:
		k.failed++
	case b.Untracked:
		k.untracked++
	case b.ID != 0:
		s.thread(b.Thread) // its pool is that of its blocks
		k.give(s, b)
	}
	k.mark(at)
}

// give books a new block, or the stack of one that was found meanwhile.
func (k *blocks) give(s *Space, b *Block) {
	l := s.ledger
	live := k.live[b.ID]
	if live == nil {
		live = &block{addr: b.Addr, size: b.Size, at: b.At, thread: b.Thread}
		k.live[b.ID] = live
		k.all.give(b.Size, b.At)
	} else if live.account == nil {
		return
	} else {
		k.unbook(live) // it was found in the kernel half's table, without a stack: now it is told of
	}
	stack := b.Stack
	if stack >= vma.Ticket {
		known, ok := l.known[stack]
		switch {
		case ok:
			stack = known.stack
			known.booked = true
			l.known[b.Stack] = known
		case k.waiting < maxWaiting:
			live.ticket = stack
			k.waiting++
			l.waiting[stack] = &waiting{s: s, b: live, at: l.clock}
			return
		default:
			stack = 0
			l.late++
		}
	}
	k.book(live, stack)
}

// book puts a block into its account.
func (k *blocks) book(b *block, stack uint32) {
	b.stack = stack
	b.account, b.mixed = k.account(blockKey{b.thread, stack, b.size})
	b.account.give(b.size, b.at)
	b.account.track.add(k.tracedAt, int64(b.account.bytes), b.account.count)
}

// account is the account of a key; where there is no room, that of its thread and stack, or of its thread, or of all: mixed.
func (k *blocks) account(key blockKey) (a *blockSum, mixed bool) {
	if a := k.accounts[key]; a != nil {
		return a, false
	}
	wanted := key
	if len(k.accounts) >= maxBlockAccounts && k.all.freed-k.foldedAt >= maxBlockAccounts/8 { // it looks at all
		k.foldedAt = k.all.freed
		k.fold(func(a *blockSum) bool { return a.count == 0 })
	}
	switch n := len(k.accounts); {
	case n >= 3*maxBlockAccounts:
		key = blockKey{}
	case n >= 2*maxBlockAccounts:
		key = blockKey{thread: key.thread}
	case n >= maxBlockAccounts:
		key.size = 0
	}
	if k.accounts[key] == nil {
		k.accounts[key] = &blockSum{}
	}
	return k.accounts[key], key != wanted
}

// fold puts accounts together, by thread, of which nothing lives.
func (k *blocks) fold(is func(*blockSum) bool) {
	for key, a := range k.accounts {
		into := blockKey{thread: key.thread}
		if key == into || !is(a) {
			continue
		}
		if k.accounts[into] == nil {
			k.accounts[into] = &blockSum{}
		}
		k.accounts[into].fold(a)
		delete(k.accounts, key)
	}
}

// gone books the end of a block. One that is not known was never told of, and never will be.
func (k *blocks) gone(s *Space, id uint64, by vma.Thread, healed bool) {
	b := k.live[id]
	if b == nil {
		return
	}
	delete(k.live, id)
	other := !healed && by != b.thread
	k.all.free(b.size, other)
	if b.account == nil {
		if w := s.ledger.waiting[b.ticket]; w != nil {
			w.gone, w.byOther = true, other
		}
		return
	}
	b.account.free(b.size, other)
	b.account.track.add(k.tracedAt, int64(b.account.bytes), b.account.count)
}

// mark adds what is held to the track of all blocks.
func (k *blocks) mark(at int64) {
	k.tracedAt = max(at, k.tracedAt)
	k.all.track.add(k.tracedAt, int64(k.all.bytes), k.all.count)
}

// resolveBlock books a block whose stack has come, and reports whether the ticket was a block's.
func (l *Ledger) resolveBlock(ticket, stack uint32) bool {
	w := l.waiting[ticket]
	if w == nil {
		return false
	}
	delete(l.waiting, ticket)
	k := w.s.blocks
	if k == nil {
		return true
	}
	k.waiting--
	w.b.ticket = 0
	k.book(w.b, stack)
	if w.gone {
		w.b.account.free(w.b.size, w.byOther)
		w.b.account.track.add(k.tracedAt, int64(w.b.account.bytes), w.b.account.count)
	}
	return true
}

// settleBlocks gives up the stacks that do not come.
func (l *Ledger) settleBlocks() {
	for ticket, w := range l.waiting {
		if l.clock-w.at > ticketAge || w.s.blocks == nil {
			l.resolveBlock(ticket, 0)
			l.late++
		}
	}
}

// inheritBlocks notes the blocks of its parent that a child has after a fork: which of them it frees is not known.
func (s *Space) inheritBlocks(l *Ledger) {
	for _, o := range l.live {
		if o.p.Space == s.p.Parent && o.blocks != nil && o != s {
			k := s.blockBooks()
			k.inherited.count = uint64(len(o.blocks.live)) + o.blocks.inherited.count
			k.inherited.bytes = o.blocks.all.bytes + o.blocks.inherited.bytes
		}
	}
}
