//go:build amd64

package unwind

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// build compiles a program of testdata and returns its path.
func build(tb testing.TB, compiler string, args ...string) string {
	tb.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		skipAloud(tb, compiler+" is not installed")
	}
	out := filepath.Join(tb.TempDir(), "prog")
	cmd := exec.CommandContext(tb.Context(), compiler, append(args, "-o", out)...)
	if compiler == "go" {
		cmd = exec.CommandContext(tb.Context(), compiler, append([]string{"build", "-o", out}, args...)...)
	}
	if b, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %v\n%s", cmd.Args, err, b)
	}
	return out
}

// skipAloud skips a test that cannot run here; where it must run, it fails.
func skipAloud(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("VMALEAK_REQUIRE") != "" {
		tb.Fatalf("this test must run here: %s", why)
	}
	fmt.Fprintf(os.Stderr, "SKIP %s: %s\n", tb.Name(), why)
	tb.Skip(why)
}

// startPaused starts a program and waits until one of its threads is in
// pause(2). It returns the process and that thread.
func startPaused(tb testing.TB, prog string, args ...string) (pid, tid int) {
	tb.Helper()
	if os.Geteuid() != 0 {
		skipAloud(tb, "opening mapped files needs root")
	}
	cmd := exec.Command(prog, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	pid = cmd.Process.Pid
	waitFor(tb, "a thread in pause", func() bool {
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		for _, t := range tasks {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/syscall", pid, t.Name()))
			if strings.HasPrefix(string(b), strconv.Itoa(unix.SYS_PAUSE)+" ") {
				tid, _ = strconv.Atoi(t.Name())
				return true
			}
		}
		return false
	})
	return pid, tid
}

func waitFor(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			tb.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// snapshot copies a thread's registers and at most limit bytes of its stack, as
// the kernel half does at the end of a system call.
func snapshot(tb testing.TB, pid, tid, limit int) *Raw {
	tb.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.PtraceAttach(tid); err != nil {
		tb.Fatal(err)
	}
	defer syscall.PtraceDetach(tid)
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(tid, &ws, syscall.WALL, nil); err != nil {
		tb.Fatal(err)
	}
	raw := &Raw{PID: pid, TID: tid}
	registers(tb, tid, raw)
	for len(raw.Mem) < limit { // up to the end of the stack's area
		page := make([]byte, min(limit-len(raw.Mem), int(4096-(raw.SP+uint64(len(raw.Mem)))&4095)))
		if readProcess(pid, raw.SP+uint64(len(raw.Mem)), page) != nil {
			return raw
		}
		raw.Mem = append(raw.Mem, page...)
	}
	raw.Limited = true
	return raw
}

// functions are the names of a stack, innermost first, each with its kind if it is inlined.
func functions(s *Stack) []string {
	var out []string
	for _, f := range s.Frames {
		name := f.Function
		if name == "" {
			name = fmt.Sprintf("%s+%#x", filepath.Base(f.Module), f.Offset)
		}
		if f.Kind != Native {
			name += " [" + string(f.Kind) + "]"
		}
		out = append(out, name)
	}
	return out
}

func dump(s *Stack) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %s\n", s.Status, s.Reason, s.ID)
	for _, f := range s.Frames {
		fmt.Fprintf(&b, "  %-8s %s  %s:%d  %s+%#x\n", f.Kind, f.Function, f.File, f.Line, f.Module, f.Offset)
	}
	return b.String()
}

func le64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
