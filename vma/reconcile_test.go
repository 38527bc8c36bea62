package vma

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mapsText is a maps text of "10-12 rw-p name" rows in page numbers.
func mapsText(rows ...string) string {
	var b strings.Builder
	for _, row := range rows {
		var from, to int
		var perms, name string
		fmt.Sscanf(row, "%d-%d %s %s", &from, &to, &perms, &name)
		inode := 0
		if strings.HasPrefix(name, "/") {
			inode = 1
		}
		fmt.Fprintf(&b, "%x-%x %s 00000000 00:00 %d %s\n", pg(from), pg(to), perms, inode, name)
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	for _, tt := range []struct {
		name       string
		have, want []string
		diffs      string
	}{
		{"both empty", nil, nil, ""},
		{"equal, cut otherwise", []string{"1-2 rw-p", "2-4 rw-p"}, []string{"1-4 rw-p"}, ""},
		{"files do not count", []string{"1-2 rw-p /x"}, []string{"5-6 rw-p /y"}, ""},
		{"one is missing", nil, []string{"1-2 rw-p"}, "1-2 false--- true rw-"},
		{"one too many", []string{"1-2 rw-p"}, nil, "1-2 true rw- false---"},
		{"a file where memory was", []string{"1-3 rw-p"}, []string{"1-2 rw-p", "2-3 rw-p /x"}, "2-3 true rw- false---"},
		{"another protection", []string{"1-4 rw-p"}, []string{"1-2 rw-p", "2-3 r--p", "3-4 rw-p"}, "2-3 true rw- true r--"},
		{"adjoining equal differences are one", []string{"1-2 rw-p", "2-4 rw-p"}, []string{"4-5 r--p"}, "1-4 true rw- false---, 4-5 false--- true r--"},
		{"tails on both sides", []string{"1-5 rw-p"}, []string{"3-8 rw-p"}, "1-3 true rw- false---, 5-8 false--- true rw-"},
		{"the named stack does not count", []string{"1-2 rw-p [stack]"}, nil, ""},
		{"heap and anonymous are the same", []string{"1-2 rw-p [heap]"}, []string{"1-2 rw-p"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, d := range mustParse(t, mapsText(tt.have...)).Diff(mustParse(t, mapsText(tt.want...))) {
				side := func(v View) string {
					return strings.ReplaceAll(fmt.Sprintf("%v %v", v.Anon, v.Prot), "false ", "false")
				}
				got = append(got, fmt.Sprintf("%d-%d %s %s", d.Start/pageBytes, d.End/pageBytes, side(d.Have), side(d.Want)))
			}
			if g := strings.Join(got, ", "); g != tt.diffs {
				t.Errorf("differences %q, want %q", g, tt.diffs)
			}
		})
	}
}

func TestReconcile(t *testing.T) {
	events := []Event{evMmap(1, 10, 4, 3), evMmap(2, 20, 4, 0), evFile(30, 2)}
	for _, tt := range []struct {
		name  string
		truth []string
		only  []int // page numbers, two a range
		rows  string
		delta string
	}{
		{"nothing to do", []string{"10-14 rw-p", "20-24 ---p", "30-32 r--s /x"}, nil, "10-14 rw- anon mmap t1 #1\n20-24 --- anon mmap t2 #2\n30-32 r-- opaque", "; ; "},
		{"lost memory goes, found memory is healed", []string{"12-16 rw-p", "20-24 ---p"}, nil,
			"12-14 rw- anon mmap t1 #1\n14-16 rw- anon healed\n20-24 --- anon mmap t2 #2", "14-16 t0; 10-12 t1; "},
		{"another protection leaves the owner", []string{"10-14 r--p", "20-24 ---p"}, nil, "10-14 r-- anon mmap t1 #1\n20-24 --- anon mmap t2 #2", "; ; "},
		{"PROT_NONE leaves the owner", []string{"10-14 ---p", "20-24 ---p"}, nil, "10-14 --- anon mmap t1 #1\n20-24 --- anon mmap t2 #2", "; ; 10-14 t1"},
		{"a lost commit is healed", []string{"10-14 rw-p", "20-22 ---p", "22-24 rw-p"}, nil,
			"10-14 rw- anon mmap t1 #1\n20-22 --- anon mmap t2 #2\n22-24 rw- anon healed", "22-24 t0; 22-24 t2; "},
		{"only some ranges, overlapping and out of order", nil, []int{21, 23, 12, 13, 11, 13, 12, 12, 31, 32},
			"10-11 rw- anon mmap t1 #1\n13-14 rw- anon mmap t1 #1\n20-21 --- anon mmap t2 #2\n23-24 --- anon mmap t2 #2\n30-31 r-- opaque", "; 11-13 t1, 21-23 t2; "},
		{"opaque areas of the truth fill only what is free", []string{"8-22 r--s /x"}, []int{9, 10, 12, 13},
			"9-10 r-- opaque\n10-12 rw- anon mmap t1 #1\n12-13 r-- opaque\n13-14 rw- anon mmap t1 #1\n20-24 --- anon mmap t2 #2\n30-32 r-- opaque", "; 12-13 t1; "},
		{"no range at all changes nothing", []string{"40-41 rw-p"}, []int{}, "10-14 rw- anon mmap t1 #1\n20-24 --- anon mmap t2 #2\n30-32 r-- opaque", "; ; "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, truth := New(Options{}), mustParse(t, mapsText(tt.truth...))
			mustApply(t, s, events...)
			var only []Range
			if tt.only != nil {
				only = []Range{}
			}
			for i := 0; i < len(tt.only); i += 2 {
				only = append(only, Range{pg(tt.only[i]), pg(tt.only[i+1])})
			}
			_, d := s.Reconcile(truth, only, Healed)
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			if got := show(s); got != tt.rows {
				t.Errorf("rows\n%s\nwant\n%s", got, tt.rows)
			}
			if got := areas(d.Acquired) + "; " + areas(d.Released) + "; " + areas(d.Decommitted); got != tt.delta {
				t.Errorf("delta %q, want %q", got, tt.delta)
			}
		})
	}
}

