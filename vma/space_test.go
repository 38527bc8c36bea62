package vma

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The tables write addresses as page numbers.
func pg(n int) uint64 { return uint64(n) * pageBytes }

const anonPrivate = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS

func evMmap(tid, at, n int, prot uint32) Event {
	return Event{Op: OpMmap, Thread: Thread{TID: uint32(tid)}, Len: pg(n), Prot: prot, Flags: anonPrivate, Ret: int64(pg(at))}
}

func evFile(at, n int) Event {
	return Event{Op: OpMmap, Len: pg(n), Prot: 1, Flags: unix.MAP_SHARED, Ret: int64(pg(at))}
}

func evMunmap(at, n int) Event { return Event{Op: OpMunmap, Addr: pg(at), Len: pg(n)} }

func evMprotect(tid, at, n int, prot uint32) Event {
	return Event{Op: OpMprotect, Thread: Thread{TID: uint32(tid)}, Addr: pg(at), Len: pg(n), Prot: prot}
}

func evBrk(tid, from, to int) Event {
	return Event{Op: OpBrk, Thread: Thread{TID: uint32(tid)}, Addr: pg(from), Ret: int64(pg(to))}
}

func evMremap(tid, at, n, to, m int, flags uint32) Event {
	return Event{Op: OpMremap, Thread: Thread{TID: uint32(tid)}, Addr: pg(at), Len: pg(n), NewLen: pg(m), Flags: flags | unix.MREMAP_MAYMOVE, Ret: int64(pg(to))}
}

func failed(ev Event, errno unix.Errno) Event {
	if ev.Op == OpMmap {
		ev.Addr = uint64(ev.Ret)
	}
	if ev.Op == OpMremap {
		ev.Target = uint64(ev.Ret)
	}
	ev.Ret = -int64(errno)
	return ev
}

