package strace

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

// mustScan reads a log written in a test.
func mustScan(tb testing.TB, o Options, lines ...string) ([]Record, Stats) {
	tb.Helper()
	r := NewReader(strings.NewReader(strings.Join(lines, "\n")+"\n"), o)
	var recs []Record
	for r.Scan() {
		recs = append(recs, *r.Record())
	}
	if r.Err() != nil {
		tb.Fatal(r.Err())
	}
	return recs, r.Stats()
}

// show writes a record's call as "tid op …" with the fields that its op has.
func show(rec *Record) string {
	ev := &rec.Event
	var s string
	switch rec.Kind {
	case Call:
		s = fmt.Sprintf("%d %v", rec.TID, ev.Op)
		switch ev.Op {
		case vma.OpMmap:
			s += fmt.Sprintf(" %x+%x prot %x flags %x", ev.Addr, ev.Len, ev.Prot, ev.Flags)
		case vma.OpMremap:
			s += fmt.Sprintf(" %x+%x to %x flags %x target %x", ev.Addr, ev.Len, ev.NewLen, ev.Flags, ev.Target)
		case vma.OpMprotect, vma.OpPkeyMprotect:
			s += fmt.Sprintf(" %x+%x prot %x", ev.Addr, ev.Len, ev.Prot)
		case vma.OpShmat:
			s += fmt.Sprintf(" %x+%x flags %x", ev.Addr, ev.Len, ev.Flags)
		default:
			s += fmt.Sprintf(" %x+%x", ev.Addr, ev.Len)
		}
		if ev.Failed() {
			s += fmt.Sprintf(" = -%d", ev.Errno())
		} else {
			s += fmt.Sprintf(" = %x", uint64(ev.Ret))
		}
	case Fork:
		s = fmt.Sprintf("%d fork %d shared %v thread %v", rec.TID, rec.Child, rec.Shared, rec.Thread)
	case Exit:
		s = fmt.Sprintf("%d exit %d %s whole %v", rec.TID, rec.Code, rec.Name, rec.Whole)
	case BadLine:
		var e *LineError
		errors.As(rec.Bad, &e)
		s = "bad: " + e.What
	case Signal:
		s = fmt.Sprintf("%d signal %s", rec.TID, rec.Name)
	default:
		s = fmt.Sprintf("%d %v %v = %x", rec.TID, rec.Kind, ev.Op, uint64(ev.Ret))
	}
	if rec.AddressUnknown {
		s += " address unknown"
	}
	if rec.Assumed {
		s += " assumed"
	}
	return s
}

const anonFlags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS

