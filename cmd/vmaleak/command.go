package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// execHelper is the hidden first argument of a child that waits until it is
// traced before it becomes the command.
const execHelper = "__exec"

// command is a child that will become the traced command.
type command struct {
	cmd  *exec.Cmd
	gate *os.File
	done chan error // the command's end
}

// startCommand starts a child that waits at the gate.
func startCommand(args []string) (*command, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
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
	c := &command{cmd: exec.Command(self, append([]string{execHelper, path}, args...)...), gate: w, done: make(chan error, 1)}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.cmd.ExtraFiles = []*os.File{r}
	if err := c.cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	return c, nil
}

// release lets the child become the command.
func (c *command) release() error {
	if _, err := c.gate.Write([]byte{1}); err != nil {
		return fmt.Errorf("let the command begin: %w", err)
	}
	if err := c.gate.Close(); err != nil {
		return fmt.Errorf("let the command begin: %w", err)
	}
	go func() { c.done <- c.cmd.Wait() }()
	return nil
}

// abandon ends a child that was never released: the gate closes without a byte.
func (c *command) abandon() {
	c.gate.Close()
	_ = c.cmd.Wait() // it ends with an error, as told
}

// waitAndExec is the child: args are the program's path and its arguments.
func waitAndExec(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("%s is for vmaleak itself", execHelper)
	}
	gate := os.NewFile(3, "gate")
	var b [1]byte
	if _, err := io.ReadFull(gate, b[:]); err != nil {
		return fmt.Errorf("the tracer gave up before %s began", args[0])
	}
	gate.Close()
	return fmt.Errorf("become %s: %w", args[0], syscall.Exec(args[0], args[1:], os.Environ()))
}
