package leak

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"vmaleak/vma"
)

// Blocks is the blocks of malloc of at least MinSize bytes. They lie inside
// mappings, and are part of no other sum:
// Given - Freed = Live, in bytes and count, over all and in every account; the accounts add up to the whole but
// for Waiting.
type Blocks struct {
	MinSize      uint64     `json:"min_size"`
	Since        *time.Time `json:"since"` // older blocks are not known
	Live         uint64     `json:"live"`
	Bytes        uint64     `json:"bytes"` // of Live, as was asked for
	Given        uint64     `json:"given"`
	GivenBytes   uint64     `json:"given_bytes"`
	Freed        uint64     `json:"freed"`
	FreedBytes   uint64     `json:"freed_bytes"`
	FreedByOther uint64     `json:"freed_by_other"` // of Freed: by another thread than the one that asked
	Failed       uint64     `json:"failed"`         // calls that were refused
	Waiting      uint64     `json:"waiting"`        // of Given: whose stack is not known yet
	Inherited    *BlockPart `json:"inherited"`      // the parent's at the fork, about: which of them were freed since is not known
	Growth       Growth     `json:"growth"`
	Steps        *Steps     `json:"steps"`

	Exact     bool    `json:"exact"` // every call since Since was seen
	Because   *string `json:"inexact_because"`
	Dropped   uint64  `json:"dropped"`   // records that found no room: made good from the kernel half's table
	Untracked uint64  `json:"untracked"` // blocks for which there was no room
	Missed    uint64  `json:"missed"`    // calls whose return was not seen
	Healed    uint64  `json:"healed"`    // blocks that were found, or found missing, after records were dropped

	Cost     BlockCost      `json:"cost"`
	Accounts []BlockAccount `json:"accounts"` // most bytes first; of a brief snapshot the first only
}

// BlockPart is some blocks.
type BlockPart struct {
	Count uint64 `json:"count"`
	Bytes uint64 `json:"bytes"`
}

// BlockCost is what following costs the target.
type BlockCost struct {
	Calls     uint64 `json:"calls"`      // of any size, each of which stops at a probe
	CallNS    *int64 `json:"call_ns"`    // of one below MinSize, measured on this machine as the trace began
	TrackedNS *int64 `json:"tracked_ns"` // of one that is followed
}

// BlockAccount is the blocks that one thread asked for with one stack in calls of one size.
type BlockAccount struct {
	TID        *int       `json:"tid"` // nil: of several threads
	StartTicks *uint64    `json:"start_ticks"`
	Thread     *int       `json:"thread"` // index into Entry.Threads, nil if it is not there
	Name       *string    `json:"name"`
	Pool       *string    `json:"pool"`
	Stack      *string    `json:"stack"`
	Size       *uint64    `json:"size"` // nil: of several sizes
	Live       uint64     `json:"live"`
	Bytes      uint64     `json:"bytes"`
	Given      uint64     `json:"given"`
	GivenBytes uint64     `json:"given_bytes"`
	Freed      uint64     `json:"freed"`
	FreedBytes uint64     `json:"freed_bytes"`
	FirstAt    *time.Time `json:"first_at"`
	LastAt     *time.Time `json:"last_at"`
	Growth     Growth     `json:"growth"`

	number uint32 // of Stack
}

// BlockFacts is what the edge knows of the blocks of a space.
type BlockFacts struct {
	MinSize                    uint64
	Since                      time.Time
	Dropped, Untracked, Missed uint64
	Cost                       BlockCost
	Because                    string // why blocks are not followed, "" if they are
}

// briefAccounts is how many accounts of blocks a brief snapshot lists.
const briefAccounts = 64

