package jvm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// connect connects to the JVM's socket. The error is fs.ErrNotExist if there is none, ECONNREFUSED if nobody listens.
//
// The path is the JVM's to arrange: the file is opened without following links, must be a socket of the JVM's user, and
// is connected to through its descriptor, so it cannot be exchanged in between. Who listens is asked before anything is sent.
func (p *process) connect(ctx context.Context, s status) (*os.File, error) {
	tmp, err := p.openTmp()
	if err != nil {
		return nil, err
	}
	defer tmp.Close()
	name := fmt.Sprintf(".java_pid%d", s.nspid)
	file, err := unix.Openat(int(tmp.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fault(p.pid, err, "open /tmp/%s in its root", name)
	}
	defer unix.Close(file)
	var st unix.Stat_t
	if err := unix.Fstat(file, &st); err != nil {
		return nil, fault(p.pid, err, "stat /tmp/%s in its root", name)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, fault(p.pid, ErrForeignSocket, "/tmp/%s in its root is a link or a file, not a socket; "+
			"find out who put it there, then remove it", name)
	}
	if int(st.Uid) != s.euid && st.Uid != 0 {
		return nil, fault(p.pid, ErrForeignSocket, "/tmp/%s in its root belongs to user %d, not to the JVM's user %d; "+
			"find out who put it there, then remove it", name, st.Uid, s.euid)
	}
	conn, err := p.connectAs(ctx, s, fmt.Sprintf("/proc/self/fd/%d", file))
	if err != nil {
		return nil, err
	}
	if err := p.checkPeer(conn, s, name); err != nil {
		unix.Close(conn)
		return nil, err
	}
	return os.NewFile(uintptr(conn), name), nil
}

// connectAs connects with the effective user and group of the JVM: a JDK 8 accepts no other, not even root.
func (p *process) connectAs(ctx context.Context, s status, path string) (int, error) {
	if os.Geteuid() == s.euid && os.Getegid() == s.egid {
		return p.connectPath(ctx, path)
	}
	type result struct {
		conn int
		err  error
	}
	done := make(chan result)
	go func() {
		// Only this thread takes on the other identity. If it cannot be taken off again the goroutine ends locked to
		// the thread, which ends the thread, too.
		runtime.LockOSThread()
		var r result
		restored := asUser(s.euid, s.egid, func() { r.conn, r.err = p.connectPath(ctx, path) })
		if restored {
			runtime.UnlockOSThread()
		}
		done <- r
	}()
	r := <-done
	return r.conn, r.err
}

// asUser runs f with the effective ids of the calling thread alone changed, as far as that is permitted. It reports
// whether the thread has its own ids again. The calls are raw since Go's own change all threads.
func asUser(euid, egid int, f func()) (restored bool) {
	const keep = ^uintptr(0)
	dumpable, errDumpable := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	uid, gid := uintptr(os.Geteuid()), uintptr(os.Getegid())
	_, _, noGID := unix.RawSyscall(unix.SYS_SETRESGID, keep, uintptr(egid), keep)
	_, _, noUID := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(euid), keep)
	f()
	// The kernel makes a process that changes its effective ids undumpable (commit_creds); that is undone as well.
	restored = true
	if noUID == 0 {
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uid, keep)
		restored = errno == 0
	}
	if noGID == 0 {
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, keep, gid, keep)
		restored = restored && errno == 0
	}
	if restored && errDumpable == nil && dumpable == 1 {
		// Without effect on anything here if it is refused.
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
	return restored
}

// connectPath returns a connected, non-blocking socket.
func (p *process) connectPath(ctx context.Context, path string) (int, error) {
	conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fault(p.pid, err, "make a socket")
	}
	for {
		err = unix.Connect(conn, &unix.SockaddrUnix{Name: path})
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			break
		}
		// The queue of the listener, which serves one client after the other, is full.
		if pause(ctx, 5*time.Millisecond) != nil {
			unix.Close(conn)
			return -1, p.ended(ctx, "its attach listener is busy with other clients")
		}
	}
	if err != nil {
		unix.Close(conn)
		return -1, fault(p.pid, err, "connect to its attach socket")
	}
	return conn, nil
}

// checkPeer makes sure that it is the JVM that listens.
func (p *process) checkPeer(conn int, s status, name string) error {
	peer, err := unix.GetsockoptUcred(conn, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return fault(p.pid, err, "ask who listens at /tmp/%s", name)
	}
	if int(peer.Pid) != p.pid || int(peer.Uid) != s.euid && peer.Uid != 0 {
		return fault(p.pid, ErrForeignSocket, "at /tmp/%s in its root listens process %d of user %d; "+
			"find out who put it there, then remove it", name, peer.Pid, peer.Uid)
	}
	if _, err := p.status(); err != nil { // still the process that it was when its number was compared
		return err
	}
	return nil
}
