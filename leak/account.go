package leak

import (
	"slices"

	"vmaleak/vma"
)

// sizeKey tells the accounts of one thread apart. size 0 is mixed: calls of
// brk and mprotect, whose rows may merge, and sizes that were folded.
type sizeKey struct {
	stack uint32
	size  uint64
}

// keyOf is the account that the bytes of a belong to.
func keyOf(a *vma.Owner) sizeKey {
	if a.Op == vma.OpBrk || a.Op == vma.OpMprotect {
		return sizeKey{a.Stack, 0}
	}
	return sizeKey{a.Stack, a.Acquired}
}

// account is the bytes acquired with one stack in calls of one size.
type account struct {
	acquired, released uint64
	calls              uint64
	by                 []share
	left               uint64   // scratch: calls with a byte left, or bytes of rows
	held, committed    uint64   // scratch of build: of the rows
	last               int64    // scratch of build: the latest call with a byte left
	memory             inMemory // scratch of build: of the rows
	category           *string  // scratch of build: of all rows; "" if they differ
}

// share is bytes released by one thread, nil for nobody known.
type share struct {
	t     *thread
	bytes uint64
}

// maxShares bounds the list of releasers of one account; the rest is nobody's.
const maxShares = 64

func (a *account) outstanding() uint64 { return a.acquired - a.released }

// release books n bytes of a as released by t.
func (a *account) release(n uint64, t *thread) {
	a.released += n
	for i := range a.by {
		if a.by[i].t == t {
			a.by[i].bytes += n
			return
		}
	}
	if len(a.by) >= maxShares-1 {
		t = nil
		for i := range a.by {
			if a.by[i].t == nil {
				a.by[i].bytes += n
				return
			}
		}
	}
	a.by = append(a.by, share{t, n})
}

// of says that a holds a row of that category.
func (a *account) of(category *string) {
	if a.category == nil {
		a.category = category
	} else if a.category != category {
		a.category = &mixed
	}
}

// add folds o into a.
func (a *account) add(o *account) {
	a.acquired += o.acquired
	a.calls += o.calls
	before := a.released
	for _, s := range o.by {
		a.release(s.bytes, s.t)
	}
	a.released = before + o.released
}

// holds reports whether o can be taken out of a.
func (a *account) holds(o *account) bool {
	return a.acquired >= o.acquired && a.released >= o.released && a.calls >= o.calls && a.outstanding() >= o.outstanding()
}

// sub takes o, which a must hold, out of a.
func (a *account) sub(o *account) {
	a.acquired -= o.acquired
	a.released -= o.released
	a.calls -= o.calls
	for _, s := range o.by {
		rest := a.unshare(s.bytes, func(t *thread) bool { return t == s.t })
		rest = a.unshare(rest, func(t *thread) bool { return t == nil }) // the list was full
		a.unshare(rest, func(*thread) bool { return true })
	}
	a.by = slices.DeleteFunc(a.by, func(s share) bool { return s.bytes == 0 })
}

// unshare takes up to n bytes from the shares of which is true, and returns what is missing.
func (a *account) unshare(n uint64, of func(t *thread) bool) uint64 {
	for i := range a.by {
		if s := &a.by[i]; n > 0 && of(s.t) {
			part := min(n, s.bytes)
			s.bytes -= part
			n -= part
		}
	}
	return n
}

// thread is the books of one thread of one space.
type thread struct {
	id                 vma.Thread
	acquired, released uint64
	freed              uint64
	committed          int64 // of what is outstanding
	track              track
	accounts           map[sizeKey]*account
	lastKey            sizeKey
	last               *account           // accounts[lastKey]
	carried            map[string]*thread // by task
	task               bool               // books of a task below a thread's
	pool               string             // last known
	group              string             // the pool that it counts to, as of the last snapshot
	gone               bool               // folded: of no space any more
	touched            bool               // in Space.touched

	count tally // scratch of Rebase and build
}

func (t *thread) outstanding() uint64 { return t.acquired - t.released }

// account is the account for k, made if made is true and there is none.
func (t *thread) account(k sizeKey) *account {
	if t.last != nil && t.lastKey == k {
		return t.last
	}
	a := t.accounts[k]
	if a != nil {
		t.last, t.lastKey = a, k
	}
	return a
}

// holder is the account that the bytes of k are in, nil if none is known.
func (t *thread) holder(k sizeKey) *account {
	for _, k := range [...]sizeKey{k, {k.stack, 0}, {}} {
		if a := t.account(k); a != nil {
			return a
		}
	}
	return nil
}

// acquire books a as acquired; newCall says that no other piece of the same
// call was booked.
func (t *thread) acquire(s *Space, a *vma.Area, newCall bool) {
	n := a.Len()
	t.acquired += n
	t.committed += int64(a.Committed())
	acc := s.accountFor(t, s.key(&a.Owner))
	acc.acquired += n
	if newCall {
		acc.calls++
	}
	if a.Stack >= vma.Ticket {
		s.ticketed(t, a, newCall)
	}
}

// release books a as released by who. Bytes that the account of a's size does
// not hold were folded into the mixed one.
func (t *thread) release(s *Space, a *vma.Area, who *thread) {
	n := a.Len()
	t.released += n
	t.committed -= int64(a.Committed())
	if a.Stack >= vma.Ticket {
		s.unticketed(a, who)
	}
	k := s.key(&a.Owner)
	if acc := t.account(k); acc != nil {
		part := min(n, acc.outstanding())
		if part > 0 {
			acc.release(part, who)
		}
		n -= part
	}
	if n == 0 {
		return
	}
	mixed := s.accountFor(t, sizeKey{k.stack, 0})
	part := min(n, mixed.outstanding())
	if part > 0 {
		mixed.release(part, who)
	}
	for _, acc := range t.accounts { // only where owners were replaced unbooked
		if n -= part; n == 0 {
			return
		}
		if part = min(n, acc.outstanding()); part > 0 {
			acc.release(part, who)
		}
	}
}

// foldAccounts folds the accounts that hold nothing into the mixed one of
// their stack, or whatever their stack into one, and returns how many are left.
func (t *thread) foldAccounts(stacks bool) int {
	t.last = nil
	for k, a := range t.accounts {
		into := sizeKey{k.stack, 0}
		if stacks {
			into = sizeKey{}
		}
		if k == into || a.outstanding() != 0 {
			continue
		}
		delete(t.accounts, k)
		mixed := t.accounts[into]
		if mixed == nil {
			mixed = &account{}
			t.accounts[into] = mixed
		}
		mixed.add(a)
	}
	return len(t.accounts)
}