func TestLinesBecomeRecords(t *testing.T) {
	for name, tt := range map[string]struct {
		log  string
		want string
	}{
		"a failed call keeps its error": {
			`7 mmap(NULL, 1152921504606846976, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = -1 ENOMEM (Cannot allocate memory)`,
			`7 mmap 0+1000000000000000 prot 0 flags 22 = -12`},
		"an error without a name": {`7 munmap(0x1, 1) = -1 (errno 22)`, `7 munmap 1+1 = -22`},
		"an unknown error":        {`7 munmap(0x1000, 1) = -1 EKEYREJECTED (Key was rejected by service)`, `7 munmap 1000+1 = -129`},
		"huge pages of a size": {
			`7 mmap(NULL, 2097152, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|21<<MAP_HUGE_SHIFT, -1, 0) = 0x7f0000000000`,
			fmt.Sprintf(`7 mmap 0+200000 prot 1 flags %x = 7f0000000000`, anonFlags|unix.MAP_HUGETLB|21<<26)},
		"huge pages by name, a number left over": {
			`7 mmap(NULL, 2097152, PROT_READ|0x10000, MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGE_2MB|0x8000000, -1, 0) = 0x7f0000000000`,
			fmt.Sprintf(`7 mmap 0+200000 prot 10001 flags %x = 7f0000000000`, anonFlags|21<<26|0x8000000)},
		"raw arguments": {`7 mmap(0, 0x1000, 0x3, 0x22, 0xffffffffffffffff, 0) = 0x7f0000000000`,
			`7 mmap 0+1000 prot 3 flags 22 = 7f0000000000`},
		"verbose arguments": {`7 mmap(NULL, 4096, 0x3 /* PROT_READ|PROT_WRITE */, 0x22 /* MAP_PRIVATE|MAP_ANONYMOUS */, -1, 0) = 0x7f0000000000`,
			`7 mmap 0+1000 prot 3 flags 22 = 7f0000000000`},
		"a file's path with all that confuses": {`7 mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3</tmp/a,b) = (x\76, (y)>(deleted), 0x1000) = 0x7f0000000000`,
			`7 mmap 0+1000 prot 1 flags 1 = 7f0000000000`},
		"mmap2 of 32 bits":                 {`7 mmap2(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0x1) = 0xf7fc0000`, `7 mmap 0+1000 prot 1 flags 2 = f7fc0000`},
		"mremap that may move":             {`7 mremap(0x7f0000000000, 4096, 8192, MREMAP_MAYMOVE) = 0x7f0000010000`, `7 mremap 7f0000000000+1000 to 2000 flags 1 target 0 = 7f0000010000`},
		"mremap to a place":                {`7 mremap(0x7f0000000000, 4096, 4096, MREMAP_MAYMOVE|MREMAP_FIXED, 0x20000000) = 0x20000000`, `7 mremap 7f0000000000+1000 to 1000 flags 3 target 20000000 = 20000000`},
		"mremap that leaves its source":    {`7 mremap(0x7f0000000000, 4096, 4096, MREMAP_MAYMOVE|MREMAP_DONTUNMAP, 0) = 0x7f0000010000`, `7 mremap 7f0000000000+1000 to 1000 flags 5 target 0 = 7f0000010000`},
		"pkey_mprotect":                    {`7 pkey_mprotect(0x7f0000000000, 4096, PROT_NONE, 1) = 0`, `7 pkey_mprotect 7f0000000000+1000 prot 0 = 0`},
		"a segment's length by its shmget": {"7 shmget(IPC_PRIVATE, 20000, IPC_CREAT|0600) = 5\n7 shmat(5, NULL, SHM_RDONLY) = 0x7f0000000000\n7 shmat(6, NULL, 0) = 0x7f0000010000\n7 shmdt(0x7f0000000000) = 0", "7 shmat 0+4e20 flags 1000 = 7f0000000000\n7 shmat 0+0 flags 0 = 7f0000010000\n7 shmdt 7f0000000000+0 = 0"},
		"the break is followed": {"7 brk(NULL) = 0x5000\n7 brk(0x9000) = 0x9000\n7 brk(0x4000) = 0x9000\n7 brk(0x6000) = 0x6000",
			"7 brk 5000+0 = 5000\n7 brk 5000+0 = 9000\n7 brk 9000+0 = 9000\n7 brk 9000+0 = 6000"},
		"the first break is unknown":                       {"7 brk(0x9000) = 0x9000\n7 brk(0xa000) = 0xa000", "7 brk 9000+0 = 9000 address unknown\n7 brk 9000+0 = a000"},
		"a refused first break tells the old one":          {"7 brk(0x9000) = 0x5000", "7 brk 5000+0 = 5000"},
		"the break of a resumed half alone":                {"7 <... brk resumed>) = 0x9000\n7 brk(0xa000) = 0xa000", "7 brk 9000+0 = 9000 address unknown\n7 brk 9000+0 = a000"},
		"other calls are passed over, whatever they write": {`7 write(1, "mmap(NULL, 1) = 3\n", 18) = 18` + "\n" + `7 futex(0x7f, FUTEX_WAIT, 2, NULL <unfinished ...>` + "\n" + `7 <... futex resumed>) = 0`, ""},
		"exits and signals": {"7 --- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x0} ---\n7 +++ killed by SIGSEGV (core dumped) +++\n8 exit_group(3) = ?\n8 +++ exited with 3 +++\n9 exit(0 <unfinished ...>\n9 <... exit resumed>) = ?",
			"7 signal SIGSEGV\n7 exit 0 SIGSEGV whole true\n8 exit 3  whole true\n8 exit 3  whole false\n9 exit 0  whole false"},
		"threads and processes": {"7 clone(child_stack=0x7f, flags=CLONE_VM|CLONE_FS|CLONE_THREAD, parent_tid=[8], tls=0x7f, child_tidptr=0x7f) = 8\n" +
			"7 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD, stack=0x7f, stack_size=0x9000}, 88) = 9\n7 vfork() = 10\n7 fork() = 11\n" +
			"7 clone(child_stack=NULL, flags=0x1200000|17, child_tidptr=0x7f) = 12<java>\n7 fork() = -1 EAGAIN (Resource temporarily unavailable)",
			"7 fork 8 shared true thread true\n7 fork 9 shared true thread false\n7 fork 10 shared true thread false\n7 fork 11 shared false thread false\n7 fork 12 shared false thread false"},
		"both halves are one call":      {"7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>\n7 <... mmap resumed>) = 0x7f0000000000", "7 mmap 0+1000 prot 1 flags 22 = 7f0000000000"},
		"the old form of a second half": {"7 munmap(0x7f0000000000, 4096 <unfinished ...>\n7 <... munmap resumed> )      = 0", "7 munmap 7f0000000000+1000 = 0"},
		"beginnings alone": {"7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>\n7 mmap(0x10000, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0 <unfinished ...>\n" +
			"7 munmap(0x10000, 4096 <unfinished ...>\n7 mremap(0x10000, 4096, 8192, MREMAP_MAYMOVE <unfinished ...>\n7 mremap(0x10000, 8192, 4096, MREMAP_MAYMOVE <unfinished ...>\n7 brk(0x5000 <unfinished ...>\n7 clone(child_stack=0x7f, flags=CLONE_VM <unfinished ...>",
			"7 mmap 0+1000 prot 1 flags 22 = 0 address unknown assumed\n7 mmap 10000+1000 prot 1 flags 32 = 10000 assumed\n7 munmap 10000+1000 = 0 assumed\n" +
				"7 mremap 10000+1000 to 2000 flags 1 target 0 = 0 address unknown assumed\n7 mremap 10000+2000 to 1000 flags 1 target 0 = 10000 assumed\n7 brk 5000+0 = 5000 address unknown assumed"},
		"ends alone":                                 {"7 <... mmap resumed>) = 0x7f0000000000\n7 <... munmap resumed>) = 0", "7 orphan mmap = 7f0000000000\n7 orphan munmap = 0"},
		"a second half of another call":              {"7 munmap(0x10000, 4096 <unfinished ...>\n7 <... mmap resumed>) = 0x7f0000000000", "7 munmap 10000+1000 = 0 assumed\n7 orphan mmap = 7f0000000000"},
		"a call that never returned":                 {"7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>) = ?\n7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = ? ERESTARTNOINTR (To be restarted)", ""},
		"a line that is cut":                         {"7 mmap(NULL, 16781312, PROT_RE", "bad: a mmap that is cut or mixed"},
		"an address that is cut":                     {"7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f46d34e2", "bad: a mmap with a result that is cut"},
		"a line in the middle of another":            {"7 12:00:00.1 munmap(0x10000, 4096) = 0\n7 12:00:00.2 mmap(NULL, 16781312, PROT_READ|8 12:00:00.3 munmap(0x20000, 4096) = 0", "7 munmap 10000+1000 = 0\nbad: a mmap that is cut or mixed\n8 munmap 20000+1000 = 0"},
		"a result that is another line":              {"7 12:00:00.2 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 8 12:00:00.3 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000", "bad: a mmap that is cut or mixed\n8 mmap 0+1000 prot 1 flags 22 = 7f0000000000"},
		"words that are no call":                     {"Hello, world\n{\"json\": 1}\n12345\n[pid", "bad: no call\nbad: no call\nbad: no call\nbad: no call"},
		"strace's own remarks":                       {"strace: Process 25900 attached with 3 threads\n[ Process PID=7 runs in 32 bit mode. ]\nstrace: Process 8 attached\nProcess 8 detached\n\n > /lib/libc.so.6(mmap+0x7) [0x101a37]", ""},
		"a remark in the middle of a call":           {"[pid 7] mprotect(0x7f0000000000, 4096, PROT_NONEstrace: Process 9 attached\n) = 0 <0.000026>", "7 mprotect 7f0000000000+1000 prot 0 = 0"},
		"an execve that takes its process's PID":     {"9 execve(\"/bin/true\", [\"true\"], 0x7f /* 35 vars */ <unfinished ...>\n7 +++ superseded by execve in pid 9 +++\n7 <... execve resumed>) = 0", "7 exec exec = 0"},
		"an execve whose arguments look like an end": {"7 execve(\"/bin/sh\", [\"sh\", \"-c\", \"a) = 3\"], 0x7f /* 35 vars */) = 0 <0.000164>", "7 exec exec = 0"},
		"a failed execve is nothing":                 {"7 execve(\"/bin/x\", [\"x\"], 0x7f /* 35 vars */) = -1 ENOENT (No such file or directory)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			recs, _ := mustScan(t, Options{}, tt.log)
			var got []string
			for i := range recs {
				got = append(got, show(&recs[i]))
			}
			if text := strings.Join(got, "\n"); text != tt.want {
				t.Errorf("got\n%s\nwant\n%s", text, tt.want)
			}
		})
	}
}

