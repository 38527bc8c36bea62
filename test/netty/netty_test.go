package netty

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"vmaleak/leak"
	"vmaleak/report"
)

const pool = "WorkerPetalGroup-9-#"

var worker = regexp.MustCompile(`^WorkerPetalGroup-9-[1-4]$`)

// TestStory is the story, live, and beside it the same server without the
// leak. They run long enough for growth to be told: none is within 30 s.
func TestStory(t *testing.T) {
	for _, version := range []string{"17", "25"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			java, classPath := needAll(t, version)
			leaking := startTraced(t, java, classPath)
			sound := startTraced(t, java, classPath, "--no-leak")
			strace, log := startStrace(t, leaking.server.Process.Pid)
			leaking.load(t, java, classPath)
			sound.load(t, java, classPath)
			leaking.client.wait(t)
			strace.interrupt(t)
			strace.until(t, "it has detached", func() bool { return !isTraced(t, leaking.server.Process.Pid) })

			t.Run("leak", func(t *testing.T) {
				snap, e := leaking.end(t)
				checkPool(t, e)
				checkChunks(t, e, log)
				checkStacks(t, snap, e)
				checkText(t, snap, &leaking)
			})
			t.Run("no leak", func(t *testing.T) {
				sound.client.wait(t)
				snap, e := sound.end(t)
				checkStill(t, snap, e)
			})
		})
	}
}

// traced is a server, its trace and its load.
type traced struct {
	server, trace, client *process
	port, export          string
}

func startTraced(tb testing.TB, java, classPath string, args ...string) (r traced) {
	tb.Helper()
	r.server, r.port = startServer(tb, java, classPath, args...)
	r.trace, r.export = startTrace(tb, r.server.Process.Pid)
	return r
}

// load has 400 messages a second sent, and checked.
func (r *traced) load(tb testing.TB, java, classPath string) {
	tb.Helper()
	r.client = start(tb, java, "-cp", classPath, "NettyLoad", "--port", r.port, "--rate", "400", "--seconds", "31")
}

// end ends the trace, and reads its export.
func (r *traced) end(tb testing.TB) (*leak.Snapshot, *leak.Entry) {
	tb.Helper()
	r.trace.interrupt(tb)
	r.trace.wait(tb)
	return mustExport(tb, r.export)
}

// checkStill wants no growth: the first chunk of each arena stays for ever, and is no leak.
func checkStill(tb testing.TB, snap *leak.Snapshot, e *leak.Entry) {
	tb.Helper()
	p := poolOf(e)
	if p == nil {
		tb.Fatalf("no pool %s: its threads map the first chunk of each arena", pool)
	}
	tb.Logf("%s holds %d bytes in %d mappings", pool, p.Outstanding, p.Mappings)
	if g := p.Growth.PerHour; g != nil {
		tb.Errorf("%s is said to grow by %d bytes an hour", pool, *g)
	}
	if first := firstLine(tb, snap); strings.HasPrefix(first, pool) {
		tb.Errorf("the report begins with %q", first)
	}
}

func isTraced(tb testing.TB, pid int) bool {
	tb.Helper()
	text := must[[]byte](tb)(os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)))
	return !bytes.Contains(text, []byte("\nTracerPid:\t0\n"))
}

// mustExport reads an export that must be valid and complete.
func mustExport(tb testing.TB, path string) (*leak.Snapshot, *leak.Entry) {
	tb.Helper()
	doc := must[[]byte](tb)(os.ReadFile(path))
	if err := report.Validate(doc); err != nil {
		tb.Errorf("the schema refuses the export: %v", err)
	}
	snap, err := report.ReadJSON(bytes.NewReader(doc)) // the sum rules too
	if err != nil {
		tb.Fatal(err)
	}
	if len(snap.Processes) != 1 {
		tb.Fatalf("%d processes, want 1", len(snap.Processes))
	}
	e := snap.Processes[0]
	if ev := e.Events; ev.Lost != 0 || ev.Gaps != 0 || ev.DriftBytes != 0 || e.Totals.Healed != 0 {
		tb.Errorf("lost %d, gaps %d, drift %d, healed %d bytes", ev.Lost, ev.Gaps, ev.DriftBytes, e.Totals.Healed)
	}
	if !e.Verified {
		tb.Errorf("not verified: %s", *e.UnverifiedBecause)
	}
	return snap, e
}