func TestReconcileJoinsDifferencesCutByRanges(t *testing.T) {
	s := New(Options{})
	mustApply(t, s, evMmap(1, 10, 8, 3))
	diffs, _ := s.Reconcile(New(Options{}), []Range{{pg(12), pg(15)}, {pg(10), pg(12)}, {pg(13), pg(14)}}, Healed)
	if len(diffs) != 1 || diffs[0].Range != (Range{pg(10), pg(15)}) {
		t.Errorf("differences %v, want one of 10-15", diffs)
	}
}

func TestReconcileKeepsWhatTheStackIs(t *testing.T) {
	s := mustParse(t, mapsText("10-20 rw-p [stack]"))
	s.StackStart = pg(17)
	mustApply(t, s, evMprotect(1, 10, 2, 1), evMprotect(1, 18, 2, 1))
	truth := mustParse(t, mapsText("10-12 r--p", "12-18 rw-p [stack]", "18-20 r--p"))
	if d := s.Diff(truth); len(d) != 0 {
		t.Fatalf("a split stack differs from its maps: %v", d)
	}
	s.Reconcile(truth, nil, Healed)
	if d := s.Diff(truth); len(d) != 0 || s.StackStart != pg(17) {
		t.Errorf("after it %v, stack start %x\n%s", d, s.StackStart, show(s))
	}
}

func TestReconcileKeepsTheLengthOfASegment(t *testing.T) {
	s := New(Options{})
	mustApply(t, s, Event{Op: OpShmat, Len: pg(2), Ret: int64(pg(10))}, evMremap(1, 10, 2, 10, 4, 0), evFile(11, 1))
	s.Reconcile(mustParse(t, "a000-b000 rw-s 00000000 00:01 7 /SYSV00000000 (deleted)\nb000-c000 r--s 00000000 00:01 8 /x\nc000-e000 rw-s 00002000 00:01 7 /SYSV00000000 (deleted)\n"), nil, Healed)
	mustApply(t, s, Event{Op: OpShmdt, Addr: pg(10)})
	if got, want := show(s), "11-12 r-- opaque\n12-14 rw- opaque"; got != want { // beyond the segment's end the kernel leaves it
		t.Errorf("rows\n%s\nwant\n%s", got, want)
	}
}

