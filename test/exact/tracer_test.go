package exact

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// tracer is a running `vmaleak trace`.
type tracer struct {
	*child
	json string
}

// startTracer returns when all targets are seeded. args: the target first, flags before a command.
func startTracer(tb testing.TB, args ...string) *tracer {
	tb.Helper()
	dir := tb.TempDir()
	ready := filepath.Join(dir, "ready")
	tr := &tracer{json: filepath.Join(dir, "export.json")}
	all := append([]string{"trace", "--no-save", "--no-tui", "--attach=no", "--json", tr.json, "--ready-file", ready}, args...)
	tr.child = startChild(tb, exec.Command(must[string](tb)(buildTracer()), all...))
	waitFor(tb, patience, "the tracer to be ready", func() bool {
		if tr.ended() {
			tb.Fatalf("vmaleak %q: %v\n%s", all, tr.ProcessState, tr.stderr())
		}
		_, err := os.Stat(ready)
		return err == nil
	})
	return tr
}

func startTracerOf(tb testing.TB, pid int, flags ...string) *tracer {
	tb.Helper()
	return startTracer(tb, append([]string{"-p", strconv.Itoa(pid)}, flags...)...)
}

func inode(path string) (uint64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}

// export asks for one and returns it; it shows an instant not before the request.
func (tr *tracer) export(tb testing.TB) *export {
	tb.Helper()
	before, err := inode(tr.json)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		tb.Fatal(err)
	}
	asked := time.Now()
	tr.signal(tb, syscall.SIGUSR1)
	waitFor(tb, patience, "the export", func() bool {
		if tr.ended() {
			tb.Fatalf("vmaleak ended, %v, when asked for an export\n%s", tr.ProcessState, tr.stderr())
		}
		after, err := inode(tr.json)
		return err == nil && after != before
	})
	e := tr.read(tb)
	if e.EndedAt.Before(asked) {
		tb.Fatalf("the export shows %v, before it was asked for at %v", e.EndedAt, asked)
	}
	return e
}

func (tr *tracer) read(tb testing.TB) *export {
	tb.Helper()
	e, err := parseExport(must[[]byte](tb)(os.ReadFile(tr.json)))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// last waits until the trace has ended by itself, because its targets have, and returns what it left.
func (tr *tracer) last(tb testing.TB) *export {
	tb.Helper()
	if code := tr.wait(tb); code != 0 {
		tb.Fatalf("vmaleak: exit code %d, want 0\n%s", code, tr.stderr())
	}
	e := tr.read(tb)
	for i := range e.Processes {
		if p := &e.Processes[i]; p.checkSums() != nil {
			tb.Errorf("pid %d at the end: %v", p.PID, p.checkSums())
		}
	}
	return e
}
