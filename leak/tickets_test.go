package leak

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"vmaleak/vma"
)

// numbered gives stacks that are named by their numbers. Those of 2 and 3 are of virtual threads.
func numbered(n uint32) *Stack {
	st := &Stack{ID: fmt.Sprint(n), Status: "complete", Frames: []Frame{{Kind: "native"}}}
	if n == 2 || n == 3 {
		task := fmt.Sprint("task-", n)
		st.Task = &task
	}
	return st
}

// stacksOf is the entry of b's space with stacks.
func (b *bench) stacksOf(i int) *Entry {
	b.tb.Helper()
	snap := b.l.Snapshot(b.now, Header{Source: SourceLive}, func(*Space) Facts { return Facts{Verified: true} })
	if err := snap.CheckValid(); err != nil {
		b.tb.Fatal(err)
	}
	for _, w := range snap.Warnings {
		if w.Code == "rebooked" {
			b.tb.Fatalf("the accounts differ from the rows by %d bytes", w.Count)
		}
	}
	return snap.Processes[i]
}

// with applies ev with a stack.
func (b *bench) with(stack uint32, f func()) {
	b.stack = func() uint32 { return stack }
	f()
	b.stack = nil
}

// id is what a pointer to an id says.
func id(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

func accounts(e *Entry) string {
	text := ""
	for _, a := range e.Accounts {
		text += fmt.Sprintf("t%d %s %d/%d of %d/%d calls %v;", a.Thread, id(a.Stack), a.Released, a.Acquired, a.ReleasedCount, a.AcquiredCount, a.Size != nil)
	}
	return text
}

func TestStacksThatComeLateMoveTheirBytes(t *testing.T) {
	const t1, t2, t3, t4 = vma.Ticket + 1, vma.Ticket + 2, vma.Ticket + 3, ^uint32(0)
	b := newBench(t, Options{Stack: numbered})
	b.l.Resolve(t1, 7) // before its event
	b.with(t1, func() { b.mmap(tid(1), 0x100000, 4*page, rw) })
	b.with(t2, func() { b.mmap(tid(1), 0x200000, 4*page, rw) })
	b.munmap(tid(2), 0x200000, page)
	b.with(t3, func() { b.mmap(tid(1), 0x300000, 4*page, rw) })
	b.with(t4, func() { b.mmap(tid(1), 0x400000, 4*page, rw) })
	b.munmap(tid(1), 0x400000, 4*page)
	b.l.Resolve(t2, 7)
	e := b.stacksOf(0)
	if got, want := accounts(e), "t0 null 16384/32768 of 1/2 calls true;t0 7 4096/32768 of 0/2 calls true;"; got != want {
		t.Errorf("accounts are\n%s\nwant\n%s", got, want)
	}
	if e.Events.Stacks.Pending != 2 {
		t.Errorf("%d stacks are pending, want 2", e.Events.Stacks.Pending)
	}
	if by := e.Accounts[1].ReleasedBy; len(by) != 1 || by[0].Bytes != page || *e.Threads[*by[0].Thread].TID != 2 {
		t.Errorf("released by %+v", by)
	}
	b.l.Resolve(t3, 8)
	b.l.Resolve(t3, 9) // the first stands
	b.l.Resolve(t4, 8)
	b.munmap(tid(2), 0x300000, page)
	e = b.stacksOf(0)
	if got, want := accounts(e), "t0 7 4096/32768 of 0/2 calls true;t0 8 20480/32768 of 1/2 calls true;"; got != want {
		t.Errorf("accounts are\n%s\nwant\n%s", got, want)
	}
	for i, want := range []string{"7", "7", "8"} {
		if got := id(e.Mappings[i].Stack); got != want {
			t.Errorf("row %d has stack %s, want %s", i, got, want)
		}
	}
	if len(e.Stacks) != 2 || len(b.l.known)+len(b.l.pending) != 0 {
		t.Errorf("stacks %+v, %d known and %d pending tickets", e.Stacks, len(b.l.known), len(b.l.pending))
	}
}

func TestStacksAreKnownAfterTheEnd(t *testing.T) {
	b := newBench(t, Options{Stack: numbered})
	b.with(vma.Ticket, func() { b.mmap(tid(1), 0x100000, 4*page, rw) })
	b.s.End(b.now, EndedExit)
	b.l.Resolve(vma.Ticket, 7)
	e := b.stacksOf(0)
	if id(e.Mappings[0].Stack) != "7" || id(e.Accounts[0].Stack) != "7" {
		t.Errorf("row %+v, account %+v", e.Mappings[0], e.Accounts[0])
	}
	b.l.Resolve(vma.Ticket+1, 7) // of nobody
}

func TestChildrenInheritTickets(t *testing.T) {
	b := newBench(t, Options{Stack: numbered})
	b.with(vma.Ticket, func() { b.mmap(tid(1), 0x100000, 4*page, rw) })
	b.l.Open(Process{PID: 8, Space: "s2", Parent: "s1"}, b.vm.Fork(), b.now)
	if m := b.stacksOf(1).Mappings[0]; m.Stack != nil {
		t.Errorf("a stack that is not known: %s", *m.Stack)
	}
	b.munmap(tid(1), 0x100000, 4*page)
	b.snapshot(ThreadFacts{Thread: tid(2), Alive: true}) // the parent's thread is folded
	b.l.Resolve(vma.Ticket, 7)
	if m := b.stacksOf(1).Mappings[0]; id(m.Stack) != "7" {
		t.Errorf("the child's row has stack %s", id(m.Stack))
	}
}

func TestTicketsAreGivenUp(t *testing.T) {
	b := newBench(t, Options{Stack: numbered})
	b.with(vma.Ticket, func() { b.mmap(tid(1), 0x100000, 4*page, rw) })
	b.l.Resolve(vma.Ticket+9, 7) // its event never comes
	b.now = b.now.Add(2 * time.Minute)
	b.stacksOf(0)
	if len(b.l.known)+len(b.l.pending) != 0 {
		t.Fatalf("%d known and %d pending tickets", len(b.l.known), len(b.l.pending))
	}
	snap := b.snapshot()
	if w := snap.Warnings; len(w) != 1 || w[0].Code != "stacks-late" || w[0].Count != 1 {
		t.Errorf("warnings %+v", w)
	}
	for a := range b.vm.All() {
		if a.Stack != 0 {
			t.Errorf("the row's stack is %#x", a.Stack)
		}
	}
}

func TestTicketsAreBounded(t *testing.T) {
	b := newBench(t, Options{Stack: numbered})
	for i := range uint32(3 * maxKnown) {
		at := 0x100000 + uint64(i%1000)*8*page
		if i%1000 == 0 {
			b.munmap(tid(1), 0x100000, 8000*page)
		}
		b.with(vma.Ticket+2*i, func() { b.mmap(tid(1), at, 4*page, rw) })
		if i > maxKnown { // until then nobody resolves
			b.l.Resolve(vma.Ticket+2*i, 1+i%3)
			b.l.Resolve(vma.Ticket+2*i+1, 5) // an event that acquired nothing
		}
		if len(b.l.known) > maxKnown || len(b.l.pending) > maxPending {
			t.Fatalf("%d known and %d pending tickets", len(b.l.known), len(b.l.pending))
		}
	}
	e := b.stacksOf(0)
	want(t, "acquired", e.Threads[0].Acquired, 3*maxKnown*4*page)
	if len(e.Accounts) > 4 {
		t.Errorf("%d accounts", len(e.Accounts))
	}
}

func TestStacksAreFoldedWhenThereAreTooMany(t *testing.T) {
	b := newBench(t, Options{Accounts: 16, Stack: numbered})
	for i := uint64(1); i <= 500; i++ {
		b.with(uint32(i), func() { b.mmap(tid(int(i%3)+1), i<<32, i*page, rw) })
		if i%2 == 0 {
			b.munmap(tid(1), (i/2)<<32, i*page)
		}
	}
	if n := len(b.stacksOf(0).Accounts); n > 40 {
		t.Errorf("%d accounts are kept", n)
	}
}

// TestLateStacksMakeTheBooksOfEarlyOnes books the same events with the numbers of
// their stacks, and with tickets that are resolved at any time.
func TestLateStacksMakeTheBooksOfEarlyOnes(t *testing.T) {
	type row struct {
		start, end Addr
		stack, op  string
		thread     int
	}
	rows := func(e *Entry) (rows []row) {
		for _, m := range e.Mappings {
			r := row{*m.Start, *m.End, id(m.Stack), id(m.Op), -1}
			if m.Thread != nil {
				r.thread = *m.Thread
			}
			rows = append(rows, r)
		}
		return rows
	}
	for seed := range uint64(30) {
		early, late := newBench(t, Options{Stack: numbered}), newBench(t, Options{Stack: numbered})
		ra, rb, rs := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
		var number uint32
		var open []func()
		next := vma.Ticket
		early.stack = func() uint32 { return number }
		late.stack = func() uint32 {
			next++
			ticket, n := next, number
			resolve := func() { late.l.Resolve(ticket, n) }
			switch rs.IntN(3) {
			case 0:
				resolve()
			default:
				open = append(open, resolve)
			}
			return ticket
		}
		for i := range 1200 {
			number = uint32(rs.IntN(4))
			early.random(ra.IntN)
			late.random(rb.IntN)
			if len(open) > 0 && rs.IntN(2) == 0 {
				k := rs.IntN(len(open))
				open[k]()
				open[k] = open[len(open)-1]
				open = open[:len(open)-1]
			}
			if rs.IntN(60) == 0 {
				late.stacksOf(0)
			}
			if i == 1199 {
				early.s.End(early.now, EndedExit)
				late.s.End(late.now, EndedExit)
			}
		}
		for _, resolve := range open {
			resolve()
		}
		a, b := early.stacksOf(0), late.stacksOf(0)
		if x, y := fmt.Sprint(rows(a)), fmt.Sprint(rows(b)); x != y {
			t.Fatalf("seed %d: rows\n%s\nwant\n%s", seed, y, x)
		}
		list := func(e *Entry) (text string) {
			for _, p := range e.Pools {
				text += fmt.Sprintf("%s %v: %d threads hold %d, %d committed, %d acquired, %d released\n", p.Name, p.Virtual, p.Threads,
					p.Outstanding, p.Committed, p.Acquired, p.Released)
				for _, st := range p.Stacks {
					text += fmt.Sprintf("  %s %d %d %d\n", id(st.Stack), st.Outstanding, st.Committed, st.Released)
				}
			}
			for _, a := range e.Accounts {
				size := uint64(0)
				if a.Size != nil {
					size = *a.Size
				}
				text += fmt.Sprintf("t%d %s %d: %d of %d in %d calls,", a.Thread, id(a.Stack), size, a.Released, a.Acquired, a.AcquiredCount)
				for _, by := range a.ReleasedBy {
					n := -1
					if by.Thread != nil {
						n = *by.Thread
					}
					text += fmt.Sprintf(" %d by %d", by.Bytes, n)
				}
				text += "\n"
			}
			return text
		}
		if x, y := list(a), list(b); x != y {
			t.Fatalf("seed %d: accounts\n%s\nwant\n%s", seed, y, x)
		}
	}
}
