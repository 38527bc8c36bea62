package netty

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that should take no time: the
// machine may be busy with other work.
const patience = 60 * time.Second

// process is a program that a test started, and that ends with the test.
type process struct {
	*exec.Cmd
	done chan struct{} // closed when it has ended
	mu   sync.Mutex
	text strings.Builder // its stdout and stderr
}

func start(tb testing.TB, name string, args ...string) *process {
	tb.Helper()
	// Chunks must be mappings of their own, whatever malloc learns from what is freed.
	return startWith(tb, []string{"MALLOC_MMAP_THRESHOLD_=131072"}, name, args...)
}

// startWith starts a program with more in its environment.
func startWith(tb testing.TB, env []string, name string, args ...string) *process {
	tb.Helper()
	p := &process{Cmd: exec.Command(name, args...), done: make(chan struct{})}
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
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// until polls until ok says so, and fails the test if p ends before.
func (p *process) until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
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

// interrupt ends it as Ctrl-C does.
func (p *process) interrupt(tb testing.TB) {
	tb.Helper()
	if err := p.Process.Signal(os.Interrupt); err != nil {
		tb.Fatalf("interrupt %s: %v\n%s", p.Path, err, p.output())
	}
}

// startServer returns when it serves, with its port.
func startServer(tb testing.TB, java, classPath string, args ...string) (p *process, port string) {
	tb.Helper()
	return startServerWith(tb, []string{"MALLOC_MMAP_THRESHOLD_=131072"}, java, classPath, args...)
}

func startServerWith(tb testing.TB, env []string, java, classPath string, args ...string) (p *process, port string) {
	tb.Helper()
	all := append([]string{"-Xmx256m", "-XX:MaxDirectMemorySize=2g", "-Dio.netty.tryReflectionSetAccessible=true",
		"--add-opens", "java.base/java.nio=ALL-UNNAMED", "-cp", classPath, "NettyLeak"}, args...)
	p = startWith(tb, env, java, all...)
	p.until(tb, "the server is ready", func() bool {
		_, after, ok := strings.Cut(p.output(), "ready ")
		var whole bool
		port, _, whole = strings.Cut(after, "\n")
		return ok && whole
	})
	return p, port
}

// startTrace returns when the process is traced.
func startTrace(tb testing.TB, pid int, more ...string) (p *process, export string) {
	tb.Helper()
	dir := tb.TempDir()
	export, ready := filepath.Join(dir, "export.json"), filepath.Join(dir, "ready")
	args := append([]string{"trace", "-p", fmt.Sprint(pid), "--no-save", "--no-tui", "--json", export, "--ready-file", ready}, more...)
	p = start(tb, must[string](tb)(program()), args...)
	p.until(tb, "the trace is ready", func() bool { return exists(ready) })
	return p, export
}

// startStrace returns when every thread of the process is under strace.
func startStrace(tb testing.TB, pid int) (p *process, log string) {
	tb.Helper()
	log = filepath.Join(tb.TempDir(), "strace.log")
	p = start(tb, "strace", "-f", "-tt", "-e", "trace=brk,mmap,munmap,mremap,mprotect", "-o", log, "-p", fmt.Sprint(pid))
	p.until(tb, "strace has attached", func() bool {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid)) // the pattern is right
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err == nil && !bytes.Contains(text, fmt.Appendf(nil, "\nTracerPid:\t%d\n", p.Process.Pid)) {
				return false
			}
		}
		return len(files) > 0
	})
	return p, log
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}
