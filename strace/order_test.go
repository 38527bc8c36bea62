package strace

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"vmaleak/vma"
)

func TestReleasesTakeEffectWhereTheyBegin(t *testing.T) {
	const anon = "PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0"
	for name, tt := range map[string]struct {
		lines []string
		want  string
	}{
		"a munmap that is logged after the mmap that got its memory": {[]string{
			"1 12:00:00.1 munmap(0x7f0000000000, 4096 <unfinished ...>",
			"2 12:00:00.2 mmap(NULL, 4096, " + anon + ") = 0x7f0000000000",
			"1 12:00:00.3 <... munmap resumed>) = 0"}, "munmap mmap"},
		"an mmap that is logged before the munmap began and ends after": {[]string{
			"2 12:00:00.1 mmap(NULL, 4096, " + anon + " <unfinished ...>",
			"1 12:00:00.2 munmap(0x7f0000000000, 4096 <unfinished ...>",
			"2 12:00:00.3 <... mmap resumed>) = 0x7f0000000000",
			"1 12:00:00.4 <... munmap resumed>) = 0"}, "munmap mmap"},
		"an mremap away from memory that another thread got": {[]string{
			"1 12:00:00.1 mremap(0x7f0000000000, 4096, 8192, MREMAP_MAYMOVE <unfinished ...>",
			"3 12:00:00.2 munmap(0x7f0000100000, 8192 <unfinished ...>",
			"2 12:00:00.2 mmap(NULL, 4096, " + anon + ") = 0x7f0000000000",
			"1 12:00:00.3 <... mremap resumed>) = 0x7f0000100000",
			"3 12:00:00.4 <... munmap resumed>) = 0"}, "munmap mremap mmap"},
		"an mremap otherwise ends last": {[]string{
			"1 12:00:00.1 mremap(0x7f0000000000, 4096, 8192, MREMAP_MAYMOVE <unfinished ...>",
			"3 12:00:00.2 munmap(0x7f0000100000, 8192) = 0",
			"1 12:00:00.3 <... mremap resumed>) = 0x7f0000100000"}, "munmap mremap"},
		"a child's calls before its parent's clone returned": {[]string{
			"1 12:00:00.1 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>",
			"2 12:00:00.2 munmap(0x7f0000000000, 4096) = 0",
			"1 12:00:00.3 <... clone resumed>, child_tidptr=0x7f) = 2"}, "fork munmap"},
	} {
		t.Run(name, func(t *testing.T) {
			recs, stats := mustScan(t, Options{}, tt.lines...)
			var got []string
			last := int64(0)
			for _, rec := range recs {
				got = append(got, rec.Event.Op.String())
				if rec.Event.Time < last {
					t.Errorf("%v: time runs backwards", rec.Event.Op)
				}
				last = rec.Event.Time
			}
			if text := strings.Join(got, " "); text != tt.want || stats.Unresumed != 0 {
				t.Errorf("got %s, want %s; %+v", text, tt.want, stats)
			}
		})
	}
}

func TestAddressSpacesAreToldApart(t *testing.T) {
	recs, _ := mustScan(t, Options{},
		"1 munmap(0x1000, 4096) = 0",
		"1 clone(child_stack=0x7f, flags=CLONE_VM|CLONE_THREAD) = 2",
		"2 munmap(0x1000, 4096) = 0",
		"1 vfork( <unfinished ...>",
		"3 munmap(0x1000, 4096) = 0",
		"3 execve(\"/bin/true\", [\"true\"], 0x7f /* 1 var */) = 0",
		"1 <... vfork resumed>) = 3",
		"3 munmap(0x1000, 4096) = 0",
		"1 fork() = 4",
		"4 munmap(0x1000, 4096) = 0",
		"4 +++ exited with 0 +++",
		"1 clone(child_stack=0x7f, flags=CLONE_VM|CLONE_THREAD) = 4",
		"4 munmap(0x1000, 4096) = 0",
		"1 execve(\"/bin/true\", [\"true\"], 0x7f /* 1 var */) = 0",
		"1 munmap(0x1000, 4096) = 0")
	var got []string
	for _, rec := range recs {
		if rec.Kind == Call {
			got = append(got, fmt.Sprintf("%d:%d#%d", rec.TID, rec.Space, rec.Event.Seq))
		}
	}
	if text := strings.Join(got, " "); text != "1:0#1 2:0#2 3:0#3 3:1#1 4:2#1 4:0#4 1:3#1" {
		t.Errorf("got %s", text)
	}
}

