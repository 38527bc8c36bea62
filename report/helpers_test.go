package report

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmaleak/leak"
	"vmaleak/vma"
)

var update = flag.Bool("update", false, "write the golden files anew")

var epoch = time.Date(2021, 3, 1, 22, 48, 40, 0, time.UTC)

const chunk = 16_781_312

// scene is a ledger under construction.
type scene struct {
	l     *leak.Ledger
	s     *leak.Space
	vm    *vma.Space
	now   time.Time
	addr  uint64
	seq   uint64
	facts leak.Facts

	stacks []*leak.Stack
	stack  uint32 // of the next mmap
}

func newScene(p leak.Process) *scene {
	sc := &scene{vm: vma.New(vma.Options{}), now: epoch, addr: 0x7f4674483000}
	sc.l = leak.New(leak.Options{Stack: func(n uint32) *leak.Stack { return sc.stacks[n-1] }})
	truth := vma.New(vma.Options{})
	truth.Apply(&vma.Event{Op: vma.OpMmap, Len: 31 * chunk, Prot: 3, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, Ret: 0x7f4600000000})
	truth.Apply(&vma.Event{Op: vma.OpMmap, Len: 1 << 30, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, Ret: 0x100000000})
	sc.vm.Reconcile(truth, nil, vma.PreExisting)
	sc.s = sc.l.Open(p, sc.vm, epoch)
	sc.facts.Verified = true
	return sc
}

// james is the process of the story.
func james() *scene {
	sc := newScene(leak.Process{PID: 16067, PIDs: []int{16067}, NSPID: 16067, Space: "16067-0", StartedAt: epoch.Add(-72 * time.Hour), Name: "james",
		Comm: "java", Exe: "/usr/lib/jvm/java-8/bin/java", Cmdline: []string{"java", "-jar", "james.jar"},
		Backend: leak.Backend{Mode: "lock-sequence", Hooks: map[string]string{"mmap": "tracepoint"}}})
	for i := range 8 {
		name := fmt.Sprintf("WorkerPetalGroup-9-%d", i+1)
		sc.thread(25893+i, "WorkerPetalGrou", &name)
	}
	return sc
}

func (sc *scene) thread(tid int, comm string, name *string) vma.Thread {
	t := vma.Thread{TID: uint32(tid), Start: 5000}
	sc.facts.Threads = append(sc.facts.Threads, leak.ThreadFacts{Thread: t, NSTID: tid, StartedAt: epoch.Add(-time.Hour), Comm: comm, Name: name, Alive: true})
	return t
}

func (sc *scene) mmap(i int, length uint64) (addr uint64) {
	sc.seq++
	addr = sc.addr
	ev := vma.Event{Seq: sc.seq, Time: sc.now.UnixNano(), Op: vma.OpMmap, Len: length, Prot: 3,
		Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, Ret: int64(addr), Thread: sc.facts.Threads[i].Thread, Stack: sc.stack}
	sc.s.Book(&ev, sc.vm.Apply(&ev))
	sc.addr += (length + 8191) &^ 4095
	return addr
}

// steps leaks n steps of eight chunks.
func (sc *scene) steps(n int) *scene {
	for step := range n {
		for i := range 8 {
			sc.now = epoch.Add(time.Duration(step)*52*time.Minute + time.Duration(i)*2*time.Second)
			sc.mmap(i, chunk)
		}
		sc.l.Tick(sc.now)
	}
	return sc
}

func (sc *scene) snapshot(tb testing.TB, source string) *leak.Snapshot {
	tb.Helper()
	resident := uint64(10_952_166_604)
	sc.facts.Resident = &resident
	host := "mail-3"
	s := sc.l.Snapshot(sc.now, leak.Header{Tool: leak.Tool{Version: "0.0.0-test"}, Host: leak.Host{Hostname: &host}, Source: source, StartedAt: epoch},
		func(*leak.Space) leak.Facts { return sc.facts })
	if err := s.CheckValid(); err != nil {
		tb.Fatal(err)
	}
	return s
}

// golden compares got with the file of that name, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Errorf("%s differs (-update writes it anew); got:\n%s", path, got)
	}
}