func TestPrefixesOfEveryForm(t *testing.T) {
	const call = "munmap(0x10000, 4096) = 0"
	at := func(s string) int64 {
		v, err := time.Parse("2006-01-02 15:04:05.999999999", s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UnixNano()
	}
	for prefix, want := range map[string]struct {
		tid  uint32
		time int64
	}{
		"":                                      {5, 0},
		"25900 ":                                {25900, 0},
		"7     ":                                {7, 0},
		"[pid 25900] ":                          {25900, 0},
		"[pid     7] 22:48:40 ":                 {7, at("1970-01-02 22:48:40")},
		"25900 22:48:40.293407 ":                {25900, at("1970-01-02 22:48:40.293407")},
		"22:48:40.293407 ":                      {5, at("1970-01-02 22:48:40.293407")},
		"25900<java> 22:48:40.293407 ":          {25900, at("1970-01-02 22:48:40.293407")},
		"[pid 25900<my java>] 22:48:40.293407 ": {25900, at("1970-01-02 22:48:40.293407")},
		"25900 1614638920.293407 ":              {25900, at("2021-03-01 22:48:40.293407")},
		"1614638920.293407123 ":                 {5, at("2021-03-01 22:48:40.293407123")},
		"1614638920 ":                           {5, at("2021-03-01 22:48:40")},
		"25900      0.001026 ":                  {25900, at("1970-01-02 00:00:00.001026")},
		"     1.500000 ":                        {5, at("1970-01-02 00:00:01.5")},
		"     2 ":                               {5, at("1970-01-02 00:00:02")},
		"25900 22:48:40.293407 (+     0.000309) ":   {25900, at("1970-01-02 22:48:40.293407")},
		"25900 22:48:40 (+ 0.000309) [  11] ":       {25900, at("1970-01-02 22:48:40")},
		"25900 22:48:40 [00007fd2492b4a10] ":        {25900, at("1970-01-02 22:48:40")},
		"25900 22:48:40 [  11] [????????????????] ": {25900, at("1970-01-02 22:48:40")},
	} {
		recs, _ := mustScan(t, Options{PID: 5}, prefix+call)
		if len(recs) != 1 || recs[0].Kind != Call || recs[0].TID != want.tid || recs[0].Start != want.time || recs[0].Event.Thread.TID != want.tid {
			t.Errorf("%q: %+v", prefix, recs)
		}
	}
}
