package jvm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// helperEnv makes the test binary play a JVM that does not behave: see playJVM.
const helperEnv = "VMALEAK_TEST_JVM"

func TestMain(m *testing.M) {
	if mode := os.Getenv(helperEnv); mode != "" {
		if err := playJVM(mode); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if classDir != "" {
		os.RemoveAll(classDir)
	}
	os.Exit(code)
}

// cannot ends a test that cannot run here, aloud; where everything must run it fails it.
func cannot(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("VMALEAK_REQUIRE") == "all" {
		tb.Fatalf("must run, but: "+format, args...)
	}
	tb.Skipf("not run: "+format, args...)
}

func needRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		cannot(tb, "needs root")
	}
}

// waitFor waits until a condition holds, and fails the test if it does not within 20 s.
func waitFor(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			tb.Fatalf("waited 20 s for: %s", what)
		}
		if err := pause(tb.Context(), 2*time.Millisecond); err != nil {
			tb.Fatal(err)
		}
	}
}

// classDir is what TestMain removes: the directory that classes made, if it was called.
var classDir string

// classes compiles the test program, once, into a directory that all users can read.
var classes = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "vmaleak-jvm-")
	if err != nil {
		return "", err
	}
	classDir = dir
	if err := os.Chmod(dir, 0o755); err != nil {
		return dir, err
	}
	out, err := exec.Command("javac", "-encoding", "UTF-8", "-J-XX:TieredStopAtLevel=1", "-d", dir, "testdata/Hostile.java").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("javac: %w: %s", err, out)
	}
	return dir, nil
})

// eachJDK runs a test on every JDK that must be there, the siblings of the one that `java` leads to.
func eachJDK(t *testing.T, test func(t *testing.T, java string)) {
	for _, home := range []string{"java-17-openjdk-amd64", "temurin-25-jdk-amd64"} {
		t.Run(home, func(t *testing.T) {
			test(t, mustJava(t, home))
		})
	}
}

func mustJava(tb testing.TB, home string) string {
	tb.Helper()
	found, err := exec.LookPath("java")
	if err == nil {
		found, err = filepath.EvalSymlinks(found)
	}
	if err != nil {
		cannot(tb, "no java in PATH: %v", err)
	}
	java := filepath.Join(filepath.Dir(found), "..", "..", home, "bin", "java")
	if _, err := os.Stat(java); err != nil {
		cannot(tb, "no JDK %s: %v", home, err)
	}
	return java
}

// target is a process under test.
type target struct {
	cmd *exec.Cmd
	pid int // of the JVM itself, in this pid namespace
	dir string

	mu    sync.Mutex
	lines []string // what it printed before READY
	after string   // and after it
	done  chan struct{}
	quiet bool // it must print nothing to its end
}

type targetOptions struct {
	count int                 // threads of Hostile
	flags []string            // of the JVM
	env   []string            // additional
	wrap  []string            // command that runs it
	cred  *syscall.Credential // who runs it
	child bool                // the JVM is the child of the command
	class string              // class path, if not that of classes()
}

// startJVM runs Hostile and waits until it is ready. It is killed, by its number, when the test ends.
func startJVM(t *testing.T, java string, o targetOptions) *target {
	t.Helper()
	dir, err := classes()
	if err != nil {
		cannot(t, "cannot compile the test program: %v", err)
	}
	if o.class != "" {
		dir = o.class
	}
	args := append(append([]string{}, o.wrap...), java, "-XX:+UseSerialGC", "-Xmx64m", "-XX:TieredStopAtLevel=1")
	args = append(append(args, o.flags...), "-cp", dir, "Hostile", strconv.Itoa(max(o.count, 1)))
	return start(t, args, o)
}

// publicDir returns a temporary directory that other users can enter.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != filepath.Clean(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// startHelper runs the test binary as a JVM that does not behave.
func startHelper(t *testing.T, mode string, o targetOptions) *target {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := publicDir(t)
	lib, exe := filepath.Join(dir, "libjvm.so"), filepath.Join(dir, "helper")
	if err := os.WriteFile(lib, make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, text, 0o755); err != nil {
		t.Fatal(err)
	}
	cover := filepath.Join(dir, "cover") // under go test -cover the helper writes there, whoever it runs as
	if err := errors.Join(os.Mkdir(cover, 0o777), os.Chmod(cover, 0o777)); err != nil {
		t.Fatal(err)
	}
	o.env = append(o.env, "GOCOVERDIR="+cover, helperEnv+"="+mode, "VMALEAK_TEST_LIB="+lib)
	return start(t, []string{exe}, o)
}

func start(t *testing.T, args []string, o targetOptions) *target {
	t.Helper()
	p := &target{cmd: exec.Command(args[0], args[1:]...), dir: publicDir(t), done: make(chan struct{})}
	p.cmd.Dir = p.dir
	p.cmd.Env = append(os.Environ(), o.env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: o.cred}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	p.pid = p.cmd.Process.Pid
	// A JVM that was killed leaves its socket, and PIDs come again: what lies there now is no living JVM's.
	socket := filepath.Join("/tmp", fmt.Sprintf(".java_pid%d", p.pid))
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go p.collect(r, ready)
	t.Cleanup(func() {
		stdin.Close()
		if p.quiet { // let it end by itself, so that it prints all it has to print
			select {
			case <-p.done:
			case <-time.After(5 * time.Second):
				t.Error("the process does not end")
			}
			if p.after != "" {
				t.Errorf("the process printed %q", p.after)
			}
		}
		if o.child {
			unix.Kill(p.pid, unix.SIGKILL)
		}
		p.cmd.Process.Kill()
		p.cmd.Wait()
		<-p.done
		r.Close()
		os.Remove(fmt.Sprintf("/tmp/.java_pid%d", p.pid))
	})
	select {
	case <-ready:
	case <-p.done:
		t.Fatalf("%q ended: %q %s", args, p.lines, p.after)
	case <-time.After(30 * time.Second):
		t.Fatalf("%q is not ready after 30 s", args)
	}
	if o.child {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.pid, p.pid))
		if err != nil {
			t.Fatal(err)
		}
		if p.pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *target) collect(r io.Reader, ready chan<- struct{}) {
	defer close(p.done)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	isReady := false
	for lines.Scan() {
		p.mu.Lock()
		switch {
		case isReady:
			p.after += lines.Text() + "\n"
		case lines.Text() == "READY":
			isReady = true
			close(ready)
		default:
			p.lines = append(p.lines, lines.Text())
		}
		p.mu.Unlock()
	}
}

// unharmed fails the test unless the process lives, printed nothing, and no attach file is left.
func (p *target) unharmed(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil || !bytes.Contains(text, []byte("State:")) || bytes.Contains(text, []byte("State:\tZ")) {
		t.Errorf("the process has died: %v", err)
	}
	p.quiet = true
	for _, dir := range []string{p.dir, fmt.Sprintf("/proc/%d/root/tmp", p.pid)} {
		if left, _ := filepath.Glob(filepath.Join(dir, fmt.Sprintf(".attach_pid%d", p.pid))); left != nil {
			t.Errorf("left behind: %q", left)
		}
	}
}
