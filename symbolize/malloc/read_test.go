package malloc

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"
)

// What malloc itself says of its arenas is what is read of them, byte for byte, and what a trim gives back is what was foretold.
func TestFreeBytesAreThoseThatMallocKnows(t *testing.T) {
	prog := build(t)
	for _, c := range []struct{ name, args string }{
		{"one arena, small blocks in fast lists, with neighbours that live", "0 30000 20 100 7"},
		{"small blocks, all freed", "3 20000 20 100 0"},
		{"blocks of one page and more, pinned", "3 3000 100 30000 7"},
		{"arenas of several heaps", "2 3000 5000 90000 3"},
		{"few large blocks, some in the top", "2 40 900000 2000000 5"},
		{"small and large bins", "1 60000 300 5000 2"},
		{"nothing is freed", "2 500 100 10000 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, want := start(t, prog, c.args)
			for _, moment := range []string{"before", "after"} {
				r := mustRead(t, p.pid)
				check(t, moment+" the trim", r, want)
				before, trimmable := anon(t, p.pid), sum(r, func(a *Arena) uint64 { return a.Trimmable })
				want = p.trim()
				after := anon(t, p.pid)
				t.Logf("%s: %d blocks' pages, %d came back", moment, trimmable, before-after)
				if came := int64(before) - int64(after) - int64(trimmable); came > 4*4096 || came < -4*4096 {
					t.Errorf("%s: a trim gave back %d bytes, foretold were %d", moment, int64(before)-int64(after), trimmable)
				}
			}
		})
	}
}

func mustRead(tb testing.TB, pid int) *Report {
	tb.Helper()
	r, err := Read(pid, Options{Time: 10 * time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func sum(r *Report, f func(a *Arena) uint64) (n uint64) {
	for i := range r.Arenas {
		n += f(&r.Arenas[i])
	}
	return n
}

// check compares arena by arena. malloc_info goes round the same circle.
func check(t *testing.T, moment string, r *Report, want []held) {
	t.Helper()
	if len(r.Arenas) != len(want) {
		t.Fatalf("%s: %d arenas, malloc has %d", moment, len(r.Arenas), len(want))
	}
	for i, a := range r.Arenas {
		got := held{a.Free, a.Fast, a.Committed}
		if !a.Main { // not trimmed heaps stay writable
			got.system = want[i].system
			if a.Committed < want[i].system {
				t.Errorf("%s: arena %d has %d writable bytes, malloc uses %d", moment, i, a.Committed, want[i].system)
			}
		}
		if got != want[i] || a.Main != (i == 0) || a.Incomplete != "" {
			t.Errorf("%s: arena %d: %+v\n%+v, malloc says\n%+v", moment, i, a, got, want[i])
		}
		if a.Trimmable+a.TopResident > a.Free {
			t.Errorf("%s: arena %d: more pages than free bytes: %+v", moment, i, a)
		}
	}
}

// Threads that free and take blocks all the time are read too: what is said to be used is about what they hold, and where the
// lists change too fast that is said.
func TestListsThatChangeAreRead(t *testing.T) {
	for _, c := range []struct {
		name, args string
		whole      int // percent of the arenas that must be read to the end
	}{{"at full speed", "3 2000 100 20000 -1", 0}, {"10,000 times a second", "3 2000 100 20000 -2", 80}} {
		t.Run(c.name, func(t *testing.T) {
			p, said := start(t, build(t), c.args)
			whole, all := 0, 0
			for began := time.Now(); time.Since(began) < 2*time.Second; {
				r := mustRead(t, p.pid)
				if len(r.Arenas) != len(said) {
					t.Fatalf("%d arenas, want %d", len(r.Arenas), len(said))
				}
				for _, a := range r.Arenas[1:] {
					if all++; a.Incomplete == "" {
						whole++
					}
					// 2,000 blocks of 10,000 bytes in the mean.
					if used := int64(a.Committed) - int64(a.Free); used < 15e6 || used > 30e6 || a.Trimmable+a.TopResident > a.Free {
						t.Errorf("%d bytes used, %+v", used, a)
					}
				}
			}
			t.Logf("%d of %d arenas were read to the end", whole, all)
			if 100*whole < c.whole*all {
				t.Errorf("only %d of %d arenas were read to the end", whole, all)
			}
		})
	}
}

func TestTheReaderTouchesNothing(t *testing.T) {
	p, _ := start(t, build(t), "2 3000 100 30000 7")
	before := anon(t, p.pid)
	mustRead(t, p.pid)
	p.trim()
	trimmed := anon(t, p.pid)
	for range 5 {
		mustRead(t, p.pid)
	}
	if after := anon(t, p.pid); after != trimmed || trimmed > before {
		t.Errorf("%d bytes in memory, %d after reading", trimmed, after)
	}
}

func TestTimeThatIsTooShortIsSaid(t *testing.T) {
	p, want := start(t, build(t), "1 60000 300 5000 2")
	r, err := Read(p.pid, Options{Time: 4 * time.Millisecond})
	switch {
	case errors.Is(err, ErrTime):
	case err != nil:
		t.Error(err)
	case !slices.ContainsFunc(r.Arenas, func(a Arena) bool { return a.Incomplete == tooLong }) || r.Arenas[1].Free >= want[1].free:
		t.Errorf("%+v", r.Arenas)
	}
	if r, err = Read(p.pid, Options{Time: 10 * time.Second, Blocks: 100}); err != nil || r.Arenas[1].Incomplete != tooMany {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestOtherMallocsAreNamed(t *testing.T) {
	p, _ := start(t, build(t, "-static"), "0 100 20 100 7")
	if _, err := Read(p.pid, Options{}); !errors.Is(err, ErrForeign) {
		t.Errorf("a static program: %v", err)
	}
	if _, err := Read(os.Getpid(), Options{}); err != nil && !errors.Is(err, ErrForeign) {
		t.Errorf("this program: %v", err)
	}
	for file, want := range map[string]string{"ld-musl-x86_64.so.1": "musl's malloc (ld-musl-x86_64.so.1)", "libjemalloc.so.2": "jemalloc (libjemalloc.so.2)", "libc.so.6": ""} {
		if got := foreign([]row{{file: "prog"}, {file: file}}); got != want {
			t.Errorf("%s is %q", file, got)
		}
	}
	if _, err := Read(1<<22+1, Options{}); !errors.Is(err, ErrGone) {
		t.Errorf("no process: %v", err)
	}
}

func TestHeapsOfAnotherSizeAreNoGuess(t *testing.T) {
	t.Setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=2")
	p, said := start(t, build(t), "2 300 100 30000 7")
	if r, err := Read(p.pid, Options{}); !errors.Is(err, ErrUnfit) && (err != nil || r.Arenas[1].Free != said[1].free) {
		t.Errorf("%+v, %v", r, err)
	}
}