// blocks makes Entry.Blocks, nil where no blocks are followed.
func (b *builder) blocks(f *BlockFacts) {
	k := b.s.blocks
	if f == nil {
		return
	}
	if k == nil {
		k = &blocks{}
	}
	since := max(f.Since.UnixNano(), 0)
	e := &Blocks{MinSize: f.MinSize, Since: b.date(f.Since), Live: k.all.count, Bytes: k.all.bytes,
		Given: k.all.given, GivenBytes: k.all.givenBytes, Freed: k.all.freed, FreedBytes: k.all.freedBytes,
		FreedByOther: k.all.byOthers, Failed: k.failed, Waiting: uint64(k.waiting), Dropped: f.Dropped, Untracked: f.Untracked,
		Missed: f.Missed, Healed: k.healed, Cost: f.Cost, Accounts: []BlockAccount{}}
	if n := k.inherited; n.count > 0 {
		e.Inherited = &BlockPart{n.count, n.bytes}
	}
	e.Because = text(f.inexact())
	e.Exact = e.Because == nil
	warmup := b.s.ledger.opt.Warmup
	e.Growth, e.Steps = growth(sum(&k.all.track), since, b.at.UnixNano(), warmup)
	for key, a := range k.accounts {
		e.Accounts = append(e.Accounts, b.blockAccount(key, a, since))
	}
	slices.SortFunc(e.Accounts, func(x, y BlockAccount) int {
		return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), cmp.Compare(y.GivenBytes, x.GivenBytes), cmp.Compare(number(x.TID), number(y.TID)),
			cmp.Compare(x.number, y.number), cmp.Compare(of(x.Size), of(y.Size)), cmp.Compare(of(x.StartTicks), of(y.StartTicks)))
	})
	if b.h.Brief {
		e.Accounts = e.Accounts[:min(len(e.Accounts), briefAccounts)]
	}
	for i := range e.Accounts { // only what is listed is named
		e.Accounts[i].Stack = b.stacks.id(e.Accounts[i].number)
	}
	b.e.Blocks = e
}

func (b *builder) blockAccount(k blockKey, a *blockSum, since int64) BlockAccount {
	d := BlockAccount{number: k.stack, Live: a.count, Bytes: a.bytes, Given: a.given, GivenBytes: a.givenBytes, Freed: a.freed, FreedBytes: a.freedBytes,
		FirstAt: b.unix(a.first), LastAt: b.unix(a.last)}
	if k.thread != (vma.Thread{}) {
		d.TID, d.StartTicks = positive(int(k.thread.TID)), &k.thread.Start
		if i, ok := slices.BinarySearchFunc(b.ids, k.thread, func(x, y vma.Thread) int {
			return cmp.Or(cmp.Compare(x.TID, y.TID), cmp.Compare(x.Start, y.Start))
		}); ok {
			d.Thread = &i
		}
		if f := b.facts[k.thread]; f != nil {
			d.Pool, d.Name = text(f.group()), valid(f.Name)
			if d.Name == nil {
				d.Name = text(f.Comm)
			}
		}
	}
	if st := b.stacks.of(k.stack); st.Stack != nil && st.Task != nil {
		d.Pool = valid(st.Task)
	}
	if a.pool = key(d.Pool); k.size != 0 {
		d.Size = &k.size
	}
	if a.count > 0 {
		d.Growth, _ = growth(sum(&a.track), since, b.at.UnixNano(), b.s.ledger.opt.Warmup)
	}
	return d
}

// inexact says why the books of blocks are not exact, "" if they are.
func (f *BlockFacts) inexact() string {
	switch {
	case f.Because != "":
		return f.Because
	case f.Untracked > 0:
		return fmt.Sprintf("%d blocks found no room in the table: follow larger ones only", f.Untracked)
	case f.Missed > 0:
		return fmt.Sprintf("the return of %d calls of malloc was not seen", f.Missed)
	case f.Dropped > 0:
		return fmt.Sprintf("%d records were dropped: which blocks live is known, but not all that came and went", f.Dropped)
	}
	return ""
}

// of is a number, 0 for none.
func of(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

// check returns an error if the books of blocks break one of their rules.
func (k *Blocks) check(known func(id *string) bool, brief bool) error {
	if k.Accounts == nil {
		return fmt.Errorf("accounts are null")
	}
	if k.Given-k.Freed != k.Live || k.GivenBytes-k.FreedBytes != k.Bytes || k.Live == 0 && k.Bytes != 0 {
		return fmt.Errorf("%d blocks of %d bytes live, given %d of %d, freed %d of %d", k.Live, k.Bytes, k.Given, k.GivenBytes, k.Freed, k.FreedBytes)
	}
	var live, bytes, given uint64
	for i := range k.Accounts {
		a := &k.Accounts[i]
		if a.Given-a.Freed != a.Live || a.GivenBytes-a.FreedBytes != a.Bytes {
			return fmt.Errorf("account %d: %d of %d bytes live, given %d, freed %d", i, a.Live, a.Bytes, a.Given, a.Freed)
		}
		if !known(a.Stack) {
			return fmt.Errorf("account %d: no stack %q", i, *a.Stack)
		}
		live, bytes, given = live+a.Live, bytes+a.Bytes, given+a.Given
	}
	if live > k.Live || bytes > k.Bytes || given > k.Given {
		return fmt.Errorf("accounts hold %d of %d bytes, the whole %d of %d", live, bytes, k.Live, k.Bytes)
	}
	if !brief && given+k.Waiting != k.Given {
		return fmt.Errorf("accounts were given %d blocks, %d wait, the whole %d", given, k.Waiting, k.Given)
	}
	return nil
}
