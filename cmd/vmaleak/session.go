package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize"
	"vmaleak/tracer"
	"vmaleak/vma"
)

// session is one trace: the tracer, the books, and who the processes are. One
// goroutine runs it; only thread dumps are fetched beside it.
type session struct {
	env
	o       *traceOptions
	tr      *tracer.Tracer
	books   *leak.Ledger
	targets map[*tracer.Space]*target
	ofBooks map[*leak.Space]*target
	host    symbolize.Host
	started time.Time
	sel     symbolize.Selector // for later scans
	named   map[int]bool       // PIDs that the user named one by one
	failed  map[symbolize.Match]bool
	cmd     *command
	fetched chan fetch
	out     *output
	warn    map[string]*leak.Warning
	goneAt  time.Time // since when no target is left
}

type fetch struct {
	t *target
	r symbolize.Result
}

// restartGrace is how long a target given by name may be gone before the trace ends.
const restartGrace = 30 * time.Second

func newSession(e env, o *traceOptions) (*session, error) {
	s := &session{
		env: e, o: o, targets: map[*tracer.Space]*target{}, ofBooks: map[*leak.Space]*target{}, host: symbolize.ReadHost(),
		started: time.Now(), named: map[int]bool{}, failed: map[symbolize.Match]bool{}, fetched: make(chan fetch, 16), warn: map[string]*leak.Warning{},
	}
	s.books = leak.New(leak.Options{})
	s.out = newOutput(s)
	var matches []symbolize.Match
	s.sel = o.selector()
	if len(o.command) == 0 {
		var err error
		if matches, err = s.find(); err != nil {
			return nil, err
		}
	}
	if !s.host.InitialPIDNamespace {
		return nil, errors.New("start: this process is in a PID namespace of its own, so its PIDs are not those that the kernel reports; run vmaleak on the host, or the container with --pid=host (Kubernetes: hostPID: true)")
	}
	path, mounted, err := symbolize.MountTracefs()
	if err != nil {
		return nil, fmt.Errorf("find tracefs: %w", err)
	}
	if mounted {
		e.say("mounted tracefs at %s", path)
	}
	vmopt, err := tracer.ModelOptions()
	if err != nil {
		return nil, err
	}
	s.tr, err = tracer.Open(tracer.Options{Ring: int(o.ring), Backend: o.backend, Audit: time.Duration(o.audit)}, vmopt, s)
	if err != nil {
		return nil, err
	}
	if s.tr.Backend.Mode == tracer.EnterExit {
		s.warning("enter-exit", "this kernel does not tell when the mmap lock is taken: exact only for programs whose threads do not race for addresses", 1)
	}
	if err := s.begin(matches); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// find resolves the selectors for the first time.
func (s *session) find() ([]symbolize.Match, error) {
	for _, pid := range s.o.pids {
		p, err := symbolize.ReadProcess(pid)
		if err != nil && !errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("trace process %d: %w", pid, err)
		}
		if p != nil && p.Bits == 32 {
			s.warning("32-bit", fmt.Sprintf("process %d is a 32-bit program: its system calls are invisible to tracepoints, so its ledger comes from comparisons with /proc/PID/maps alone", pid), 1)
		}
	}
	matches, err := s.sel.Find()
	if err != nil {
		return nil, err
	}
	if len(matches) == 0 && !s.o.jvm {
		return nil, fmt.Errorf("find what to trace: no process matches %s; vmaleak without an argument lists the JVMs", s.describe())
	}
	if len(s.o.names) > 0 {
		for _, m := range matches {
			s.say("process %d matches: %s", m.PID, m.Why)
		}
	}
	s.sel = s.sel.Pin(matches)
	return matches, nil
}

func (s *session) describe() string {
	var parts []string
	add := func(flag, value string) {
		if value != "" {
			parts = append(parts, flag+value)
		}
	}
	for _, n := range s.o.names {
		add("", fmt.Sprintf("%q", n))
	}
	add("--comm ", s.o.comm)
	add("--cgroup ", s.o.cgroup)
	add("-u ", s.o.unit)
	add("--pod ", s.o.pod)
	add("--container ", s.o.container)
	return strings.Join(parts, ", ")
}

// begin follows the first targets.
func (s *session) begin(matches []symbolize.Match) error {
	if len(s.o.command) > 0 {
		c, err := startCommand(s.o.command)
		if err != nil {
			return err
		}
		s.cmd = c
		pid := c.cmd.Process.Pid
		s.named[pid] = true
		if os.Geteuid() == 0 && os.Getenv("SUDO_UID") != "" {
			s.say("%s runs as root, not as the user who called sudo", s.o.command[0])
		}
		if err := s.tr.Expect(pid); err != nil {
			return err
		}
		return c.release()
	}
	for _, m := range matches {
		if err := s.follow(m); err != nil {
			return err
		}
	}
	if len(s.tr.PIDs()) == 0 && len(s.o.pids) > 0 {
		return errors.New("trace: none of the processes could be followed")
	}
	return nil
}

// follow begins to trace one process. A process that is gone meanwhile is no error.
func (s *session) follow(m symbolize.Match) error {
	for _, pid := range s.o.pids {
		if pid == m.PID {
			s.named[pid] = true
		}
	}
	if m.Name != "" {
		s.named[m.PID] = true
	}
	err := s.tr.Follow(m.PID)
	if errors.Is(err, tracer.ErrGone) {
		s.say("%v", err)
		return nil
	}
	return err
}

