package symbolize

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vmaleak/symbolize/hotspot"
	"vmaleak/symbolize/jvm"
)

// jdks finds the JDKs of this machine, each once; without any the test is left out.
func jdks(tb testing.TB) map[string]string {
	tb.Helper()
	found := map[string]string{}
	places, _ := filepath.Glob("/usr/lib/jvm/*/bin/java")
	if path, err := exec.LookPath("java"); err == nil {
		places = append([]string{path}, places...)
	}
	for _, place := range places {
		real, err := filepath.EvalSymlinks(place)
		if err != nil {
			continue
		}
		home := filepath.Dir(filepath.Dir(real))
		found[filepath.Base(home)] = real
	}
	if len(found) == 0 {
		skip(tb, "needs a JDK: none below /usr/lib/jvm nor on the PATH")
	}
	return found
}

// mustCompile compiles the test program once for all JDKs of a test.
func mustCompile(tb testing.TB, jdks map[string]string) (classes string) {
	tb.Helper()
	classes = tb.TempDir()
	for _, java := range jdks {
		javac := filepath.Join(filepath.Dir(java), "javac")
		if _, err := os.Stat(javac); err != nil {
			continue
		}
		cmd := exec.Command(javac, "--release", "8", "-Xlint:-options", "-encoding", "UTF-8", "-J-XX:TieredStopAtLevel=1", "-d", classes, "testdata/Named.java")
		if out, err := cmd.CombinedOutput(); err != nil {
			tb.Fatalf("%v: %v: %s", cmd.Args, err, out)
		}
		return classes
	}
	skip(tb, "needs a JDK with javac")
	return ""
}

// named is one thread as the program itself knows it.
type named struct {
	nid  int
	name string
}

// thread reads a line "T NID BASE64" of the test program.
func (p *target) thread() named {
	p.tb.Helper()
	return p.parse(p.line())
}

func (p *target) parse(line string) named {
	p.tb.Helper()
	f := strings.Split(line, " ")
	if len(f) != 3 || f[0] != "T" {
		p.tb.Fatalf("the test program says %q", line)
	}
	nid, err := strconv.Atoi(f[1])
	name, err2 := base64.StdEncoding.DecodeString(f[2])
	if err := errors.Join(err, err2); err != nil {
		p.tb.Fatal(err)
	}
	return named{nid, string(name)}
}

// mustJVM starts the test program with so many threads and reads who they are.
func mustJVM(tb testing.TB, count int, argv ...string) (*target, []named) {
	tb.Helper()
	p := mustStart(tb, exec.Command(argv[0], append(argv[1:], strconv.Itoa(count))...))
	threads := make([]named, count+1) // main too
	for i := range threads {
		threads[i] = p.thread()
	}
	return p, threads
}

// wantNames checks that a Namer has every thread's name.
func wantNames(t *testing.T, n *Namer, threads []named, alive bool) {
	t.Helper()
	known := map[int]Thread{}
	for th := range n.Threads() {
		known[th.NSTID] = th
	}
	for _, want := range threads {
		got, ok := known[want.nid]
		switch {
		case !ok:
			t.Errorf("no thread with nid %d (%q)", want.nid, want.name)
		case got.Name == nil:
			t.Errorf("nid %d: no name, want %q", want.nid, want.name)
		case *got.Name != want.name || got.Pool != Pool(want.name):
			t.Errorf("nid %d: name %q, pool %q, want %q", want.nid, *got.Name, got.Pool, want.name)
		case got.Alive != alive || got.GoneAt.IsZero() != alive:
			t.Errorf("nid %d: %+v, want alive %v", want.nid, got, alive)
		}
	}
}

// mute is a Namer.read of a JVM whose memory does not tell.
func mute() ([]hotspot.Thread, string, error) {
	return nil, "", hotspot.ErrNotHotSpot
}

