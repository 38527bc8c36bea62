package leak

import (
	"fmt"
	"testing"
	"time"

	"vmaleak/vma"
)

// mustBlocks is the books of blocks of the only space, of a document that keeps the rules.
func mustBlocks(t *testing.T, l *Ledger, at int64, f *BlockFacts) *Blocks {
	t.Helper()
	snap := l.Snapshot(time.Unix(0, at), Header{Source: SourceLive}, func(*Space) Facts { return Facts{Blocks: f} })
	if err := snap.CheckValid(); err != nil {
		t.Fatal(err)
	}
	return snap.Processes[0].Blocks
}

func TestBlocksAreBookedByIdAndStack(t *testing.T) {
	stack := &Stack{ID: "st1", Status: "complete", Frames: []Frame{}}
	l := New(Options{Stack: func(n uint32) *Stack {
		if n == 1 {
			return stack
		}
		return nil
	}})
	vm := vma.New(vma.Options{PageSize: 4096})
	s := l.Open(Process{PID: 1, Space: "1"}, vm, time.Unix(0, 1))
	a, c := vma.Thread{TID: 10, Start: 1}, vma.Thread{TID: 11, Start: 1}
	const early, late, never = vma.Ticket + 1, vma.Ticket + 2, vma.Ticket + 3
	l.Resolve(early, 1) // before its block
	for _, b := range []Block{
		{ID: 1, Size: 100, At: 10, Thread: a, Stack: early},
		{ID: 2, Size: 100, At: 11, Thread: a, Stack: late},
		{ID: 3, Size: 200, At: 12, Thread: a, Stack: never},
		{ID: 4, Size: 300, At: 13, Thread: a},
		{Gone: [2]uint64{4}, At: 14, Thread: c},                            // freed by another
		{ID: 5, Gone: [2]uint64{3}, Size: 250, At: 15, Thread: c},          // realloc, its stack not yet known
		{ID: 6, Gone: [2]uint64{0, 5}, Size: 260, At: 16, Thread: c},       // at the address of one whose end was not seen
		{Gone: [2]uint64{99}, At: 17, Thread: c},                           // never told of
		{Failed: true, Size: 1 << 40, At: 18, Thread: c},                   // refused
		{Untracked: true, Size: 500, At: 19, Thread: c, Gone: [2]uint64{}}, // no room
	} {
		s.BookBlock(&b)
	}
	b := mustBlocks(t, l, 20, &BlockFacts{MinSize: 100, Since: time.Unix(0, 5), Untracked: 1})
	if b.Live != 3 || b.Bytes != 460 || b.Given != 6 || b.Freed != 3 || b.FreedByOther != 2 || b.Failed != 1 || b.Waiting != 2 || b.Exact {
		t.Errorf("%+v", *b)
	}
	l.Resolve(late, 1)
	b = mustBlocks(t, l, 21, &BlockFacts{MinSize: 100, Since: time.Unix(0, 5)})
	if b.Waiting != 1 || !b.Exact || b.Accounts[0].Size == nil {
		t.Errorf("%+v", *b)
	}
	for _, acc := range b.Accounts {
		if *acc.Size == 100 && (acc.Live != 2 || acc.Stack == nil || *acc.Stack != "st1" || *acc.TID != 10) {
			t.Errorf("%+v", acc)
		}
	}
	// What never comes is given up, and the block that was freed meanwhile is an account's that holds nothing.
	b = mustBlocks(t, l, 20+2*ticketAge, &BlockFacts{MinSize: 100, Since: time.Unix(0, 5)})
	if b.Waiting != 0 || b.Given != 6 {
		t.Errorf("%+v", *b)
	}
}

func TestLostRecordsOfBlocksAreHealed(t *testing.T) {
	l := New(Options{})
	s := l.Open(Process{PID: 1, Space: "1"}, vma.New(vma.Options{PageSize: 4096}), time.Unix(0, 1))
	a := vma.Thread{TID: 10, Start: 1}
	for id := uint64(1); id <= 10; id++ {
		s.BookBlock(&Block{ID: id, Size: 1000 + id, At: int64(id), Thread: a})
	}
	var live []Block
	for id := uint64(6); id <= 12; id++ { // 1 to 5 are gone, 11 and 12 were not told of
		live = append(live, Block{ID: id, Size: 1000 + id, At: int64(id), Thread: a})
	}
	s.HealBlocks(live, time.Unix(0, 20))
	s.BookBlock(&Block{ID: 11, Size: 1011, At: 11, Thread: a})           // told of at last
	s.BookBlock(&Block{Gone: [2]uint64{2}, At: 21, Thread: a})           // so is this end
	s.BookBlock(&Block{Gone: [2]uint64{12}, At: 22, Thread: a, Size: 1}) // and this one is new
	b := mustBlocks(t, l, 30, &BlockFacts{MinSize: 1000, Dropped: 7})
	if b.Live != 6 || b.Given != 12 || b.Freed != 6 || b.Healed != 7 || b.Exact || b.Because == nil {
		t.Errorf("%+v", *b)
	}
}

func TestAccountsOfBlocksAreBounded(t *testing.T) {
	l := New(Options{})
	s := l.Open(Process{PID: 1, Space: "1"}, vma.New(vma.Options{PageSize: 4096}), time.Unix(0, 1))
	const n = 5 * maxBlockAccounts
	for id := uint64(1); id <= n; id++ {
		s.BookBlock(&Block{ID: id, Size: 1000 + id, At: int64(id), Thread: vma.Thread{TID: uint32(id), Start: 1}})
	}
	b := mustBlocks(t, l, n, &BlockFacts{MinSize: 1000})
	if got := len(s.blocks.accounts); got > 3*maxBlockAccounts+1 || b.Live != n || b.Given != n {
		t.Errorf("%d accounts, %d live", got, b.Live)
	}
	for id := uint64(1); id <= n; id++ {
		s.BookBlock(&Block{Gone: [2]uint64{id}, At: n + int64(id), Thread: vma.Thread{TID: 1, Start: 1}})
	}
	if b = mustBlocks(t, l, 3*n, &BlockFacts{MinSize: 1000}); b.Live != 0 || b.Bytes != 0 || b.Freed != n {
		t.Error(fmt.Sprintf("%+v", *b)[:200])
	}
}
