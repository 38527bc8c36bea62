package main

import (
	"context"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize/jvm"
)

// jvmNMT is the answer of a JVM's native memory tracking, or why there is none.
type jvmNMT struct {
	at  time.Time
	nmt *jvm.NMT
	err error
}

// nmtWait is how long an export waits for it.
const nmtWait = 5 * time.Second

// firstNMT asks the JVMs that track their native memory for the figures, once
// and beside the trace: later ones are compared with these.
func (s *session) firstNMT(ctx context.Context) {
	for _, t := range s.targets {
		if t.jvm != nil && !t.jvm.asked && t.jvm.tracks() && s.o.attach != "no" {
			t.jvm.asked = true
			go t.jvm.askNMT(ctx, s.named[t.sp.PID()])
		}
	}
}

// freshNMT asks them for an export. Figures of native memory tracking are the
// only thing here that JVMs are asked for, so it is done at the start and for exports
// alone, and not with --attach=no.
func (s *session) freshNMT(ctx context.Context) error {
	if s.o.attach == "no" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, nmtWait)
	defer cancel()
	answers, waiting := make(chan struct{}, len(s.targets)), 0
	for _, t := range s.targets {
		if t.jvm != nil && t.jvm.tracks() {
			waiting++
			go func(w *jvmWatch, start bool) {
				w.askNMT(ctx, start)
				answers <- struct{}{}
			}(t.jvm, s.named[t.sp.PID()])
		}
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

// askNMT asks the JVM, and keeps the answer.
func (w *jvmWatch) askNMT(ctx context.Context, start bool) {
	n, err := askNMT(ctx, w.pid, start)
	a := &jvmNMT{time.Now(), n, err}
	if err == nil {
		w.firstNMT.CompareAndSwap(nil, a)
	}
	w.nmt.Store(a)
}

// tracks reports whether the JVM is known to track its native memory.
func (w *jvmWatch) tracks() bool {
	r := w.last.Load()
	return r != nil && tracks(r.tracking)
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
		if first := w.firstNMT.Load(); first != nil && first != n {
			at := first.at
			j.NMTSince, j.NMTGrowth = &at, map[string]int64{}
			for category, now := range n.nmt.Committed {
				j.NMTGrowth[category] = int64(now) - int64(first.nmt.Committed[category])
			}
		}
	}
	j.NMTStatus = str(status)
}
