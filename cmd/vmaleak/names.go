package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize"
	"vmaleak/symbolize/hotspot"
	"vmaleak/symbolize/jvm"
)

// fetch is the answer of one JVM.
type fetch struct {
	t *target
	r symbolize.Result
}

// looksPerScan bounds how many programs that were just executed are looked up
// at once, between two scans; of the others, those that live until the next
// scan are looked up then. A storm of short commands costs no more than that.
const looksPerScan = 64

// namesWait is how long an export waits for JVMs that are asked for names.
const namesWait = 5 * time.Second

// refresh reads anew who the processes and threads are.
func (s *session) refresh(now time.Time) {
	s.looks = 0
	s.refreshNames(now)
}

// fetchDue has the names of threads fetched that have come since.
func (s *session) fetchDue(ctx context.Context, now time.Time) {
	for _, t := range s.targets {
		if t.namer != nil && !t.fetching && t.namer.Due(now) {
			s.fetch(ctx, t)
		}
	}
}

func (s *session) refreshNames(now time.Time) {
	for _, t := range s.targets {
		s.learn(t)
		s.refreshThreads(t, now)
	}
}

// refreshThreads reads the threads of a process. One that has ended keeps what
// is known of it; its end is the tracer's to tell.
func (s *session) refreshThreads(t *target, now time.Time) {
	if t.namer == nil {
		return
	}
	if err := t.namer.Refresh(now); err != nil && !errors.Is(err, symbolize.ErrGone) {
		s.complain("threads", err)
	}
}

// fetch reads a JVM's names, in a goroutine: the answer comes through s.fetched.
func (s *session) fetch(ctx context.Context, t *target) {
	t.fetching = true
	go func() { s.fetched <- fetch{t, t.namer.Fetch(ctx)} }()
}

// adopt takes the answer of a JVM over.
func (s *session) adopt(f fetch, now time.Time) {
	t := f.t
	t.fetching = false
	if t.ended {
		t.close() // it waited for the answer
	}
	if t.namer == nil || t.ended {
		return
	}
	t.namer.Adopt(f.r, now)
	if err := t.nameless(now, false); err != nil && !t.saidNameless {
		t.saidNameless = true
		s.say("threads of %d have their kernel names only: %v", t.sp.PID(), err)
	}
	if v := shortVersion(t.namer.JVM()); v != "" {
		t.books.Process().JVM = &leak.JVM{Version: &v}
		s.watchJVM(t)
	}
}

// youth is how long a JVM may take until it can be asked for its threads.
const youth = 10 * time.Second

// nameless is why a JVM's threads have no names but the kernel's, nil if they
// have. One that has only just started will be asked again: that it could not
// answer yet is of no interest while the trace lasts.
func (t *target) nameless(now time.Time, last bool) error {
	if t.namer == nil {
		return nil
	}
	err := t.namer.Err()
	if err == nil || t.namer.JVM() != "" { // a later dump that failed leaves the names of an earlier one
		return nil
	}
	if !last && (errors.Is(err, hotspot.ErrNotReady) || errors.Is(err, jvm.ErrNoHandler) || errors.Is(err, jvm.ErrNotJVM)) && t.proc.IsJVM && now.Sub(t.proc.StartedAt) < youth {
		return nil
	}
	return err
}

// namelessWarning sums up the JVMs whose threads have no names.
func (s *session) namelessWarning(now time.Time, last bool) *leak.Warning {
	var w *leak.Warning
	for _, t := range s.targets {
		err := t.nameless(now, last)
		switch {
		case err == nil:
		case w == nil:
			w = &leak.Warning{Code: "names", Message: fmt.Sprintf("thread names are the kernel's, cut at 15 bytes: %v", err), Count: 1}
		default:
			w.Count++
		}
	}
	return w
}

// freshNames reads the threads anew and their names, and waits for JVMs that
// have to be asked for them, for a while.
func (s *session) freshNames(ctx context.Context) error {
	now := time.Now()
	s.refreshNames(now)
	for _, t := range s.targets {
		if t.namer != nil && !t.fetching && t.namer.DueLast(now) {
			s.fetch(ctx, t)
		}
	}
	for deadline := now.Add(namesWait); s.fetching() && time.Now().Before(deadline); {
		if err := s.tr.Poll(time.Now().Add(10 * time.Millisecond)); err != nil {
			return err
		}
		select {
		case f := <-s.fetched:
			s.adopt(f, time.Now())
		default:
		}
	}
	return nil
}

func (s *session) fetching() bool {
	for _, t := range s.targets {
		if t.fetching {
			return true
		}
	}
	return false
}

// eight is HotSpot's name of a JDK 8: 25.191-b12 is 8u191-b12.
var eight = regexp.MustCompile(`^25\.(\d+)-(b\d+)`)

// shortVersion is the version alone of a JVM's version or of the first line of a thread dump:
// "OpenJDK 64-Bit Server VM (17.0.15+6-Debian-1deb12u1 mixed mode, sharing)"
// gives "17.0.15+6-Debian-1deb12u1".
func shortVersion(line string) string {
	if from := strings.LastIndexByte(line, '('); from >= 0 {
		line, _, _ = strings.Cut(strings.TrimSuffix(line[from+1:], ")"), " ")
	}
	return eight.ReplaceAllString(line, "8u$1-$2")
}