// rescan follows targets that came since.
func (s *session) rescan() error {
	if s.cmd != nil || !s.sel.Follows() {
		return nil
	}
	matches, err := s.sel.Find()
	if err != nil {
		return err
	}
	for _, m := range matches {
		if s.failed[m] || s.tr.Follows(m.PID) {
			continue
		}
		s.say("process %d is new: %s", m.PID, m.Why)
		if err := s.follow(m); err != nil {
			s.failed[m] = true
			s.say("%v", err)
		}
	}
	return nil
}

// run traces until the end of the duration, a signal, or the last target.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)

	if err := s.settleFirst(); err != nil {
		return err
	}
	if err := s.out.ready(); err != nil {
		return err
	}
	now := time.Now()
	nextTick, nextScan, end := now.Add(s.o.interval), now.Add(2*time.Second), time.Time{}
	if s.o.duration > 0 {
		end = s.started.Add(s.o.duration)
	}
	s.refresh(ctx, now)
	for {
		if err := s.tr.Poll(time.Now().Add(20 * time.Millisecond)); err != nil {
			return err
		}
		now = time.Now()
		select {
		case sig := <-signals:
			if sig == syscall.SIGUSR1 {
				if err := s.exportNow(); err != nil {
					s.say("%v", err)
				}
				continue
			}
			return s.finish(ctx)
		case f := <-s.fetched:
			s.adopt(f, now)
		case <-ctx.Done():
			return s.finish(context.WithoutCancel(ctx))
		default:
		}
		if now.After(nextScan) {
			nextScan = now.Add(2 * time.Second)
			if err := s.rescan(); err != nil {
				s.say("%v", err)
			}
			s.refresh(ctx, now)
		}
		if now.After(nextTick) {
			nextTick = nextTick.Add(s.o.interval)
			if nextTick.Before(now) {
				nextTick = now.Add(s.o.interval)
			}
			if err := s.tick(now); err != nil {
				return err
			}
		}
		if (!end.IsZero() && now.After(end)) || s.allGone(now) || s.out.enough(now) {
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
		if settled && (s.cmd == nil || len(s.targets) > 0) {
			return nil
		}
	}
	return nil
}

// allGone reports whether nothing is left to trace.
func (s *session) allGone(now time.Time) bool {
	if s.cmd != nil {
		select {
		case err := <-s.cmd.done:
			s.cmd.done <- err
		default:
			return false // the command runs
		}
	}
	if len(s.tr.PIDs()) > 0 {
		s.goneAt = time.Time{}
		return false
	}
	switch {
	case s.o.jvm && s.cmd == nil:
		return false
	case s.cmd != nil || !s.sel.Follows():
		return true
	case s.goneAt.IsZero():
		s.goneAt = now
		s.say("all targets are gone: waiting %v for a restart (Ctrl-C ends it)", restartGrace)
	}
	return now.Sub(s.goneAt) > restartGrace
}

// tick adds a point to the series and shows the state.
func (s *session) tick(now time.Time) error {
	if _, err := s.tr.Drain(); err != nil {
		return err
	}
	s.books.Tick(now)
	return s.out.interval(now)
}

// finish ends the trace with its report and exports.
func (s *session) finish(ctx context.Context) error {
	if err := s.lastNames(ctx); err != nil {
		return err
	}
	inFlight, err := s.tr.Drain()
	if err != nil {
		return err
	}
	s.noteInFlight(inFlight)
	s.reportCommand()
	now := time.Now()
	s.books.Tick(now)
	return s.out.final(now)
}

func (s *session) reportCommand() {
	if s.cmd == nil {
		return
	}
	select {
	case err := <-s.cmd.done:
		if err != nil {
			s.say("%s ended: %v", s.o.command[0], err)
		}
	default:
		s.say("%s (process %d) runs on", s.o.command[0], s.cmd.cmd.Process.Pid)
	}
}

// exportNow is SIGUSR1: everything that happened before the request is in the export.
func (s *session) exportNow() error {
	inFlight, err := s.tr.Drain()
	if err != nil {
		return err
	}
	s.noteInFlight(inFlight)
	s.refreshNames(time.Now())
	return s.out.export(time.Now())
}

func (s *session) noteInFlight(spaces []*tracer.Space) {
	delete(s.warn, "in-flight")
	if len(spaces) > 0 {
		s.warning("in-flight", "a call was still under way: the state shown is the one before it", uint64(len(spaces)))
	}
}

func (s *session) warning(code, message string, count uint64) {
	if w := s.warn[code]; w != nil {
		w.Count += count
		return
	}
	s.warn[code] = &leak.Warning{Code: code, Message: message, Count: count}
}

func (s *session) close() error {
	if s.cmd != nil && s.cmd.cmd.ProcessState == nil && s.cmd.gate != nil {
		select {
		case err := <-s.cmd.done:
			s.cmd.done <- err
		default:
		}
	}
	for _, t := range s.ofBooks {
		t.close()
	}
	if s.tr == nil {
		return nil
	}
	return s.tr.Close()
}

// Open implements tracer.Handler.
func (s *session) Open(sp *tracer.Space) { s.open(sp) }

// Apply implements tracer.Handler.
func (s *session) Apply(sp *tracer.Space, ev *vma.Event, d *vma.Delta) {
	t := s.targets[sp]
	t.books.Book(ev, d)
	if len(d.Acquired) > 0 && ev.Thread != t.lastSeen {
		t.lastSeen = ev.Thread
		if t.namer != nil && ev.Op != 0 {
			t.namer.Saw(ev.Thread.TID, ev.Thread.Start)
		}
	}
}

// End implements tracer.Handler.
func (s *session) End(sp *tracer.Space, at time.Time, by string) {
	t := s.targets[sp]
	delete(s.targets, sp)
	t.final()
	t.books.End(at, by)
}
