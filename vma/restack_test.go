package vma

import (
	"math/rand/v2"
	"testing"
)

// stacked is ev with a stack.
func stacked(stack uint32, ev Event) Event {
	ev.Stack = stack
	return ev
}

func TestRestackJoinsWhatOnlyTicketsKeptApart(t *testing.T) {
	s := New(Options{})
	mustApply(t, s, stacked(Ticket+1, evBrk(1, 10, 12)), stacked(Ticket+2, evBrk(1, 12, 13)), stacked(Ticket+3, evBrk(1, 13, 15)),
		stacked(Ticket+4, evBrk(1, 15, 16)), stacked(Ticket+5, evMmap(1, 20, 2, 3)), stacked(Ticket+6, evMmap(1, 22, 2, 3)))
	s.Restack(func(ticket uint32) uint32 {
		switch ticket {
		case Ticket + 3, Ticket + 6:
			return ticket // not known yet
		}
		return 7
	})
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	want := "10-13 rw- heap brk t1 #1x2\n13-15 rw- heap brk t1 #3\n15-16 rw- heap brk t1 #4\n20-22 rw- anon mmap t1 #5\n22-24 rw- anon mmap t1 #6"
	if got := show(s); got != want {
		t.Errorf("rows\n%s\nwant\n%s", got, want)
	}
	s.Restack(func(uint32) uint32 { return 7 })
	want = "10-16 rw- heap brk t1 #1x4\n20-22 rw- anon mmap t1 #5\n22-24 rw- anon mmap t1 #6"
	if got := show(s); got != want {
		t.Errorf("rows\n%s\nwant\n%s", got, want)
	}
	for a := range s.All() {
		if a.Stack != 7 {
			t.Errorf("%v has stack %d", a.Range, a.Stack)
		}
	}
}

// TestLateStacksMakeTheRowsOfEarlyOnes applies the same calls with the numbers
// of their stacks, and with tickets that are replaced now and then.
func TestLateStacksMakeTheRowsOfEarlyOnes(t *testing.T) {
	type row struct {
		Range
		thread Thread
		stack  uint32
		op     Op
		prot   Prot
		kind   Kind
	}
	list := func(s *Space) (rows []row) {
		for a := range s.All() {
			rows = append(rows, row{a.Range, a.Thread, a.Stack, a.Op, a.Prot, a.Kind})
		}
		return rows
	}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 9))
		early, late := New(Options{}), New(Options{})
		var numbers []uint32
		number := func(ticket uint32) uint32 { return numbers[ticket-Ticket] }
		brk := 200
		for range 400 {
			var ev Event
			at, n, tid := r.IntN(100), r.IntN(8)+1, r.IntN(2)
			switch r.IntN(6) {
			case 0:
				ev = evMmap(tid, at, n, uint32(r.IntN(2)*3))
			case 1:
				ev = evMunmap(at, n)
			case 2, 3:
				ev = evMprotect(tid, at, n, uint32(r.IntN(2)*3))
			case 4:
				to := 200 + r.IntN(20)
				ev, brk = evBrk(tid, brk, to), to
			case 5:
				ev = evMremap(tid, at, n, 300+r.IntN(50), n+r.IntN(3), 0)
			}
			numbers = append(numbers, uint32(r.IntN(3)))
			ev.Stack = numbers[len(numbers)-1]
			early.Apply(&ev)
			ev.Stack = Ticket + uint32(len(numbers)-1)
			late.Apply(&ev)
			if r.IntN(40) > 0 {
				continue
			}
			clone := late.Clone()
			before := list(clone)
			late.Restack(number)
			if err := late.Check(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			want, got := list(early), list(late)
			if len(got) != len(want) {
				t.Fatalf("seed %d: %d rows, want %d", seed, len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("seed %d: row %d is %+v, want %+v", seed, i, got[i], want[i])
				}
			}
			for i, a := range list(clone) {
				if a != before[i] {
					t.Fatalf("seed %d: a clone changed with its original", seed)
				}
			}
		}
	}
}