func TestNamesOfAJVM(t *testing.T) {
	jdks := jdks(t)
	classes := mustCompile(t, jdks)
	for name, java := range jdks {
		for _, way := range []string{"memory", "dumps"} {
			t.Run(name+" by "+way, func(t *testing.T) {
				p, threads := mustJVM(t, 50, java, "-Xmx64m", "-cp", classes, "Named")
				n := NewNamer(p.pid(), NamerOptions{Named: true})
				defer n.Close()
				next := time.Minute // when names may be fetched again at the latest, under any load
				if way == "dumps" {
					n.read, next = mute, minInterval
				}
				followNames(t, n, p, threads, next)
				switch e := n.Effects(); {
				case way == "dumps" && (e.Dumps != 2 || e.DumpPause <= 0 || e.Refused > 1 || e.Readings != 0):
					t.Errorf("by dumps: effects %+v", e)
				case way == "memory" && (e.Readings < 2 || e.Attaches != 0 || e.Dumps != 0):
					t.Errorf("by memory: effects %+v", e)
				}
			})
		}
	}
}

// followNames follows the names of a JVM from the start to its end.
func followNames(t *testing.T, n *Namer, p *target, threads []named, next time.Duration) {
	t.Helper()
	now := time.Unix(1000, 0)
	if err := n.Refresh(now); err != nil {
		t.Fatal(err)
	}
	if !n.Due(now) || n.Due(now) {
		t.Fatal("names are due at the start, once")
	}
	results := make(chan Result, 1)
	go func() { results <- n.Fetch(t.Context()) }()
	for len(results) == 0 { // the owner goes on meanwhile
		if err := n.Refresh(now); err != nil {
			t.Fatal(err)
		}
	}
	n.Adopt(<-results, now)
	if err := n.Err(); err != nil {
		t.Fatal(err)
	}
	wantNames(t, n, threads, true)
	if n.JVM() == "" {
		t.Error("the version is not known")
	}
	virtualMachineThreads(t, n)

	// A thread that comes later: known by its comm at once, by name after the next Fetch.
	late := p.parse(p.ask("start latecomer-number-77"))
	st, err := n.readTask(late.nid)
	if err != nil {
		t.Fatal(err)
	}
	if !n.Saw(uint32(late.nid), st.StartTicks) {
		t.Fatal("a live thread is not found at once")
	}
	if th, ok := n.Lookup(uint32(late.nid), st.StartTicks); !ok || th.Name != nil || th.Comm != "latecomer-numbe" {
		t.Errorf("before the names are fetched: %+v %v", th, ok)
	}
	if n.Due(now.Add(minReading - 1)) {
		t.Error("due too early")
	}
	until(t, "the thread's tick of birth is over", func() bool { return bootTicks() > st.StartTicks })
	if now = now.Add(next); !n.Due(now) {
		t.Fatalf("not due after %v, though a thread with events has no name", next)
	}
	n.Adopt(n.Fetch(t.Context()), now)
	wantNames(t, n, []named{late}, true)

	// It dies and keeps its name; the process dies and all keep theirs.
	if p.ask("stop") != "ok" {
		t.Fatal("not stopped")
	}
	until(t, "the thread is gone", func() bool {
		if err := n.Refresh(now); err != nil {
			t.Fatal(err)
		}
		th, _ := n.Lookup(uint32(late.nid), st.StartTicks)
		return !th.Alive
	})
	wantNames(t, n, []named{late}, false)
	p.kill()
	if err := n.Refresh(now); !errors.Is(err, ErrGone) {
		t.Errorf("after the end of the process: %v", err)
	}
	wantNames(t, n, threads, false)
	if now = now.Add(time.Hour); n.Due(now) {
		n.Adopt(n.Fetch(t.Context()), now)
	}
	if n.Due(now.Add(time.Hour)) {
		t.Error("due again after the end of the process")
	}
}

// virtualMachineThreads checks that GC and compiler threads have names as well, if only the kernel's.
func virtualMachineThreads(t *testing.T, n *Namer) {
	t.Helper()
	pools := map[string]int{}
	for th := range n.Threads() {
		pools[th.Pool]++
	}
	for _, want := range []string{"VM Thread", "C2 CompilerThread#", "WorkerPetalGroup-9-#", "main"} {
		if pools[want] == 0 {
			t.Errorf("no thread in pool %q of %v", want, pools)
		}
	}
	if pools["WorkerPetalGroup-9-#"] != 42 {
		t.Errorf("%d workers, want 42", pools["WorkerPetalGroup-9-#"])
	}
}

