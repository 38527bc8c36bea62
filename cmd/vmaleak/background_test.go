package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"rsc.io/script"
)

// background is the processes that a script started. They are killed with it, by PID.
type background struct {
	tb      testing.TB
	running map[string]*process
}

type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	in   *os.File // the writing end of its stdin: closed with the script
}

func (b *background) kill() {
	for _, p := range b.running {
		p.in.Close()
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
	}
	for _, p := range b.running {
		end(p.cmd, p.done)
	}
}

// end gives a process whose stdin was closed a moment to end by itself: a
// killed JVM leaves its socket in /tmp.
func end(cmd *exec.Cmd, done chan struct{}) {
	select {
	case <-done:
	case <-time.After(time.Second):
		_ = cmd.Process.Kill()
		<-done
	}
}

func (b *background) start(s *script.State, args []string) error {
	if len(args) < 2 {
		return script.ErrUsage
	}
	name, argv := args[0], args[1:]
	if argv[0] == "vmaleak" {
		argv[0], _ = s.LookupEnv("VMALEAK")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	p := &process{cmd: exec.CommandContext(s.Context(), argv[0], argv[1:]...), in: w, done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdin = s.Getwd(), s.Environ(), r
	for _, out := range []struct {
		suffix string
		to     *os.File
	}{{".out", nil}, {".err", nil}} {
		f, err := os.Create(s.Path(name + out.suffix))
		if err != nil {
			return err
		}
		defer f.Close()
		if out.suffix == ".out" {
			p.cmd.Stdout = f
		} else {
			p.cmd.Stderr = f
		}
	}
	if err := p.cmd.Start(); err != nil {
		w.Close()
		return err
	}
	go func() {
		_ = p.cmd.Wait() // the code is asked for by end
		close(p.done)
	}()
	b.running[name] = p
	return s.Setenv(name, strconv.Itoa(p.cmd.Process.Pid))
}

func (b *background) signal(_ *script.State, args []string) error {
	if len(args) != 2 || b.running[args[1]] == nil {
		return script.ErrUsage
	}
	sig := unix.SignalNum("SIG" + args[0])
	if sig == 0 {
		return fmt.Errorf("no signal %s", args[0])
	}
	return b.running[args[1]].cmd.Process.Signal(sig)
}

func (b *background) end(s *script.State, args []string) error {
	if len(args) != 2 || b.running[args[0]] == nil {
		return script.ErrUsage
	}
	p := b.running[args[0]]
	select {
	case <-p.done:
	case <-s.Context().Done():
		return fmt.Errorf("%s has not ended", args[0])
	}
	ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	code := strconv.Itoa(ws.ExitStatus())
	if ws.Signaled() {
		code = unix.SignalName(ws.Signal())
	}
	if code != args[1] {
		text, _ := os.ReadFile(s.Path(args[0] + ".err"))
		return fmt.Errorf("%s ended with %s, want %s: %s", args[0], code, args[1], text)
	}
	return nil
}

// await waits for a file and a text in it.
func await(s *script.State, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return script.ErrUsage
	}
	var text []byte
	err := waitFor(s.Context(), strings.Join(args, " "), func() bool {
		var err error
		text, err = os.ReadFile(s.Path(args[0]))
		return err == nil && (len(args) == 1 || strings.Contains(string(text), args[1]))
	})
	if err != nil {
		return fmt.Errorf("%w; there is: %s", err, text)
	}
	return nil
}

// child waits for a child process, of this comm if one is given.
func child(s *script.State, args []string) error {
	if len(args) < 2 {
		return script.ErrUsage
	}
	parent, _ := s.LookupEnv(args[0])
	pid := ""
	err := waitFor(s.Context(), strings.Join(args, " "), func() bool {
		b, _ := os.ReadFile("/proc/" + parent + "/task/" + parent + "/children")
		for _, c := range strings.Fields(string(b)) {
			comm, _ := os.ReadFile("/proc/" + c + "/comm")
			if len(args) == 2 || strings.TrimSpace(string(comm)) == args[2] {
				pid = c
			}
		}
		return pid != ""
	})
	if err != nil {
		return err
	}
	return s.Setenv(args[1], pid)
}

// input writes a line, empty if none is given, to the stdin of a background process.
func (b *background) input(_ *script.State, args []string) error {
	if len(args) < 1 || b.running[args[0]] == nil {
		return script.ErrUsage
	}
	_, err := b.running[args[0]].in.WriteString(strings.Join(args[1:], " ") + "\n")
	return err
}
