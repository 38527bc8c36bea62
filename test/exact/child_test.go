package exact

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that should take no time: the
// machine may be busy with other work. VMALEAK_PATIENCE is for emulated ones,
// where loading the probes beside a storm takes a minute.
var patience = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("VMALEAK_PATIENCE")); err == nil {
		return d
	}
	return 60 * time.Second
}()

// child is a process that a test started, and that ends with the test.
type child struct {
	*exec.Cmd
	done chan struct{} // closed when it has ended
	mu   sync.Mutex
	text strings.Builder // what it said on stderr
}

func startChild(tb testing.TB, cmd *exec.Cmd) *child {
	tb.Helper()
	c := &child{Cmd: cmd, done: make(chan struct{})}
	cmd.Stderr = c
	cmd.WaitDelay = 5 * time.Second // for a grandchild that holds on to stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait() // ProcessState says how
		close(c.done)
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-c.done
	})
	return c
}

// Write takes stderr.
func (c *child) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(b)
}

func (c *child) stderr() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// signal sends it to the process itself, and to no other that may have its PID by now.
func (c *child) signal(tb testing.TB, s syscall.Signal) {
	tb.Helper()
	if err := c.Process.Signal(s); err != nil {
		tb.Fatalf("signal %v to %s: %v\n%s", s, c.Path, err, c.stderr())
	}
}

// wait returns the exit code, -1 after a signal.
func (c *child) wait(tb testing.TB) int {
	tb.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		tb.Fatalf("%s did not end\n%s", c.Path, c.stderr())
	}
	return c.ProcessState.ExitCode()
}

// readLines delivers r line by line until it ends.
func readLines(r io.Reader) <-chan string {
	lines := make(chan string, 64)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(r); in.Scan(); {
			lines <- in.Text()
		}
	}()
	return lines
}
