package symbolize

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

var (
	// ErrGone says that the process or thread no longer exists.
	ErrGone = errors.New("no such process")
	// ErrZombie says that the process has ended and only waits for its parent:
	// it has no memory any more.
	ErrZombie = errors.New("process has ended (zombie): its memory is already gone")
	// ErrKernelThread says that the PID is a kernel thread, which has no address space.
	ErrKernelThread = errors.New("kernel thread: it has no address space")
	// ErrNotLeader says that the number is the TID of a thread, not the PID of a process.
	ErrNotLeader = errors.New("thread, not a process")
	// ErrOutside says that a path below a process's root does not lead to a plain file there.
	ErrOutside = errors.New("not a plain file below the process's root")
)

// procError adds the likely cause to an error of reading /proc and turns the
// kernel's ways to say "gone" (ENOENT, ESRCH) into ErrGone.
func procError(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrGone):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		return fmt.Errorf("%s: %w", what, ErrGone)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %w (run as root, or with CAP_SYS_PTRACE; a container needs the host's PID namespace)", what, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}