func poolOf(e *leak.Entry) *leak.Pool {
	for i := range e.Pools {
		if e.Pools[i].Name == pool {
			return &e.Pools[i]
		}
	}
	return nil
}

// checkPool wants the chunks under the workers, and nobody else.
func checkPool(tb testing.TB, e *leak.Entry) {
	tb.Helper()
	owners := map[string]int{}
	for i := range e.Mappings {
		m := &e.Mappings[i]
		if m.Length != chunk || m.Thread == nil {
			continue
		}
		th := &e.Threads[*m.Thread]
		if th.Name == nil || !worker.MatchString(*th.Name) || th.Pool == nil || *th.Pool != pool {
			tb.Errorf("the chunk at %v belongs to thread %v, pool %v", m.Start, said(th.Name), said(th.Pool))
			continue
		}
		owners[*th.Name]++
	}
	tb.Logf("chunks: %v", owners)
	if len(owners) != 4 {
		tb.Errorf("%d workers own chunks, want 4", len(owners))
	}
	p := poolOf(e)
	switch {
	case p == nil:
		tb.Errorf("no pool %s", pool)
	case p.Growth.PerHour == nil:
		tb.Errorf("%s, with %d chunks, is not said to grow", pool, p.Mappings)
	case p.Size == nil || *p.Size != chunk:
		tb.Errorf("the main size of %s is %v, want %d", pool, p.Size, chunk)
	}
}

// checkChunks wants every chunk of the strace log in the export and none besides.
func checkChunks(tb testing.TB, e *leak.Entry, log string) {
	tb.Helper()
	f := must[*os.File](tb)(os.Open(log))
	defer f.Close()
	want := must[map[uint64]mapped](tb)(chunksIn(f))
	if len(want) < 8 {
		tb.Fatalf("strace logged %d chunks: too few for a test", len(want))
	}
	tb.Logf("strace logged %d chunks that stay", len(want))
	for i := range e.Mappings {
		m := &e.Mappings[i]
		if m.Length != chunk || m.TID == nil {
			continue
		}
		w, ok := want[uint64(*m.Start)]
		if !ok {
			tb.Errorf("strace did not log the chunk at %v of tid %d", *m.Start, *m.TID)
		} else if *m.TID != w.tid || *m.AcquiredLength != w.length {
			tb.Errorf("the chunk at %v is %d bytes of tid %d, by strace %+v", *m.Start, *m.AcquiredLength, *m.TID, w)
		}
		delete(want, uint64(*m.Start))
	}
	for addr, w := range want {
		tb.Errorf("strace logged a chunk at %#x by tid %d that is not in the export", addr, w.tid)
	}
}

// checkText wants the pool in the first line for people.
func checkText(tb testing.TB, snap *leak.Snapshot, r *traced) {
	tb.Helper()
	var made bytes.Buffer
	if err := report.Text(&made, snap, report.TextOptions{}); err != nil {
		tb.Fatal(err)
	}
	again := must[[]byte](tb)(exec.Command(r.trace.Path, "report", r.export).Output())
	verdict := regexp.MustCompile(`(?m)^(LEAK|GROWING) +` + pool + `: `)
	for _, text := range []string{made.String(), string(again)} {
		lines := strings.SplitN(text, "\n", 3)
		if len(lines) < 3 || !verdict.MatchString(lines[1]) {
			tb.Errorf("the report does not begin with a verdict on %s:\n%s\n%s", pool, text, r.trace.output())
		}
	}
}

func firstLine(tb testing.TB, snap *leak.Snapshot) string {
	tb.Helper()
	var b bytes.Buffer
	if err := report.Text(&b, snap, report.TextOptions{}); err != nil {
		tb.Fatal(err)
	}
	first, _, _ := strings.Cut(b.String(), "\n")
	return first
}

func said(name *string) string {
	if name == nil {
		return "without a name"
	}
	return *name
}
