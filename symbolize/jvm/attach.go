package jvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dial returns a connection to the JVM's attach listener, which it starts if that is needed and allowed.
func (p *process) dial(ctx context.Context, start bool) (*os.File, error) {
	s, err := p.ready()
	if err != nil {
		return nil, err
	}
	if p.kind == noMachine { // once: reading the memory map holds up those who change it
		if err := p.checkMachine(); err != nil {
			return nil, err
		}
	}
	conn, err := p.connect(ctx, s)
	stale := errors.Is(err, unix.ECONNREFUSED)
	if err == nil || !stale && !errors.Is(err, fs.ErrNotExist) {
		return conn, err
	}
	what := "it has not been attached to before"
	if stale {
		what = "what stands there was left by an earlier process"
	}
	if !start {
		return nil, fault(p.pid, ErrNoSocket, "/tmp/.java_pid%d: %s; allow the attach to be started, or run `jcmd %d VM.version` once",
			s.nspid, what, p.pid)
	}
	return p.startListener(ctx, s, stale)
}

// ready checks that the process lives and runs.
func (p *process) ready() (status, error) {
	s, err := p.status()
	if err != nil {
		return s, err
	}
	// A tracer stops threads for moments; whoever stays stopped will not answer.
	for try := 0; s.state == 't' && try < 20; try++ {
		if err := pause(context.Background(), 5*time.Millisecond); err != nil {
			return s, err
		}
		if s, err = p.status(); err != nil {
			return s, err
		}
	}
	switch {
	case s.tgid != p.pid:
		return s, fault(p.pid, ErrNotJVM, "it is a thread of process %d; give that number", s.tgid)
	case s.state == 'Z' || s.state == 'X':
		return s, fault(p.pid, ErrZombie, "it has ended (state %c) and waits for its parent to collect it", s.state)
	case s.state == 'T':
		return s, fault(p.pid, ErrStopped, "by a signal (state T); continue it with kill -CONT %d", p.pid)
	case s.state == 't':
		return s, fault(p.pid, ErrStopped, "by a debugger (state t); let that continue it")
	}
	return s, nil
}

// checkMachine finds out whether the process is a HotSpot JVM, and of which kind.
func (p *process) checkMachine() error {
	kind, err := p.machine()
	if err != nil {
		return err
	}
	switch kind {
	case noMachine:
		return fault(p.pid, ErrNotJVM, "no libjvm.so is mapped; if it is a JVM it has only just started")
	case openJ9:
		return fault(p.pid, ErrNotJVM, "it is an OpenJ9, whose attach protocol is another one")
	}
	p.kind = kind
	return nil
}

// startListener has the JVM start its attach listener, and returns the first connection to it. SIGQUIT is sent only
// after all has been checked that would make the JVM die of it or print a thread dump.
func (p *process) startListener(ctx context.Context, s status, stale bool) (*os.File, error) {
	if err := p.checkMachine(); err != nil { // it may have run another program since
		return nil, err
	}
	if err := p.mayStart(s, stale); err != nil {
		return nil, err
	}
	pidfd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return nil, fault(p.pid, err, "pidfd_open (needs Linux 5.3)")
	}
	defer unix.Close(pidfd)
	file, err := p.createAttachFile(s)
	if err != nil {
		return nil, err
	}
	defer file.remove()
	// The descriptor was taken by number. The process held by p still lives, so it had the number then, and it is this one.
	now, err := p.ready()
	if err != nil {
		return nil, err
	}
	if !now.handlesQuit || now.euid != s.euid || now.nspid != s.nspid {
		return nil, fault(p.pid, ErrNoHandler, "it changed while being attached to; try again")
	}
	if err := ctx.Err(); err != nil {
		return nil, p.ended(ctx, "before SIGQUIT was sent")
	}
	if err := unix.PidfdSendSignal(pidfd, unix.SIGQUIT, nil, 0); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return nil, fault(p.pid, ErrGone, "it has ended")
		}
		return nil, fault(p.pid, err, "send SIGQUIT")
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		if err := pause(ctx, wait); err != nil {
			return nil, p.ended(ctx, fmt.Sprintf("no socket /tmp/.java_pid%d appeared after SIGQUIT; "+
				"it may be too busy, or not be able to write in its /tmp", s.nspid))
		}
		if now, err = p.status(); err != nil {
			return nil, err
		}
		switch now.state {
		case 'Z', 'X':
			return nil, fault(p.pid, ErrZombie, "it ended while being attached to")
		case 'T':
			return nil, fault(p.pid, ErrStopped, "it was stopped while being attached to; continue it with kill -CONT %d", p.pid)
		}
		// A stale socket is replaced by rename, so that a refusal means: not yet.
		switch conn, err := p.connect(ctx, s); {
		case err == nil:
			return conn, nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ECONNREFUSED):
			return nil, err
		}
	}
}

// mayStart says why SIGQUIT would do harm, nil if it would not.
func (p *process) mayStart(s status, stale bool) error {
	if !s.handlesQuit {
		return fault(p.pid, ErrNoHandler, "it would die of it; "+
			"either it is still starting (try again), or it runs with -Xrs and its /tmp/.java_pid%d was removed (restart it)", s.nspid)
	}
	if where := p.attachDisabled(); where != "" {
		return fault(p.pid, ErrAttachDisabled, "%s has %s; start it without", where, disableFlag)
	}
	listening, err := p.hasListener()
	if err != nil {
		return err
	}
	if listening && stale {
		return fault(p.pid, ErrNoSocket,
			"its attach listener runs, but something else stands at its /tmp/.java_pid%d; remove that file", s.nspid)
	}
	if listening && p.kind == hotSpot8 {
		// HotSpot makes a removed socket anew since JDK 14 and in updates of 11 (AttachListener::check_socket_file); older
		// ones print a thread dump.
		return fault(p.pid, ErrNoSocket, "its attach listener runs, but its /tmp/.java_pid%d was removed, "+
			"and a JDK 8 makes no new one; restart it, and keep cleaners of /tmp from .java_pid*", s.nspid)
	}
	tmp, err := p.openTmp()
	if errors.Is(err, fs.ErrNotExist) {
		return fault(p.pid, ErrReadOnly, "it has no /tmp, where its socket must stand; give it one")
	}
	if err != nil {
		return err
	}
	defer tmp.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(tmp.Fd()), &st); err == nil && st.Flags&unix.ST_RDONLY != 0 {
		return fault(p.pid, ErrReadOnly, "its /tmp is mounted read-only, "+
			"so it cannot make its socket there; give it a writable /tmp (a tmpfs will do)")
	}
	return nil
}

// ended says why ctx ended a wait.
func (p *process) ended(ctx context.Context, doing string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fault(p.pid, ctx.Err(), "%s", doing)
	}
	return fault(p.pid, ErrTimeout, "%s", doing)
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
