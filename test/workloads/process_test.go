package workloads

import (
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
// machine may be busy with other work.
const patience = 90 * time.Second

// process is a program that a test started, and that ends with the test.
type process struct {
	*exec.Cmd
	stdin io.WriteCloser
	done  chan struct{} // closed when it has ended
	mu    sync.Mutex
	text  strings.Builder // its stdout and stderr
	lines []line          // whole ones, with the time at which they came
	part  string
}

type line struct {
	at   time.Time
	text string
}

func start(tb testing.TB, env []string, name string, args ...string) *process {
	tb.Helper()
	p := &process{Cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.stdin = must[io.WriteCloser](tb)(p.StdinPipe())
	p.Stdout, p.Stderr = p, p
	p.Dir = tb.TempDir()
	p.Env = append(os.Environ(), env...)
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.Start(); err != nil {
		tb.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.Cmd.Wait() // ProcessState says how
		close(p.done)
	}()
	tb.Cleanup(func() {
		_ = p.Process.Kill() // it may have ended
		<-p.done
	})
	return p
}

// Write takes what it prints.
func (p *process) Write(b []byte) (int, error) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part += string(b)
	for {
		text, rest, whole := strings.Cut(p.part, "\n")
		if !whole {
			break
		}
		p.lines = append(p.lines, line{now, text})
		p.part = rest
	}
	return p.text.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// find is the lines so far that begin with a word.
func (p *process) find(word string) (found []line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if strings.HasPrefix(l.text, word+" ") || l.text == word {
			found = append(found, l)
		}
	}
	return found
}

func (p *process) say(tb testing.TB, word string) {
	tb.Helper()
	if _, err := io.WriteString(p.stdin, word+"\n"); err != nil {
		tb.Fatalf("tell %s: %v\n%s", p.Path, err, p.output())
	}
}

// until polls until ok says so, and fails the test if p ends before.
func (p *process) until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-p.done:
			if !ok() {
				tb.Fatalf("%s ended, %v, before %s\n%s", p.Path, p.ProcessState, what, p.output())
			}
			return
		case <-limit:
			tb.Fatalf("waited %v for %s\n%s", patience, what, p.output())
		}
	}
}

// wait expects it to end by itself, with code 0.
func (p *process) wait(tb testing.TB) {
	tb.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		tb.Fatalf("%q did not end\n%s", p.Args, p.output())
	}
	if p.ProcessState.ExitCode() != 0 {
		tb.Fatalf("%q: %v\n%s", p.Args, p.ProcessState, p.output())
	}
}
