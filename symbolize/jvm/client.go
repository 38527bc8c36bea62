package jvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what may be done to a JVM. The zero value only uses a socket that is already there, and waits 10 s.
type Options struct {
	// Start allows to make the JVM start its attach listener: for a moment a file .attach_pidN is created in its
	// working directory or its /tmp, and SIGQUIT is sent. Not needed if anybody has attached to the JVM before.
	Start bool
	// Timeout bounds Dial and each command. 0 = 10 s.
	Timeout time.Duration
}

// Client is one JVM that accepts attaches. Each command is a connection of its own, one after the other; it is safe for
// concurrent use. The caller closes it.
type Client struct {
	p        *process
	opt      Options
	turn     chan struct{} // holds one token while no command runs; closed by nobody
	closed   bool          // guarded by turn
	version2 bool          // it knows version 2 of the protocol, with options
	streams  bool          // it knows the option "streaming"
}

// Dial makes sure that a JVM accepts attaches, and finds out which protocol it speaks. pid is its number as this
// process's /proc shows it; the JVM may live in namespaces of its own.
//
// Nothing is done to the process if it is stopped, dead or no HotSpot JVM. SIGQUIT is sent only with
// Options.Start, only if there is no socket, only if the JVM handles it and has not switched attaching off, and only to that very
// process; the attach file is removed on every way out.
//
// The errors are this package's, or fs.ErrPermission, or ctx's; each says what to do.
func Dial(ctx context.Context, pid int, opt Options) (*Client, error) {
	if opt.Timeout <= 0 {
		opt.Timeout = 10 * time.Second
	}
	p, err := openProcess(pid)
	if err != nil {
		return nil, err
	}
	c := &Client{p: p, opt: opt, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	if err := c.negotiate(ctx); err != nil {
		p.close()
		return nil, err
	}
	return c, nil
}

// negotiate asks for the protocol's version. JVMs that do not know the question refuse it, and speak version 1.
func (c *Client) negotiate(ctx context.Context) error {
	text, err := c.do(ctx, false, "getversion", "", []string{"options"})
	if errors.Is(err, ErrRefused) {
		// To tell such a JVM from one that answers nothing at all.
		_, err = c.do(ctx, false, "jcmd", "", []string{"VM.version"})
		return err
	}
	if err != nil {
		return err
	}
	words := strings.Fields(string(text))
	if len(words) > 0 && words[0] == "2" {
		c.version2 = true
		for _, word := range strings.FieldsFunc(strings.Join(words[1:], ","), func(r rune) bool { return r == ',' }) {
			c.streams = c.streams || word == "streaming"
		}
	}
	return nil
}

// Close lets go of the JVM, after the command that runs, if any. It may be called twice.
func (c *Client) Close() error {
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	if c.closed {
		return nil
	}
	c.closed = true
	return c.p.close()
}

// Command sends one command of the attach protocol and returns the text of the answer, at most 64 MiB. The answer is
// untrusted. Where the JVM can it buffers the answer instead of sending it from inside a safepoint.
func (c *Client) Command(ctx context.Context, cmd string, args ...string) ([]byte, error) {
	options := ""
	if c.streams {
		options = "streaming=0"
	}
	return c.do(ctx, c.version2, cmd, options, args)
}

// Jcmd runs a diagnostic command, such as "GC.heap_info" or "VM.native_memory summary". A command that does not exist is an [ErrRefused].
func (c *Client) Jcmd(ctx context.Context, args string) ([]byte, error) {
	return c.Command(ctx, "jcmd", args)
}

// Version returns the JVM's version: "17.0.15+6-Debian-1deb12u1"; of a JDK 8, whose JVM counts otherwise, "8.0_504 (25.504-b01)".
func (c *Client) Version(ctx context.Context) (string, error) {
	text, err := c.Jcmd(ctx, "VM.version")
	if err != nil {
		return "", err
	}
	version, ok := parseVersion(string(text))
	if !ok {
		return "", fault(c.p.pid, ErrRefused, "VM.version says %q", clip(string(text[:min(len(text), 128)]), 128))
	}
	return version, nil
}

// parseVersion reads "OpenJDK 64-Bit Server VM version 17.0.15+6-Debian-1deb12u1\nJDK 17.0.15\n".
func parseVersion(text string) (string, bool) {
	first, rest, _ := strings.Cut(text, "\n")
	_, version, ok := strings.Cut(first, " version ")
	version = javaString(clip(strings.TrimSpace(version), 128))
	if jdk, old := strings.CutPrefix(rest, "JDK 8."); old {
		jdk, _, _ = strings.Cut(jdk, "\n")
		version = fmt.Sprintf("8.%s (%s)", javaString(clip(strings.TrimSpace(jdk), 32)), version)
	}
	return version, ok && version != ""
}

// ThreadDump takes a thread dump. It stops the application for a moment, about 8 ms with 500 threads. The names in it
// are untrusted: see [Dump.ByNID].
func (c *Client) ThreadDump(ctx context.Context) (*Dump, error) {
	began := time.Now()
	text, err := c.Command(ctx, "threaddump")
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	d := parseReply(text)
	d.Took = took
	return d, nil
}

// do runs one command on a connection of its own.
func (c *Client) do(ctx context.Context, version2 bool, cmd, options string, args []string) ([]byte, error) {
	message, err := request(version2, cmd, options, args)
	if err != nil {
		return nil, fmt.Errorf("attach to pid %d: %w", c.p.pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, c.p.ended(ctx, "another command is under way")
	}
	if c.closed {
		return nil, fault(c.p.pid, os.ErrClosed, "the client was closed")
	}
	conn, err := c.p.dial(ctx, c.opt.Start)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(message); err != nil {
		return nil, c.failure(ctx, cmd, err)
	}
	reply, err := readReply(conn, maxReply)
	if err != nil {
		return nil, c.failure(ctx, cmd, err)
	}
	text, err := parseReplyCode(cmd, reply)
	if err != nil {
		return nil, fmt.Errorf("attach to pid %d: %w", c.p.pid, err)
	}
	return text, nil
}

// failure says why a connection broke.
func (c *Client) failure(ctx context.Context, cmd string, err error) error {
	if ctx.Err() != nil {
		if _, err := c.p.ready(); err != nil {
			return err
		}
		return c.p.ended(ctx, cmd+": it may be in a long safepoint, or its only attach listener busy with another client; try again")
	}
	if _, err := c.p.status(); err != nil {
		return err
	}
	if errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) {
		return fault(c.p.pid, ErrRefused, "%s: it closed the connection (it accepts its own user only, or is ending)", cmd)
	}
	if errors.Is(err, fs.ErrClosed) || errors.Is(err, ErrTooLarge) {
		return fault(c.p.pid, err, "%s", cmd)
	}
	return fault(c.p.pid, err, "%s", cmd)
}
