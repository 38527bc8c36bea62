package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// execHelper is the hidden first argument of a child that waits until it is
// traced before it becomes the command.
const execHelper = "__exec"

// command is a child that becomes the traced command.
type command struct {
	cmd  *exec.Cmd
	path string
	gate *os.File
	done chan struct{} // closed when it has ended
	err  error         // how; set before done is closed
}

// lookCommand finds the program of a command line.
func lookCommand(args []string) (path string, err error) {
	path, err = exec.LookPath(args[0])
	switch {
	case errors.Is(err, exec.ErrDot):
		return "", fmt.Errorf("start %s: it is in this directory, not on the PATH; write ./%s", args[0], args[0])
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("start %s: no such program on the PATH; give its full path", args[0])
	case err != nil:
		return "", fmt.Errorf("start %s: %w", args[0], err)
	}
	return path, nil
}

// startCommand starts a child and returns when it waits at the gate: an exec
// to follow from now on is that of the command.
func startCommand(args []string) (*command, error) {
	path, err := lookCommand(args)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find our own program: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	defer r.Close()
	here, there, err := os.Pipe()
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	defer here.Close()
	c := &command{path: path, cmd: exec.Command(self, append([]string{execHelper, path}, args...)...), gate: w, done: make(chan struct{})}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.cmd.ExtraFiles = []*os.File{r, there}
	err = c.cmd.Start()
	there.Close()
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	if _, err := here.Read(make([]byte, 1)); err != nil {
		c.abandon()
		return nil, fmt.Errorf("start %s: our own program did not come up: %w", args[0], err)
	}
	return c, nil
}

// release lets the child become the command.
func (c *command) release() error {
	_, err := c.gate.Write([]byte{1})
	if err = errors.Join(err, c.gate.Close()); err != nil {
		return fmt.Errorf("let the command begin: %w", err)
	}
	return nil
}

// abandon ends a child that was not released: the gate closes without a byte.
func (c *command) abandon() {
	c.gate.Close()
	<-c.done
}

// ended reports whether the command has ended, and how.
func (c *command) ended() (error, bool) {
	select {
	case <-c.done:
		return c.err, true
	default:
		return nil, false
	}
}

// stop ends a command that runs: gently, so that it can clean up, then by force.
func (c *command) stop() error {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("end the command: %w", err)
		}
		select {
		case <-c.done:
			return nil
		case <-time.After(5 * time.Second):
		}
	}
	return fmt.Errorf("end the command: process %d does not end; kill it", c.cmd.Process.Pid)
}

// waitAndExec is the child: args are the program's path and its arguments.
func waitAndExec(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("%s is for vmaleak itself", execHelper)
	}
	gate, here := os.NewFile(3, "gate"), os.NewFile(4, "here")
	var b [1]byte
	if _, err := here.Write(b[:]); err != nil {
		return fmt.Errorf("the tracer gave up before %s began", args[0])
	}
	here.Close()
	if _, err := io.ReadFull(gate, b[:]); err != nil {
		return fmt.Errorf("the tracer gave up before %s began", args[0])
	}
	gate.Close()
	return fmt.Errorf("become %s: %w", args[0], syscall.Exec(args[0], args[1:], os.Environ()))
}