func text(s string) *string { return &s }

// snapshots are the scenes that have goldens.
func snapshots(t testing.TB) map[string]*leak.Snapshot {
	out := map[string]*leak.Snapshot{"story": james().steps(12).snapshot(t, leak.SourceLive)}

	sc := james()
	sc.now = epoch.Add(10 * time.Minute)
	out["quiet"] = sc.snapshot(t, leak.SourceLive)

	sc = james().steps(1)
	sc.now = epoch.Add(10 * time.Minute)
	sc.facts.Events = leak.Events{Received: 100, Applied: 97, Lost: 3, Gaps: 2, Resyncs: 1, DriftBytes: 8192, Untraced: map[string]uint64{"mlock": 3}}
	sc.facts.Verified, sc.facts.UnverifiedBecause = false, "2 numbers are in flight"
	sc.facts.Effects = leak.Effects{Dumps: 2, DumpPauseNS: 12e6, CPUNS: 1300e6}
	why := "there was no time to read all its lists"
	sc.facts.Malloc = &leak.MallocFacts{At: sc.now, Arenas: []leak.Arena{{Kind: leak.MainArena, Start: 0x55d0c0000000, Committed: 1 << 20, Free: 1 << 19, FreeResident: 1 << 18},
		{Kind: leak.OtherArena, Start: 0x7f4640000000, Heaps: []leak.Addr{0x7f4640000000}, Committed: 60 << 20, Free: 50 << 20, FreeResident: 40 << 20, KeptResident: 4 << 20, Incomplete: &why}}}
	out["doubtful"] = sc.snapshot(t, leak.SourceLive)

	sc = newScene(leak.Process{PID: 77, Space: "77-0", Name: "evil\x1b]0;pwned\a\x1b[2Jname\nPID 1", Comm: "ev\xe4\xb8", Cmdline: []string{"a\xff"}})
	sc.thread(1, "Worker\xe6\x97", nil)
	sc.thread(2, "x", text("\x1b[31mred\x1b[0m\r\n\"quoted\" <tag> \u202egnp.exe"))
	sc.thread(3, "x", text(""))
	sc.thread(4, "x", text("工作线程池名字很长很长很长很长很长很长-17"))
	sc.thread(5, "x", text("a-very-long-name-that-does-not-fit-into-any-column-of-the-screen-thread-12345678"))
	sc.thread(6, "x", text("e\u0301\u0301\u0301\u0301 zero\u200bwidth"))
	for i := range 6 {
		sc.mmap(i, uint64(i+1)<<20)
	}
	sc.now = epoch.Add(time.Minute)
	out["hostile"] = sc.snapshot(t, leak.SourceLive)

	for name, s := range stackScenes(t) {
		out[name] = s
	}

	sc = james().steps(2)
	sc.s.End(sc.now.Add(time.Minute), leak.EndedOOM)
	child := sc.l.Open(leak.Process{PID: 16068, Space: "16068-0", Parent: "16067-0", Comm: "java"}, sc.vm.Fork(), sc.now)
	child.Process().PIDs = []int{16068}
	sc.now = sc.now.Add(2 * time.Minute)
	out["ended"] = sc.snapshot(t, leak.SourceLive)

	sc = &scene{l: leak.New(leak.Options{}), vm: vma.New(vma.Options{}), now: epoch}
	sc.s = sc.l.Open(leak.Process{Space: "strace"}, sc.vm, epoch)
	ev := vma.Event{Seq: 1, Time: epoch.UnixNano(), Op: vma.OpMmap, Len: chunk, Prot: 3, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, Ret: 0x7f0000000000, Inferred: true}
	sc.s.Book(&ev, sc.vm.Apply(&ev))
	ev.Seq, ev.Thread.TID = 2, 25897
	sc.s.Float(&ev, chunk)
	s := sc.l.Snapshot(epoch.Add(time.Minute), leak.Header{Source: leak.SourceStrace, Undated: true}, nil)
	if err := s.CheckValid(); err != nil {
		t.Fatal(err)
	}
	out["undated"] = s
	return out
}
