//go:build amd64

package unwind

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// javas are the JDKs of this machine.
func javas(tb testing.TB) []string {
	tb.Helper()
	found, _ := filepath.Glob("/usr/lib/jvm/*/bin/javac")
	var out []string
	for _, j := range found {
		home := filepath.Dir(filepath.Dir(j))
		if st, err := os.Lstat(home); err == nil && st.Mode()&os.ModeSymlink == 0 {
			out = append(out, home)
		}
	}
	if len(out) == 0 {
		skipAloud(tb, "no JDK below /usr/lib/jvm")
	}
	return out
}

// startParked starts testdata/Parked.java and waits for its thread to be parked.
func startParked(tb testing.TB, home string, flags ...string) (pid, tid int) {
	tb.Helper()
	if os.Geteuid() != 0 {
		skipAloud(tb, "opening mapped files needs root")
	}
	classes := tb.TempDir()
	if b, err := exec.Command(home+"/bin/javac", "-g", "-d", classes, "testdata/Parked.java").CombinedOutput(); err != nil {
		tb.Fatalf("javac: %v\n%s", err, b)
	}
	cmd := exec.Command(home+"/bin/java", append(flags, "-Xmx64m", "-cp", classes, "Parked")...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	pid = cmd.Process.Pid
	dir := "/proc/" + strconv.Itoa(pid) + "/task/"
	waitFor(tb, "the parked thread", func() bool {
		tasks, _ := os.ReadDir(dir)
		for _, t := range tasks {
			comm, _ := os.ReadFile(dir + t.Name() + "/comm")
			call, _ := os.ReadFile(dir + t.Name() + "/syscall")
			if string(bytes.TrimSpace(comm)) == "parked" && strings.HasPrefix(string(call), strconv.Itoa(unix.SYS_FUTEX)+" ") {
				tid, _ = strconv.Atoi(t.Name())
				return true
			}
		}
		return false
	})
	return pid, tid
}

func TestJavaFramesBetweenNativeOnes(t *testing.T) {
	for _, home := range javas(t) {
		for _, flag := range []string{"-Xint", "-Xcomp"} {
			t.Run(filepath.Base(home)+flag, func(t *testing.T) {
				pid, tid := startParked(t, home, flag, "-XX:CompileCommand=quiet", "-XX:CompileCommand=compileonly,Parked::*")
				r := NewResolver(Options{})
				var s *Stack
				// The thread may be in another futex on its way to park.
				waitFor(t, "the stack of the parked thread", func() bool {
					s = r.Resolve(snapshot(t, pid, tid, copyLimit))
					return strings.Contains(strings.Join(functions(s), " "), "LockSupport.park")
				})
				wantStatus(t, s, Complete, "")
				chain := strings.Join(linesOf(s, "Parked."), " ")
				const want = "b(int):15 b(int):13 b(int):13 b(int):13 lambda$a$0(int):7 a(int):8 lambda$main$0():20"
				if got := strings.ReplaceAll(chain, "lambda$main$1", "lambda$main$0"); got != want {
					t.Errorf("got  %s\nwant %s\n%s", got, want, dump(s))
				}
				if outer := s.Frames[len(s.Frames)-1]; outer.Kind != Native || !strings.HasPrefix(outer.Function, "clone") {
					t.Errorf("the outermost frame is %+v", outer)
				}
				if again := r.Resolve(snapshot(t, pid, tid, copyLimit)); again != s {
					t.Errorf("the same stack again:\n%s", dump(again))
				}
			})
		}
	}
}

// linesOf are the frames of one class, each with its line; of hidden classes none.
func linesOf(s *Stack, class string) (out []string) {
	for _, f := range s.Frames {
		if name, ok := strings.CutPrefix(f.Function, class); ok {
			out = append(out, name+":"+strconv.Itoa(f.Line))
		}
	}
	return out
}

// TestJavaIsReadySoon holds the time from the first look at a JVM to its first stack
// far below what would be noticed.
func TestJavaIsReadySoon(t *testing.T) {
	pid, tid := startParked(t, javas(t)[0])
	r := NewResolver(Options{})
	began := time.Now()
	if err := r.Prepare(pid); err != nil {
		t.Fatal(err)
	}
	prepared := time.Since(began)
	r.Resolve(snapshot(t, pid, tid, copyLimit))
	t.Logf("prepared in %v, first stack after %v", prepared, time.Since(began))
	if prepared > 5*time.Second { // 0.2 s on an idle machine
		t.Errorf("it took %v to prepare a JVM", prepared)
	}
}
