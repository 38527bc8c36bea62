package symbolize

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestMain makes the test binary its own target: with VMALEAK_HELPER set it
// plays that part instead of running tests.
func TestMain(m *testing.M) {
	if part := os.Getenv("VMALEAK_HELPER"); part != "" {
		if err := play(part); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func play(part string) error {
	name, arg, _ := strings.Cut(part, " ")
	switch name {
	case "wait": // say that we are up, then live until stdin is closed
	case "chroot":
		if err := unix.Chroot(arg); err != nil {
			return err
		}
	case "threads": // a thread per line of stdin: its comm; "-": the last one ends
		return playThreads()
	case "pages": // lie still, with known pages touched
		if err := playPages(); err != nil {
			return err
		}
	case "zombie": // a child that is never waited for
		p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
		if err != nil {
			return err
		}
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_PID, p.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
			return err
		}
		fmt.Println(p.Pid)
	case "read": // what may we see of that process?
		var pid int
		if _, err := fmt.Sscan(arg, &pid); err != nil {
			return err
		}
		p, err := ReadProcess(pid)
		if p == nil {
			return err
		}
		fmt.Printf("%s: %v\n", p.Comm, err)
		return nil
	case "tracefs": // in a mount namespace of our own
		for findTracefs() != "" {
			if err := unix.Unmount(findTracefs(), unix.MNT_DETACH); err != nil {
				return err
			}
		}
		for range 2 {
			path, mounted, err := MountTracefs()
			fmt.Println(path, mounted, err)
		}
		return nil
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func playThreads() error {
	var stop []chan chan struct{}
	lines := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	for lines.Scan() {
		line := lines.Text()
		if line == "-" {
			done := make(chan struct{})
			stop[len(stop)-1] <- done
			stop = stop[:len(stop)-1]
			<-done
			fmt.Println("ok")
			continue
		}
		end, tid := make(chan chan struct{}), make(chan int)
		var thread func()
		thread = func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			if unix.Gettid() == unix.Getpid() {
				go thread() // the first thread never ends: take another one
				<-(chan int)(nil)
			}
			comm := append(unescape(line), 0)
			if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&comm[0])), 0, 0, 0); err != nil {
				panic(err)
			}
			tid <- unix.Gettid()
			close(<-end)
		}
		go thread()
		fmt.Println(<-tid)
		stop = append(stop, end)
	}
	return lines.Err()
}

// unescape is the text of a Go string literal without its quotes.
func unescape(s string) []byte {
	var out string
	if _, err := fmt.Sscanf(`"`+s+`"`, "%q", &out); err != nil {
		panic(err)
	}
	return []byte(out)
}

// target is a process of ours, with a conversation over its stdin and stdout.
type target struct {
	tb   testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	done bool
}

// mustHelper starts this test binary in a part of play.
func mustHelper(tb testing.TB, part string, attr *syscall.SysProcAttr) *target {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "VMALEAK_HELPER="+part)
	cmd.SysProcAttr = attr
	return mustStart(tb, cmd)
}

// mustStart starts a command that lives until its stdin is closed; it is
// killed by its PID at the end of the test at the latest.
func mustStart(tb testing.TB, cmd *exec.Cmd) *target {
	tb.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start %v: %v", cmd.Args, err)
	}
	p := &target{tb: tb, cmd: cmd, in: in, out: bufio.NewReader(out)}
	tb.Cleanup(p.kill)
	return p
}

func (p *target) pid() int { return p.cmd.Process.Pid }

// kill ends the process and waits for it.
func (p *target) kill() {
	if p.done {
		return
	}
	p.done = true
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// finish closes stdin and waits for the end.
func (p *target) finish() {
	p.tb.Helper()
	p.done = true
	_ = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.tb.Errorf("%v: %v", p.cmd.Args, err)
	}
}

// line is the next line of stdout.
func (p *target) line() string {
	p.tb.Helper()
	s, err := p.out.ReadString('\n')
	if err != nil {
		p.tb.Fatalf("%v says no more: %q %v", p.cmd.Args, s, err)
	}
	return strings.TrimSuffix(s, "\n")
}

// ask sends a line and returns the answer.
func (p *target) ask(line string) string {
	p.tb.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.tb.Fatalf("tell %v %q: %v", p.cmd.Args, line, err)
	}
	return p.line()
}

// until runs step until it is true.
func until(tb testing.TB, what string, step func() bool) {
	tb.Helper()
	for begin := time.Now(); !step(); runtime.Gosched() {
		if time.Since(begin) > 10*time.Second {
			tb.Fatalf("%s: not within 10 s", what)
		}
	}
}

// skip leaves a test out and says why; where every test must run it fails.
func skip(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("VMALEAK_REQUIRE") == "all" {
		tb.Fatal("must run here: " + why)
	}
	tb.Skip(why)
}

func needRoot(tb testing.TB, what string) {
	tb.Helper()
	if os.Geteuid() != 0 {
		skip(tb, "needs root to "+what)
	}
}

// mustCopy copies a program to a new name.
func mustCopy(tb testing.TB, program, name string) string {
	tb.Helper()
	b, err := os.ReadFile(program)
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, b, 0o755); err != nil {
		tb.Fatal(err)
	}
	return path
}