// show is the rows of s, one each: pages, protection, kind, then of traced rows op, thread, call and calls.
func show(s *Space) string {
	var b strings.Builder
	for a := range s.All() {
		fmt.Fprintf(&b, "%d-%d %v %v", a.Start/pageBytes, a.End/pageBytes, a.Prot, a.Kind)
		switch {
		case a.Kind == Opaque:
		case a.Origin != Traced:
			fmt.Fprintf(&b, " %v", a.Origin)
		default:
			fmt.Fprintf(&b, " %v t%d #%d", a.Op, a.Thread.TID, a.Call)
			if a.Calls > 1 {
				fmt.Fprintf(&b, "x%d", a.Calls)
			}
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// mustApply numbers the events from 1 and applies them.
func mustApply(tb testing.TB, s *Space, events ...Event) (last *Delta) {
	tb.Helper()
	for i, ev := range events {
		ev.Seq = uint64(i + 1)
		last = s.Apply(&ev)
		if err := s.Check(); err != nil {
			tb.Fatalf("after event %d, %v: %v", i+1, ev.Op, err)
		}
	}
	return last
}

func areas(list []Area) string {
	var out []string
	for _, a := range list {
		out = append(out, fmt.Sprintf("%d-%d t%d", a.Start/pageBytes, a.End/pageBytes, a.Thread.TID))
	}
	return strings.Join(out, ", ")
}

func TestApply(t *testing.T) {
	const fixed, keep = unix.MREMAP_FIXED, unix.MREMAP_DONTUNMAP
	for _, tt := range []struct {
		name   string
		events []Event
		rows   string
		delta  string // of the last event: acquired; released; decommitted
	}{
		{"a mapping has a row of its caller", []Event{evMmap(1, 10, 4, 3)}, "10-14 rw- anon mmap t1 #1", "10-14 t1; ; "},
		{"adjacent mappings of one thread stay two rows", []Event{evMmap(1, 10, 4, 3), evMmap(1, 14, 4, 3)},
			"10-14 rw- anon mmap t1 #1\n14-18 rw- anon mmap t1 #2", "14-18 t1; ; "},
		{"munmap in the middle leaves two rows of the same call", []Event{evMmap(1, 10, 6, 3), evMunmap(12, 2)},
			"10-12 rw- anon mmap t1 #1\n14-16 rw- anon mmap t1 #1", "; 12-14 t1; "},
		{"munmap by another thread is booked to the owner", []Event{evMmap(1, 10, 2, 3), evMmap(2, 13, 2, 3), evMunmap(8, 9)}, "", "; 10-12 t1, 13-15 t2; "},
		{"a length is rounded up to the page", []Event{evMmap(1, 10, 6, 3), {Op: OpMunmap, Addr: pg(10), Len: 1}}, "11-16 rw- anon mmap t1 #1", "; 10-11 t1; "},
		{"MAP_FIXED over the middle cuts the row below", []Event{evMmap(1, 10, 6, 3), evMmap(2, 12, 2, 1)},
			"10-12 rw- anon mmap t1 #1\n12-14 r-- anon mmap t2 #2\n14-16 rw- anon mmap t1 #1", "12-14 t2; 12-14 t1; "},
		{"a file over anonymous memory releases it", []Event{evMmap(1, 10, 4, 3), evFile(11, 1)},
			"10-11 rw- anon mmap t1 #1\n11-12 r-- opaque\n12-14 rw- anon mmap t1 #1", "; 11-12 t1; "},
		{"mprotect of a part splits, and back again joins", []Event{evMmap(1, 10, 6, 3), evMprotect(2, 12, 2, 1), evMprotect(2, 12, 2, 3)}, "10-16 rw- anon mmap t1 #1", "; ; "},
		{"mprotect to PROT_NONE keeps the owner", []Event{evMmap(1, 10, 6, 3), evMprotect(2, 12, 2, 0)},
			"10-12 rw- anon mmap t1 #1\n12-14 --- anon mmap t1 #1\n14-16 rw- anon mmap t1 #1", "; ; 12-14 t1"},
		{"mprotect from PROT_NONE makes the caller the owner", []Event{evMmap(1, 10, 6, 0), evMprotect(2, 10, 2, 3)},
			"10-12 rw- anon mprotect t2 #2\n12-16 --- anon mmap t1 #1", "10-12 t2; 10-12 t1; "},
		{"mprotect from PROT_NONE over several owners takes only what was NONE, as one row where it adjoins",
			[]Event{evMmap(1, 10, 2, 0), evMmap(2, 12, 2, 0), evMmap(3, 14, 2, 1), evMmap(4, 17, 1, 0), evMprotect(5, 10, 8, 3)},
			"10-14 rw- anon mprotect t5 #5\n14-16 rw- anon mmap t3 #3\n17-18 rw- anon mprotect t5 #5", "10-12 t5, 12-14 t5, 17-18 t5; 10-12 t1, 12-14 t2, 17-18 t4; "},
		{"growing commits of one thread are one row", []Event{evMmap(1, 10, 8, 0), evMprotect(2, 10, 2, 3), evMprotect(2, 12, 2, 3), evMprotect(2, 14, 1, 3)},
			"10-15 rw- anon mprotect t2 #2x3\n15-18 --- anon mmap t1 #1", "14-15 t2; 14-15 t1; "},
		{"commits of two threads are two rows", []Event{evMmap(1, 10, 8, 0), evMprotect(2, 10, 2, 3), evMprotect(3, 12, 2, 3)},
			"10-12 rw- anon mprotect t2 #2\n12-14 rw- anon mprotect t3 #3\n14-18 --- anon mmap t1 #1", "12-14 t3; 12-14 t1; "},
		{"commits of two protections are two rows", []Event{evMmap(1, 10, 4, 0), evMprotect(2, 10, 2, 3), evMprotect(2, 12, 2, 1)},
			"10-12 rw- anon mprotect t2 #2\n12-14 r-- anon mprotect t2 #3", "12-14 t2; 12-14 t1; "},
		{"brk growth of one thread is one row", []Event{evBrk(1, 10, 12), evBrk(1, 12, 15)}, "10-15 rw- heap brk t1 #1x2", "12-15 t1; ; "},
		{"brk growth of two threads is two rows", []Event{evBrk(1, 10, 12), evBrk(2, 12, 15)}, "10-12 rw- heap brk t1 #1\n12-15 rw- heap brk t2 #2", "12-15 t2; ; "},
		{"brk within a page changes nothing", []Event{evBrk(1, 10, 12), {Op: OpBrk, Addr: pg(12) - 100, Ret: int64(pg(12) - 7)}}, "10-12 rw- heap brk t1 #1", "; ; "},
		{"brk shrinks over both rows", []Event{evBrk(1, 10, 12), evBrk(2, 12, 15), evBrk(3, 15, 11)}, "10-11 rw- heap brk t1 #1", "; 11-12 t1, 12-15 t2; "},

		{"mremap shrinks", []Event{evMmap(1, 10, 6, 3), evMremap(2, 10, 6, 10, 2, 0)}, "10-12 rw- anon mmap t1 #1", "; 12-16 t1; "},
		{"mremap grows in place: the new bytes are the caller's", []Event{evMmap(1, 10, 2, 3), evMremap(2, 10, 2, 10, 5, 0)},
			"10-12 rw- anon mmap t1 #1\n12-15 rw- anon mremap t2 #2", "12-15 t2; ; "},
		{"mremap moves: the owner stays", []Event{evMmap(1, 10, 2, 3), evMremap(2, 10, 2, 30, 2, 0)}, "30-32 rw- anon mmap t1 #1", "; ; "},
		{"mremap moves and grows", []Event{evMmap(1, 10, 2, 1), evMremap(2, 10, 2, 30, 3, 0)}, "30-32 r-- anon mmap t1 #1\n32-33 r-- anon mremap t2 #2", "32-33 t2; ; "},
		{"mremap moves and shrinks", []Event{evMmap(1, 10, 4, 3), evMremap(2, 10, 4, 30, 1, fixed)}, "30-31 rw- anon mmap t1 #1", "; 11-14 t1; "},
		{"mremap of a part leaves the rest", []Event{evMmap(1, 10, 4, 3), evMremap(2, 11, 2, 30, 2, 0)},
			"10-11 rw- anon mmap t1 #1\n13-14 rw- anon mmap t1 #1\n30-32 rw- anon mmap t1 #1", "; ; "},
		{"mremap to a fixed address unmaps what was there", []Event{evMmap(1, 10, 2, 3), evMmap(3, 30, 4, 3), evMremap(2, 10, 2, 31, 2, fixed)},
			"30-31 rw- anon mmap t3 #2\n31-33 rw- anon mmap t1 #1\n33-34 rw- anon mmap t3 #2", "; 31-33 t3; "},
		{"mremap of several areas with a hole leaves the target under the hole",
			[]Event{evMmap(1, 10, 1, 3), evMmap(2, 12, 1, 1), evMmap(3, 30, 3, 3), evMremap(4, 10, 3, 30, 3, fixed)},
			"30-31 rw- anon mmap t1 #1\n31-32 rw- anon mmap t3 #3\n32-33 r-- anon mmap t2 #2", "; 30-31 t3, 32-33 t3; "},
		{"mremap of a file onto anonymous memory releases it", []Event{evFile(10, 2), evMmap(1, 30, 2, 3), evMremap(2, 10, 2, 30, 2, fixed)}, "30-32 r-- opaque", "; 30-32 t1; "},
		{"DONTUNMAP leaves an empty mapping that is the caller's", []Event{evMmap(1, 10, 2, 3), evMremap(2, 10, 2, 30, 2, keep)},
			"10-12 rw- anon mremap t2 #2\n30-32 rw- anon mmap t1 #1", "10-12 t2; ; "},
		{"DONTUNMAP of a file maps it twice", []Event{evFile(10, 2), evMremap(2, 10, 2, 30, 2, keep)}, "10-12 r-- opaque\n30-32 r-- opaque", "; ; "},
		{"old_len 0 maps a shared area a second time", []Event{evFile(10, 2), evMremap(2, 10, 0, 30, 2, 0)}, "10-12 r-- opaque\n30-32 r-- opaque", "; ; "},
		{"a moved heap is anonymous", []Event{evBrk(1, 10, 12), evMremap(2, 10, 2, 30, 2, 0)}, "30-32 rw- anon brk t1 #1", "; ; "},
		{"a source that the model lacks is opaque", []Event{evMmap(1, 30, 2, 3), evMremap(2, 10, 2, 30, 2, fixed)}, "30-32 r-- opaque", "; 30-32 t1; "},

		{"huge pages are opaque and rounded up", []Event{{Op: OpMmap, Len: 1, Flags: anonPrivate | unix.MAP_HUGETLB, Prot: 3, Ret: int64(pg(512))}}, "512-1024 rw- opaque", "; ; "},
		{"a huge page of another size is rounded to that", []Event{{Op: OpMmap, Len: 1, Flags: anonPrivate | unix.MAP_HUGETLB | 16<<unix.MAP_HUGE_SHIFT, Prot: 3, Ret: int64(pg(512))}}, "512-528 rw- opaque", "; ; "},
		{"shared anonymous memory is opaque", []Event{{Op: OpMmap, Len: pg(1), Flags: unix.MAP_SHARED | unix.MAP_ANONYMOUS, Prot: 3, Ret: int64(pg(5))}}, "5-6 rw- opaque", "; ; "},
		{"droppable memory is anonymous", []Event{{Op: OpMmap, Len: pg(1), Flags: 8 | unix.MAP_ANONYMOUS, Prot: 3, Ret: int64(pg(5))}}, "5-6 rw- anon mmap t0 #1", "5-6 t0; ; "},

		{"shmdt removes what is left of a segment", []Event{
			{Op: OpShmat, Len: pg(6), Ret: int64(pg(10))}, evMunmap(10, 1), evMmap(1, 12, 1, 3), evFile(16, 2), {Op: OpShmdt, Addr: pg(10)}},
			"12-13 rw- anon mmap t1 #3\n16-18 r-- opaque", "; ; "},
		{"a segment follows mremap", []Event{{Op: OpShmat, Len: pg(2), Ret: int64(pg(10))}, evMremap(1, 10, 2, 30, 2, 0), {Op: OpShmdt, Addr: pg(30)}}, "", "; ; "},
		{"adjacent segments do not go together", []Event{{Op: OpShmat, Len: pg(2), Ret: int64(pg(10))}, {Op: OpShmat, Len: pg(2), Ret: int64(pg(12))}, {Op: OpShmdt, Addr: pg(12)}}, "10-12 rw- opaque", "; ; "},
		{"a segment goes without the rest of an older one at its address", []Event{{Op: OpShmat, Len: pg(2), Ret: int64(pg(10))}, evMunmap(10, 1),
			{Op: OpShmat, Len: pg(1), Ret: int64(pg(10))}, {Op: OpShmdt, Addr: pg(10)}}, "11-12 rw- opaque", "; ; "},
		{"SHM_REMAP releases what was there", []Event{evMmap(1, 10, 3, 3), {Op: OpShmat, Len: pg(2), Flags: shmRemap, Ret: int64(pg(10))}}, "10-12 rw- opaque\n12-13 rw- anon mmap t1 #1", "; 10-12 t1; "},

		{"mprotect that meets a hole has changed what is below", []Event{evMmap(1, 10, 2, 0), evMmap(1, 13, 2, 0), failed(evMprotect(2, 11, 4, 3), unix.ENOMEM)},
			"10-11 --- anon mmap t1 #1\n11-12 rw- anon mprotect t2 #3\n13-15 --- anon mmap t1 #2", "11-12 t2; 11-12 t1; "},
		{"a failed munmap changes nothing", []Event{evMmap(1, 10, 2, 3), failed(evMunmap(10, 2), unix.EINVAL)}, "10-12 rw- anon mmap t1 #1", "; ; "},
		{"pointer tags are no part of an address", []Event{evMmap(1, 10, 2, 3), {Op: OpMunmap, Addr: pg(10) | 0xb4<<56, Len: pg(1)}}, "11-12 rw- anon mmap t1 #1", "; 10-11 t1; "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Options{})
			d := mustApply(t, s, tt.events...)
			if got := show(s); got != tt.rows {
				t.Errorf("rows\n%s\nwant\n%s", got, tt.rows)
			}
			if got := areas(d.Acquired) + "; " + areas(d.Released) + "; " + areas(d.Decommitted); got != tt.delta {
				t.Errorf("delta %q, want %q", got, tt.delta)
			}
		})
	}
}

func TestDirty(t *testing.T) {
	const fixed = unix.MREMAP_FIXED
	overlay := evMmap(1, 10, 2, 3)
	overlay.Flags |= unix.MAP_FIXED
	file := evFile(10, 2)
	file.Flags |= unix.MAP_FIXED
	huge := overlay
	huge.Flags |= unix.MAP_HUGETLB
	target := evMremap(1, 14, 1, 10, 1, fixed)
	before := Options{FixedBreaks: true}
	for _, tt := range []struct {
		name  string
		o     Options
		ev    Event
		pages []int // first and last of each range
	}{
		{"anonymous MAP_FIXED puts back what was there", Options{}, failed(overlay, unix.ENOMEM), nil},
		{"before 6.12 it may not", before, failed(overlay, unix.ENOMEM), []int{10, 12}},
		{"a file that refuses leaves a hole", Options{}, failed(file, unix.EPERM), []int{10, 12}},
		{"huge pages that run out leave a hole of their size", Options{}, failed(huge, unix.ENOMEM), []int{10, 522}},
		{"no file, no change", Options{}, failed(file, unix.EBADF), nil},
		{"MREMAP_FIXED from a hole changes nothing", Options{}, failed(target, unix.EFAULT), nil},
		{"before 6.17 it unmapped the target first", before, failed(target, unix.EFAULT), []int{10, 11}},
		{"MREMAP_FIXED of areas may have moved some", Options{}, failed(evMremap(1, 10, 3, 20, 3, fixed), unix.EFAULT), []int{10, 13, 20, 23}},
		{"MREMAP_FIXED that overlaps is refused at once", before, failed(evMremap(1, 10, 3, 11, 3, fixed), unix.EINVAL), nil},
		{"mprotect that is refused has changed the areas before", Options{}, failed(evMprotect(1, 10, 2, 3), unix.EACCES), []int{10, 12}},
		{"mprotect of a file has changed nothing that counts", Options{}, failed(evMprotect(1, 12, 1, 3), unix.EACCES), nil},
		{"mprotect ENOMEM without a hole is lack of memory", Options{}, failed(evMprotect(1, 10, 2, 3), unix.ENOMEM), []int{10, 12}},
		{"mprotect off the page boundary is refused at once", Options{}, failed(Event{Op: OpMprotect, Addr: pg(10) + 1, Len: pg(2), Prot: 3}, unix.EINVAL), nil},
		{"a call killed before the lock changes nothing", Options{}, failed(evMprotect(1, 10, 2, 3), unix.EINTR), nil},
		{"PROT_GROWSDOWN reaches to the area's edge", Options{}, evMprotect(1, 10, 2, 3|unix.PROT_GROWSDOWN), []int{0, -1}},
		{"SHM_REMAP that fails", Options{}, Event{Op: OpShmat, Addr: pg(10), Len: pg(1), Flags: shmRemap, Ret: -int64(unix.ENOMEM)}, []int{10, 11}},
		{"SHM_REMAP of unknown length", Options{}, Event{Op: OpShmat, Len: 0, Flags: shmRemap, Ret: int64(pg(11))}, []int{0, -1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(tt.o)
			mustApply(t, s, evMmap(1, 10, 2, 3), evFile(12, 1))
			tt.ev.Seq = 3
			var want []Range
			for i := 0; i < len(tt.pages); i += 2 {
				r := Range{pg(tt.pages[i]), pg(tt.pages[i+1])}
				if tt.pages[i+1] < 0 {
					r = whole
				}
				want = append(want, r)
			}
			if got := s.Apply(&tt.ev).Dirty; !slices.Equal(got, want) {
				t.Errorf("dirty %v, want %v", got, want)
			}
		})
	}
}

func TestForkInheritsThreads(t *testing.T) {
	s := mustParse(t, "1000-3000 rw-p 00000000 00:00 0 \n7000-9000 rw-p 00000000 00:00 0 [stack]\n")
	mustApply(t, s, evMmap(1, 10, 2, 3), evFile(12, 1), evBrk(2, 20, 22))
	c := s.Fork()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	want := "1-3 rw- anon inherited\n7-9 rw- stack inherited\n10-12 rw- anon inherited\n12-13 r-- opaque\n20-22 rw- heap inherited"
	if got := show(c); got != want {
		t.Errorf("child\n%s\nwant\n%s", got, want)
	}
	for a := range c.Over(Range{pg(10), pg(11)}) {
		if a.Thread.TID != 1 || a.Op != OpMmap || a.Call != 1 {
			t.Errorf("owner %+v, want thread 1's mmap", a.Owner)
		}
	}
	mustApply(t, c, evBrk(2, 22, 23))
	if !strings.HasSuffix(show(c), "20-22 rw- heap inherited\n22-23 rw- heap brk t2 #1") {
		t.Errorf("the child's brk joined what it inherited:\n%s", show(c))
	}
	if d := c.Diff(s); len(d) != 1 || d[0].Range != (Range{pg(22), pg(23)}) {
		t.Errorf("child against parent: %v", d)
	}
}

func TestEventsWithoutNumbersAreCalls(t *testing.T) {
	s := New(Options{})
	for _, ev := range []Event{evMmap(1, 10, 2, 3), evMmap(1, 12, 2, 3)} {
		s.Apply(&ev)
	}
	if got, want := show(s), "10-12 rw- anon mmap t1 #1\n12-14 rw- anon mmap t1 #2"; got != want {
		t.Errorf("rows\n%s\nwant\n%s", got, want)
	}
}

func TestDamagedEventsAreIgnored(t *testing.T) {
	for _, ev := range []Event{
		{Op: OpMmap, Flags: anonPrivate, Len: pg(1), Ret: 12345},
		{Op: OpMmap, Flags: anonPrivate, Len: ^uint64(0), Ret: int64(pg(1))},
		{Op: OpMunmap, Addr: pg(10) + 1, Len: pg(1)},
		{Op: OpMunmap, Addr: pg(10), Len: ^uint64(0)},
		evMremap(1, 10, 4, 11, 4, 0),
		{Op: OpMremap, Addr: pg(10), Len: pg(1), NewLen: ^uint64(0), Ret: int64(pg(10))},
		{Op: OpMprotect, Addr: pg(10), Len: ^uint64(0) - 5, Prot: 1},
		{Op: OpShmdt, Addr: pg(10)},
		{Op: 99, Addr: pg(10), Len: pg(1)},
	} {
		s := New(Options{})
		mustApply(t, s, evMmap(1, 10, 4, 3), ev)
		if got, want := show(s), "10-14 rw- anon mmap t1 #1"; got != want {
			t.Errorf("%+v made\n%s", ev, got)
		}
	}
}