// TestReconcileMakesEqual holds random spaces against random truths.
func TestReconcileMakesEqual(t *testing.T) {
	random := func(r *rand.Rand) *Space {
		s := New(Options{})
		for i := range r.IntN(60) {
			at, n := r.IntN(100), 1+r.IntN(10)
			ev := pick(r, evMmap(1, at, n, 3), evMmap(2, at, n, 0), evFile(at, n), evMunmap(at, n), evMprotect(1, at, n, uint32(r.IntN(4))))
			ev.Seq = uint64(i + 1)
			s.Apply(&ev)
		}
		return s
	}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 3))
		s, truth := random(r), random(r)
		before := s.Clone()
		if r.IntN(2) == 0 {
			only := []Range{{pg(r.IntN(60)), pg(r.IntN(120))}, {pg(r.IntN(60)), pg(r.IntN(120))}}
			diffs, _ := s.Reconcile(truth, only, Healed)
			if left := within(s.Diff(truth), only); len(left) != 0 {
				t.Fatalf("seed %d: %v left in %v", seed, left, only)
			}
			for _, d := range before.Diff(s) {
				if len(within([]Difference{d}, only)) == 0 {
					t.Fatalf("seed %d: %v changed outside %v", seed, d, only)
				}
			}
			if want := within(before.Diff(truth), only); fmt.Sprint(diffs) != fmt.Sprint(want) {
				t.Fatalf("seed %d: said %v, want %v", seed, diffs, want)
			}
		} else {
			_, d := s.Reconcile(truth, nil, Healed)
			if left := s.Diff(truth); len(left) != 0 {
				t.Fatalf("seed %d: %v left", seed, left)
			}
			if got, want := exportedBytes(before)+bytesOf(d.Acquired)-bytesOf(d.Released), exportedBytes(s); got != want {
				t.Fatalf("seed %d: %d bytes by delta, %d there", seed, got, want)
			}
		}
		if err := s.Check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func bytesOf(list []Area) (n uint64) {
	for i := range list {
		n += list[i].Len()
	}
	return n
}

func exportedBytes(s *Space) (n uint64) {
	for a := range s.Exported() {
		n += a.Len()
	}
	return n
}

func TestClaim(t *testing.T) {
	late := func(ev Event) Event { ev.Seq = 9; return ev }
	for _, tt := range []struct {
		name string
		ev   Event
		rows string
	}{
		{"mmap takes the healed part of its range", evMmap(2, 10, 6, 3), "10-12 rw- anon mmap t1 #1\n12-16 rw- anon mmap t2 #9\n16-20 rw- anon healed"},
		{"mprotect to a protection", evMprotect(2, 14, 2, 3), "10-12 rw- anon mmap t1 #1\n12-14 rw- anon healed\n14-16 rw- anon mprotect t2 #9\n16-20 rw- anon healed"},
		{"mprotect to PROT_NONE claims nothing", evMprotect(2, 14, 2, 0), "10-12 rw- anon mmap t1 #1\n12-20 rw- anon healed"},
		{"brk", evBrk(2, 18, 20), "10-12 rw- anon mmap t1 #1\n12-18 rw- anon healed\n18-20 rw- anon brk t2 #9"},
		{"mremap claims what it added", evMremap(2, 30, 2, 12, 4, 0), "10-12 rw- anon mmap t1 #1\n12-14 rw- anon healed\n14-16 rw- anon mremap t2 #9\n16-20 rw- anon healed"},
		{"a file claims nothing", evFile(12, 2), "10-12 rw- anon mmap t1 #1\n12-20 rw- anon healed"},
		{"a failed call claims nothing", failed(evMmap(2, 10, 6, 3), unix.ENOMEM), "10-12 rw- anon mmap t1 #1\n12-20 rw- anon healed"},
		{"munmap claims nothing", evMunmap(10, 10), "10-12 rw- anon mmap t1 #1\n12-20 rw- anon healed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Options{})
			mustApply(t, s, evMmap(1, 10, 2, 3))
			s.Reconcile(mustParse(t, mapsText("10-20 rw-p")), nil, Healed)
			ev := late(tt.ev)
			d := s.Claim(&ev)
			if got := show(s); got != tt.rows {
				t.Errorf("rows\n%s\nwant\n%s", got, tt.rows)
			}
			if bytesOf(d.Acquired) != bytesOf(d.Released) {
				t.Errorf("acquired %d, released %d bytes", bytesOf(d.Acquired), bytesOf(d.Released))
			}
		})
	}
}

func TestClonesAreIndependent(t *testing.T) {
	s, slots := benchSpace(t, 2000, 7)
	before := show(s)
	a := s.Clone()
	b := a.Clone()
	for i, sp := range []*Space{s, b} {
		for _, at := range slots[i*100 : i*100+100] {
			sp.Apply(&Event{Op: OpMunmap, Addr: at, Len: benchLen})
			sp.Apply(&Event{Op: OpMprotect, Addr: at + benchLen, Len: 1 << 20, Prot: 1})
		}
	}
	if show(a) != before {
		t.Error("a clone changed with its original or its own clone")
	}
	if show(s) == before || show(b) == before || show(s) == show(b) {
		t.Error("the changed ones are not changed")
	}
	for _, sp := range []*Space{s, a, b} {
		if err := sp.Check(); err != nil {
			t.Error(err)
		}
	}
}
