package main

import (
	"context"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize/jvm"
)

// jvmNMT is the answer of a JVM's native memory tracking, or why there is none.
type jvmNMT struct {
	nmt *jvm.NMT
	err error
}

// nmtWait is how long an export waits for it.
const nmtWait = 5 * time.Second

// freshNMT asks the JVMs that track their native memory for the figures. It is
// the only thing here that is asked of them, so it is done for exports alone,
// and not with --attach=no.
func (s *session) freshNMT(ctx context.Context) error {
	if s.o.attach == "no" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, nmtWait)
	defer cancel()
	answers, waiting := make(chan struct{}, len(s.targets)), 0
	for _, t := range s.targets {
		if t.jvm == nil {
			continue
		}
		if r := t.jvm.last.Load(); r == nil || !tracks(r.tracking) {
			continue
		}
		waiting++
		go func(w *jvmWatch, start bool) {
			n, err := askNMT(ctx, w.pid, start)
			w.nmt.Store(&jvmNMT{n, err})
			answers <- struct{}{}
		}(t.jvm, s.named[t.sp.PID()])
	}
	for waiting > 0 {
		select {
		case <-answers:
			waiting--
		case <-ctx.Done():
			return nil // who has not answered by now says so the next time
		default:
			if err := s.tr.Poll(time.Now().Add(2 * time.Millisecond)); err != nil {
				return err
			}
		}
	}
	return nil
}

func askNMT(ctx context.Context, pid int, start bool) (*jvm.NMT, error) {
	c, err := jvm.Dial(ctx, pid, jvm.Options{Start: start, Timeout: nmtWait})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	return c.NativeMemory(ctx)
}

// tracks reports whether the flag NativeMemoryTracking is on.
func tracks(flag string) bool { return flag == "summary" || flag == "detail" }

// addNMT adds the figures, or says why there are none.
func (w *jvmWatch) addNMT(r *jvmReading, j *leak.JVM) {
	status := r.tracking
	n := w.nmt.Load()
	switch {
	case r.tracking == "":
		return
	case !tracks(r.tracking):
		status = "off: start the JVM with -XX:NativeMemoryTracking=summary"
	case n == nil:
		status += ": it is asked for when an export is made, unless with --attach=no"
	case n.err != nil:
		status += ": " + n.err.Error()
	default:
		j.NMT, j.NMTReserved = n.nmt.Committed, n.nmt.Reserved
	}
	j.NMTStatus = str(status)
}
