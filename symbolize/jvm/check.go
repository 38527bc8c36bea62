package jvm

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Check says why a JVM cannot be asked for its threads, nil if it can. Nothing
// is sent to it: an attach listener that does not run yet is not started.
func Check(ctx context.Context, pid int) error {
	p, err := openProcess(pid)
	if err != nil {
		return err
	}
	defer p.close()
	s, err := p.ready()
	if err != nil {
		return err
	}
	if err := p.checkMachine(); err != nil {
		return err
	}
	conn, err := p.connect(ctx, s)
	if err == nil {
		return conn.Close()
	}
	stale := errors.Is(err, unix.ECONNREFUSED)
	if !stale && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return p.mayStart(s, stale)
}
