package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"vmaleak/symbolize"
	"vmaleak/tracer"
)

// scanEvery is how often new targets and new threads are looked for.
const scanEvery = 2 * time.Second

// start finds the targets, loads the probes and follows the targets.
func (s *session) start() error {
	var matches []symbolize.Match
	if len(s.o.command) == 0 {
		var err error
		if matches, err = s.find(); err != nil {
			return err
		}
	}
	path, mounted, err := symbolize.MountTracefs()
	if err != nil {
		return fmt.Errorf("find tracefs: %w", err)
	}
	if mounted {
		s.say("mounted tracefs at %s", path)
	}
	vmopt, err := tracer.ModelOptions()
	if err != nil {
		return err
	}
	var blocks tracer.BlockHandler
	if s.o.malloc > 0 {
		blocks = s
	}
	s.tr, err = tracer.Open(tracer.Options{Malloc: uint64(s.o.malloc), Blocks: blocks, Ring: int(s.o.ring), Backend: s.o.backend, Audit: time.Duration(s.o.audit),
		Stacks: s.o.takesStacks(), StackMin: uint64(s.o.stackMin), StackRate: s.o.stackRate}, vmopt, s)
	if err != nil {
		return err
	}
	if why := s.tr.Backend.NoStacks; why != "" {
		s.warn.add("no-stacks", "no stacks are taken: "+why, 1)
	} else if s.o.takesStacks() {
		s.stacks = newStacks(s.books.StacksInUse)
	}
	s.measureMalloc()
	debug.FreeOSMemory() // the kernel's types, which only loading needs
	if s.tr.Backend.Mode == tracer.EnterExit {
		s.warn.add("enter-exit", "the back end enter-exit is exact only for programs whose threads do not race for addresses", 1)
	}
	if len(s.o.command) > 0 {
		return s.begin()
	}
	var errs []error
	for _, m := range matches {
		if err := s.follow(m); err != nil {
			errs = append(errs, err)
		}
	}
	if len(s.tr.PIDs()) == 0 && !s.o.jvm {
		return errors.Join(append(errs, errors.New("trace: none of the processes could be followed"))...)
	}
	for _, err := range errs { // one of several ended just now
		s.complain("follow", err)
	}
	return s.startMalloc()
}

// find resolves the selectors for the first time.
func (s *session) find() ([]symbolize.Match, error) {
	for _, pid := range s.o.pids {
		if _, err := symbolize.ReadProcess(pid); err != nil && !errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("trace %w%s", err, pidCure(err))
		}
	}
	matches, err := s.sel.Find()
	if err != nil {
		return nil, err
	}
	if len(matches) == 0 {
		if !s.o.jvm {
			return nil, fmt.Errorf("find what to trace: no process matches %s; ps -e lists the processes, vmaleak without an argument the JVMs", s.describe())
		}
		s.say("no JVM runs here yet; one that starts is followed")
	}
	for _, m := range matches {
		if m.Name != "" {
			s.say("process %d matches: %s", m.PID, m.Why)
		}
	}
	s.sel = s.sel.Pin(matches)
	return matches, nil
}

// pidCure says what to do about a PID that cannot be traced.
func pidCure(err error) string {
	switch {
	case errors.Is(err, symbolize.ErrGone):
		return "; ps -e lists those that run"
	case errors.Is(err, symbolize.ErrKernelThread), errors.Is(err, symbolize.ErrZombie):
		return "; give the PID of a running program"
	case errors.Is(err, symbolize.ErrNotLeader):
		return "; give the PID"
	}
	return ""
}

// describe is the selectors but for PIDs, for people.
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

// begin starts the command: from its first instruction on it is followed.
func (s *session) begin() error {
	c, err := startCommand(s.o.command)
	if err != nil {
		return err
	}
	pid := c.cmd.Process.Pid
	s.named[pid] = true
	if os.Geteuid() == 0 && os.Getenv("SUDO_UID") != "" {
		s.say("%s runs as root, not as the user who called sudo", s.o.command[0])
	}
	if err := s.tr.Expect(pid); err != nil {
		c.abandon()
		return err
	}
	s.cmd = c
	return c.release()
}

// follow begins to trace one process.
func (s *session) follow(m symbolize.Match) error {
	if m.Name != "" || slices.Contains(s.o.pids, m.PID) {
		s.named[m.PID] = true
	}
	if err := s.tr.Follow(m.PID); err != nil {
		s.failed[m] = true
		return err
	}
	return nil
}

// rescan follows targets that came since.
func (s *session) rescan() {
	if s.cmd != nil || !s.sel.Follows() {
		return
	}
	matches, err := s.sel.Find()
	if err != nil {
		s.complain("scan", err)
		return
	}
	for _, m := range matches {
		if s.failed[m] || s.tr.Follows(m.PID) {
			continue
		}
		if !s.o.all {
			s.say("process %d is new: %s", m.PID, m.Why)
		}
		if err := s.follow(m); err != nil {
			s.complain("follow", err)
		}
	}
}