func TestBreaksAreCopiedByForkAndLostByExec(t *testing.T) {
	recs, stats := mustScan(t, Options{}, "1 brk(NULL) = 0x5000", "1 fork() = 2", "2 brk(0x6000) = 0x6000",
		"1 brk(0x7000) = 0x7000", "2 execve(\"/x\", [], 0x7f) = 0", "2 brk(0x900000) = 0x900000")
	var got []string
	for i := range recs {
		if recs[i].Kind == Call {
			got = append(got, show(&recs[i]))
		}
	}
	want := "1 brk 5000+0 = 5000, 2 brk 5000+0 = 6000, 1 brk 5000+0 = 7000, 2 brk 900000+0 = 900000 address unknown"
	if text := strings.Join(got, ", "); text != want || stats.BreakUnknown != 1 {
		t.Errorf("got %s, want %s", text, want)
	}
}

func TestTheUnnamedThreadOfATerminalLogIsFound(t *testing.T) {
	recs, _ := mustScan(t, Options{},
		"22:06:51.1 munmap(0x1000, 4096) = 0",
		"22:06:51.2 clone3({flags=CLONE_VM|CLONE_THREAD}strace: Process 101 attached",
		" => {parent_tid=[101]}, 88) = 101 <0.000047>",
		"[pid 101] 22:06:51.3 munmap(0x1000, 4096) = 0",
		"[pid 100] 22:06:51.4 munmap(0x1000, 4096) = 0",
		"[pid 101] 22:06:51.5 +++ exited with 0 +++",
		"22:06:51.6 munmap(0x1000, 4096) = 0")
	var got []uint32
	for _, rec := range recs {
		if rec.Kind == Call {
			got = append(got, rec.TID)
		}
	}
	if fmt.Sprint(got) != "[100 101 100 100]" {
		t.Errorf("threads %v", got)
	}
}

func TestAnEndThatNeverComesDoesNotHoldTheLogBack(t *testing.T) {
	var b strings.Builder
	b.WriteString("1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>\n")
	b.WriteString("2 munmap(0x7f0000000000, 4096 <unfinished ...>\n")
	for range 200_000 {
		b.WriteString("3 munmap(0x1000, 4096) = 0\n")
	}
	b.WriteString("1 <... mmap resumed>) = 0x7f0000000000\n2 <... munmap resumed>) = 0\n")
	r := NewReader(strings.NewReader(b.String()), Options{})
	n := 0
	var last Record
	for r.Scan() {
		n++
		last = *r.Record()
	}
	s := r.Stats()
	if n != 200_002 || s.Forced != 2 || s.AddressUnknown != 0 || last.Event.Op != vma.OpMmap || len(r.queue.buf) > 1<<17 {
		t.Errorf("%d records, %+v, last %s", n, s, show(&last))
	}
}

func TestALineTooLongIsCutAndCounted(t *testing.T) {
	long := "1 write(1, \"" + strings.Repeat("x", 3<<20) + "\", 1) = 1"
	recs, s := mustScan(t, Options{}, "1 munmap(0x1000, 4096) = 0", long, "1 munmap(0x2000, 4096) = 0")
	if s.Cut != 1 || s.Lines != 3 || len(recs) != 2 || recs[1].Line != 3 {
		t.Errorf("%+v", s)
	}
}

func TestAnErrorOfTheFileEndsTheLogAndIsReturned(t *testing.T) {
	broken := errors.New("broken disk")
	r := NewReader(io.MultiReader(strings.NewReader("1 munmap(0x1000, 4096) = 0\n1 munm"), iotest.ErrReader(broken)), Options{})
	n := 0
	for r.Scan() {
		n++
	}
	if n == 0 || !errors.Is(r.Err(), broken) {
		t.Errorf("%d records, %v", n, r.Err())
	}
}

func TestALastLineWithoutItsDurationIsNotBelieved(t *testing.T) {
	r := NewReader(strings.NewReader("1 munmap(0x1000, 4096) = 0 <0.000012>\n1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f000000"), Options{})
	for r.Scan() {
	}
	if s := r.Stats(); s.Bad != 1 || s.Calls != 1 {
		t.Errorf("%+v", s)
	}
}