func TestNamesAcrossPIDNamespaces(t *testing.T) {
	needRoot(t, "make a PID namespace")
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		skip(t, "needs unshare(1)")
	}
	jdks := jdks(t)
	classes := mustCompile(t, jdks)
	for name, java := range jdks {
		t.Run(name, func(t *testing.T) {
			p, threads := mustJVM(t, 10, unshare, "--pid", "--fork", "--mount-proc", "--kill-child", java, "-Xmx64m", "-cp", classes, "Named")
			pid := mustChild(t, p.pid())
			proc, err := ReadProcess(pid)
			if err != nil {
				t.Fatal(err)
			}
			if !proc.IsJVM || proc.Name != "Named" || proc.NSPID != 1 || !proc.OtherPIDNamespace || !proc.OtherMountNamespace {
				t.Errorf("%+v", proc)
			}
			n := NewNamer(pid, NamerOptions{Named: true, StartTicks: proc.StartTicks})
			defer n.Close()
			now := time.Unix(1000, 0)
			if err := n.Refresh(now); err != nil {
				t.Fatal(err)
			}
			if !n.Due(now) {
				t.Fatal("not due")
			}
			n.Adopt(n.Fetch(t.Context()), now)
			if err := n.Err(); err != nil {
				t.Fatal(err)
			}
			wantNames(t, n, threads, true)
			for th := range n.Threads() {
				if th.TID == th.NSTID {
					t.Errorf("%+v: the number inside is the number outside", th)
				}
			}
			p.finish()
		})
	}
}

// mustChild is the only child of a process.
func mustChild(tb testing.TB, pid int) int {
	tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		tb.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		tb.Fatalf("children of process %d: %q", pid, b)
	}
	return child
}

func TestNamesWithoutSignal(t *testing.T) {
	jdks := jdks(t)
	classes := mustCompile(t, jdks)
	java := slices.Min(slices.Collect(maps.Values(jdks))) // which one makes no difference here
	p, threads := mustJVM(t, 2, java, "-Xmx64m", "-cp", classes, "Named")
	now := time.Unix(1000, 0)
	n := NewNamer(p.pid(), NamerOptions{}) // found by a scan, not named by the user
	defer n.Close()
	n.read = mute
	if err := n.Refresh(now); err != nil {
		t.Fatal(err)
	}
	if !n.Due(now) {
		t.Fatal("not due")
	}
	n.Adopt(n.Fetch(t.Context()), now)
	if !errors.Is(n.Err(), jvm.ErrNoSocket) || n.Effects().Dumps != 0 || n.Effects().Refused != 1 {
		t.Errorf("without a socket: %v, %+v", n.Err(), n.Effects())
	}
	// Somebody else has the JVM open its socket: now names come.
	named := NewNamer(p.pid(), NamerOptions{Named: true})
	defer named.Close()
	named.read = mute
	if !named.Due(now) {
		t.Fatal("not due for the one who was named")
	}
	if r := named.Fetch(t.Context()); r.Err != nil {
		t.Fatal(r.Err)
	}
	if now = now.Add(minInterval); !n.Due(now) {
		t.Fatal("not due again")
	}
	n.Adopt(n.Fetch(t.Context()), now)
	if err := n.Err(); err != nil {
		t.Fatal(err)
	}
	wantNames(t, n, threads, true)

	none := NewNamer(p.pid(), NamerOptions{Attach: AttachNo, Named: true})
	defer none.Close()
	none.read = mute
	if !none.Due(now) {
		t.Fatal("not due to be read")
	}
	none.Adopt(none.Fetch(t.Context()), now)
	if e := none.Effects(); e.Attaches != 0 || none.Err() == nil {
		t.Errorf("asked, though attaching was ruled out: %+v, %v", e, none.Err())
	}
}
