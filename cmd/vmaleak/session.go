package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize"
	"vmaleak/tracer"
)

// session is one trace: the tracer, the books, and who the processes are. One
// goroutine runs it; only names are fetched beside it.
type session struct {
	env
	o       *traceOptions
	signals chan os.Signal
	tr      *tracer.Tracer
	books   *leak.Ledger
	host    symbolize.Host
	started time.Time
	out     *output
	stacks  *stacks // nil: none are taken
	jvms    *jvms
	warn    warnings
	cmd     *command

	mallocCost leak.BlockCost // but for the calls

	targets map[*tracer.Space]*target
	ofBooks map[*leak.Space]*target
	last    *target // of the last event
	unasked int     // ended spaces since the last snapshot
	looks   int     // processes looked up at their exec since the last refresh

	sel     symbolize.Selector // for later scans
	named   map[int]bool       // PIDs that the user named one by one
	failed  map[symbolize.Match]bool
	fetched chan fetch
	malloc  mallocReader

	goneAt   time.Time // since when no target is left
	saidGone bool
}

// keepEnded is how many ended spaces the ledger keeps.
const keepEnded = 64

// trace runs one trace from the command line to the exit code.
func trace(ctx context.Context, e env, o *traceOptions) error {
	if err := o.check(); err != nil {
		return usageError{err}
	}
	host := symbolize.ReadHost()
	if err := mayTrace(host); err != nil {
		return err
	}
	if err := o.preflight(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE) // whoever reads the text may go: the export is written all the same
	defer signal.Stop(signals)
	s := &session{
		env: e, o: o, signals: signals, host: host, started: time.Now(), sel: o.selector(),
		warn:    warnings{},
		targets: map[*tracer.Space]*target{}, ofBooks: map[*leak.Space]*target{},
		named: map[int]bool{}, failed: map[symbolize.Match]bool{}, fetched: make(chan fetch, 16), malloc: newMallocReader(),
	}
	s.books = leak.New(leak.Options{KeepEnded: keepEnded, Stack: s.stackOf})
	s.out = newOutput(s)
	s.jvms = newJVMs()
	err := s.start()
	if err == nil {
		err = s.run(ctx)
	}
	return errors.Join(err, s.close())
}

// run traces until the end of the duration, a signal, or the last target.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.settleFirst(); err != nil {
		return err
	}
	if err := s.out.ready(); err != nil {
		return err
	}
	now := time.Now()
	nextTick, nextScan, end := now.Add(s.o.interval), now.Add(scanEvery), time.Time{}
	if s.o.duration > 0 {
		end = now.Add(s.o.duration)
	}
	s.refresh(now)
	s.followMalloc(now)
	if s.out.screen.tty != nil {
		nextTick = now
	}
	for {
		if err := s.tr.Poll(time.Now().Add(50 * time.Millisecond)); err != nil {
			return err
		}
		s.takeStacks()
		now = time.Now()
		s.followMalloc(now)
		select {
		case sig := <-s.signals:
			if sig != syscall.SIGUSR1 {
				return s.finish(ctx)
			}
			if err := s.exportNow(ctx); err != nil {
				s.say("%v", err)
			}
			continue
		case f := <-s.fetched:
			s.adopt(f, now)
		case <-ctx.Done():
			return s.finish(context.WithoutCancel(ctx))
		default:
		}
		if now.After(nextScan) {
			nextScan = now.Add(scanEvery)
			s.rescan()
			s.refresh(now)
		}
		s.fetchDue(ctx, now)
		s.firstNMT(ctx)
		s.lookAtMalloc(now)
		if now.After(nextTick) {
			if nextTick = nextTick.Add(s.o.interval); nextTick.Before(now) {
				nextTick = now.Add(s.o.interval)
			}
			if err := s.tick(now); err != nil {
				return errors.Join(err, s.finish(ctx))
			}
		}
		if (!end.IsZero() && now.After(end)) || s.allGone(now) {
			return s.finish(ctx)
		}
	}
}

