package jvm

import (
	"errors"
	"fmt"
)

// What may stand in the way of an attach. Each comes wrapped in an error that names the process, the cause and the cure.
var (
	ErrNotJVM         = errors.New("not a HotSpot JVM")
	ErrStopped        = errors.New("the process is stopped")
	ErrZombie         = errors.New("the process is a zombie")
	ErrGone           = errors.New("the process is gone")
	ErrNoHandler      = errors.New("the JVM does not handle SIGQUIT")
	ErrAttachDisabled = errors.New("the attach mechanism is switched off")
	ErrNoSocket       = errors.New("no attach socket")
	ErrReadOnly       = errors.New("no writable place for the attach files")
	ErrForeignSocket  = errors.New("the attach socket is not the JVM's")
	ErrNamespace      = errors.New("/proc shows another pid namespace")
	ErrTimeout        = errors.New("the JVM did not answer in time")
	ErrTooLarge       = errors.New("the JVM's answer is too large")
	ErrNoRoom         = errors.New("no place for a heap dump")
	ErrRefused        = errors.New("the JVM refused the command")
)

// fault wraps a sentinel, or a system error, with the process it is about and with what to do about it.
func fault(pid int, err error, format string, args ...any) error {
	return fmt.Errorf("attach to pid %d: %w: %s", pid, err, fmt.Sprintf(format, args...))
}