// settleFirst gives the first targets' seeds a moment to be verified: unverified counts as ready too.
func (s *session) settleFirst() error {
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		if err := s.tr.Poll(time.Now().Add(5 * time.Millisecond)); err != nil {
			return err
		}
		settled := true
		for sp := range s.tr.Spaces() {
			if ok, _ := sp.Verified(); !ok {
				settled = false
			}
		}
		if settled && (s.cmd == nil || len(s.targets)+len(s.ofBooks) > 0) {
			return nil
		}
	}
	return nil
}

// restartGrace is how long a target given by name may be gone before the trace ends.
const restartGrace = 30 * time.Second

// tearDown is how long the end of a space may take after that of its process.
const tearDown = 3 * time.Second

// allGone reports whether nothing is left to trace.
func (s *session) allGone(now time.Time) bool {
	if s.cmd != nil {
		if _, ended := s.cmd.ended(); !ended {
			return false
		}
	}
	if len(s.tr.PIDs()) > 0 {
		s.goneAt, s.saidGone = time.Time{}, false
		return false
	}
	if s.goneAt.IsZero() {
		s.goneAt = now
	}
	gone := now.Sub(s.goneAt)
	switch {
	case len(s.targets) > 0 && gone < tearDown:
		return false
	case s.cmd != nil:
		return true
	case s.o.jvm:
		return false
	case !s.sel.Follows():
		return true
	case !s.saidGone:
		s.saidGone = true
		s.say("all targets are gone: waiting %v for a restart (Ctrl-C ends it)", restartGrace)
	}
	return gone > restartGrace
}

// tick adds a point to the series and shows the state.
func (s *session) tick(now time.Time) error {
	if _, err := s.tr.Drain(); err != nil {
		return err
	}
	s.healBlocks(now)
	s.books.Tick(now)
	return s.out.interval(now)
}

// finish ends the trace with its report and exports.
func (s *session) finish(ctx context.Context) error {
	if err := s.settleState(ctx); err != nil {
		return err
	}
	s.reportCommand()
	now := time.Now()
	s.books.Tick(now)
	return s.out.final(now)
}

// exportNow is SIGUSR1: everything that happened before the request is in the export.
func (s *session) exportNow(ctx context.Context) error {
	if err := s.settleState(ctx); err != nil {
		return err
	}
	return s.out.export(time.Now())
}

// settleState brings names, threads and ledger up to this instant.
func (s *session) settleState(ctx context.Context) error {
	if err := s.freshNames(ctx); err != nil {
		return err
	}
	if err := s.freshNMT(ctx); err != nil {
		return err
	}
	if err := s.freshJVMs(); err != nil {
		return err
	}
	if err := s.freshMalloc(); err != nil {
		return err
	}
	inFlight, err := s.tr.Drain()
	if err != nil {
		return err
	}
	s.healBlocks(time.Now())
	if err := s.freshStacks(); err != nil {
		return err
	}
	delete(s.warn, "in-flight")
	if len(inFlight) > 0 {
		s.warn.add("in-flight", "a call was still under way: the state shown is the one before it", uint64(len(inFlight)))
	}
	s.refreshNames(time.Now())
	return nil
}

// reportCommand says what became of -- COMMAND.
func (s *session) reportCommand() {
	if s.cmd == nil || s.o.kill {
		return
	}
	switch err, ended := s.cmd.ended(); {
	case !ended:
		s.say("%s (process %d) runs on", s.o.command[0], s.cmd.cmd.Process.Pid)
	case err != nil:
		s.say("%s ended: %v", s.o.command[0], err)
	}
}

func (s *session) close() error {
	var errs []error
	for _, t := range s.ofBooks {
		t.close()
	}
	s.stacks.close()
	s.jvms.close()
	if s.cmd != nil && s.o.kill {
		errs = append(errs, s.cmd.stop())
	}
	if s.tr != nil {
		if err := s.tr.Close(); err != nil {
			errs = append(errs, fmt.Errorf("detach the probes: %w", err))
		}
	}
	return errors.Join(errs...)
}
