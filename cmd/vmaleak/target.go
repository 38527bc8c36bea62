package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize"
	"vmaleak/tracer"
	"vmaleak/vma"
)

// target is one followed space with what is known of its process.
type target struct {
	sp       *tracer.Space
	books    *leak.Space
	namer    *symbolize.Namer
	proc     *symbolize.Process
	fetching bool
	asked    bool // a failed attach was reported
	lastSeen vma.Thread
	rss      *uint64
	verified bool
	because  string
	ended    bool
}

func (s *session) open(sp *tracer.Space) {
	t := &target{sp: sp}
	p := leak.Process{
		PID: sp.PID(), PIDs: sp.PIDs, Space: sp.ID, Parent: sp.Parent, Exec: sp.Exec,
		Backend: leak.Backend{Mode: s.tr.Backend.Mode, Hooks: s.tr.Backend.Hooks},
	}
	for _, o := range s.targets { // until it is known better, a child is what its parent is
		if o.sp.ID == sp.Parent && sp.Parent != "" {
			op := o.books.Process()
			p.Name, p.Comm, p.Exe, p.Cmdline = op.Name, op.Comm, op.Exe, op.Cmdline
		}
	}
	if sp.Comm != "" {
		p.Comm = strings.ToValidUTF8(sp.Comm, "\ufffd")
		p.Name = p.Comm
	}
	t.books = s.books.Open(p, sp.VM(), sp.Since)
	s.targets[sp] = t
	s.ofBooks[t.books] = t
	if sp.Parent == "" { // attached to, or just executed: it may end before the next look
		s.learn(t)
	}
}

// refresh reads anew who the processes and threads are, and has dumps taken.
func (s *session) refresh(ctx context.Context, now time.Time) {
	s.refreshNames(now)
	for _, t := range s.targets {
		if t.namer == nil || t.fetching || !t.namer.Due(now) {
			continue
		}
		t.fetching = true
		go func() { s.fetched <- fetch{t, t.namer.Fetch(ctx)} }()
	}
}

func (s *session) refreshNames(now time.Time) {
	for _, t := range s.targets {
		s.learn(t)
		if t.namer != nil {
			// A process that has ended keeps what is known of it; its end is the tracer's to tell.
			if err := t.namer.Refresh(now); err != nil && !errors.Is(err, symbolize.ErrGone) {
				s.warning("threads", err.Error(), 1)
			}
		}
	}
}

// learn fills in the facts of a process once, and what changes each time.
func (s *session) learn(t *target) {
	if t.proc != nil {
		t.books.Process().PIDs = append([]int(nil), t.sp.PIDs...)
		return
	}
	p, err := symbolize.ReadProcess(t.sp.PID())
	if p == nil || err != nil && !errors.Is(err, os.ErrPermission) {
		return
	}
	t.proc = p
	b := t.books.Process()
	b.NSPID, b.StartedAt, b.Name, b.Comm, b.Exe, b.Cmdline = p.NSPID, p.StartedAt, p.Name, p.Comm, p.Exe, p.Cmdline
	b.Unit, b.Pod, b.Container, b.CGroup = p.Unit, p.Pod, p.Container, cgroup(p.CGroup)
	if p.IsJVM {
		b.JVM = &leak.JVM{}
	}
	mode := map[string]symbolize.AttachMode{"auto": symbolize.AttachAuto, "yes": symbolize.AttachYes, "no": symbolize.AttachNo}[s.o.attach]
	t.namer = symbolize.NewNamer(p.PID, symbolize.NamerOptions{
		Attach: mode, Named: s.named[p.PID] && !s.o.all, StartTicks: p.StartTicks,
	})
	if err := t.namer.Refresh(time.Now()); err != nil && !errors.Is(err, symbolize.ErrGone) {
		s.warning("threads", err.Error(), 1)
	}
}

// adopt takes the result of a dump over.
func (s *session) adopt(f fetch, now time.Time) {
	f.t.fetching = false
	if f.t.namer == nil || f.t.ended {
		return
	}
	f.t.namer.Adopt(f.r, now)
	if f.r.Err != nil {
		if !f.t.asked {
			f.t.asked = true
			s.say("threads of %d have their kernel names only: %v", f.t.sp.PID(), f.r.Err)
		}
		s.warning("names", "thread names are the kernel's, cut at 15 bytes: "+f.r.Err.Error(), 1)
		return
	}
	if v := f.t.namer.JVM(); v != "" {
		f.t.books.Process().JVM = &leak.JVM{Version: &v}
	}
}

// lastNames asks once more for the names of threads that came since, and waits for the answer.
func (s *session) lastNames(ctx context.Context) error {
	now := time.Now()
	s.refreshNames(now)
	waiting := 0
	for _, t := range s.targets {
		if t.namer == nil {
			continue
		}
		if !t.fetching && t.namer.DueLast(now) {
			t.fetching = true
			go func() { s.fetched <- fetch{t, t.namer.Fetch(ctx)} }()
		}
		if t.fetching {
			waiting++
		}
	}
	for deadline := now.Add(5 * time.Second); waiting > 0 && time.Now().Before(deadline); {
		if err := s.tr.Poll(time.Now().Add(10 * time.Millisecond)); err != nil {
			return err
		}
		select {
		case f := <-s.fetched:
			s.adopt(f, time.Now())
			waiting--
		default:
		}
	}
	return nil
}

// final keeps what only a living space can tell.
func (t *target) final() {
	t.verified, t.because = t.sp.Verified()
	t.ended = true
}

func (t *target) close() {
	if t.namer != nil && !t.fetching {
		t.namer.Close()
	}
}

// facts is what a snapshot needs of a space.
func (s *session) facts(b *leak.Space) leak.Facts {
	t := s.ofBooks[b]
	if t == nil {
		return leak.Facts{}
	}
	f := leak.Facts{Verified: t.verified, UnverifiedBecause: t.because}
	if !t.ended {
		f.Verified, f.UnverifiedBecause = t.sp.Verified()
		if r, err := symbolize.ReadResidency(t.sp.PID()); err == nil {
			f.Resident = &r.Anon
		}
		if t.proc != nil {
			if cg, err := symbolize.ReadCGroup(t.sp.PID()); err == nil {
				f.CGroup = cgroup(cg)
			}
		}
	}
	c := t.sp.Events
	f.Events = leak.Events{Received: c.Received, Applied: c.Applied, Failed: c.Failed, Lost: c.Lost, Gaps: c.Gaps,
		Resyncs: c.Resyncs, Audits: c.Audits, DriftBytes: c.DriftBytes, Untraced: c.Untraced}
	if t.namer != nil {
		e := t.namer.Effects()
		f.Effects = leak.Effects{Dumps: e.Dumps, DumpPauseNS: int64(e.DumpPause)}
		for th := range t.namer.Threads() {
			f.Threads = append(f.Threads, leak.ThreadFacts{
				Thread: vma.Thread{TID: uint32(th.TID), Start: th.StartTicks}, NSTID: th.NSTID, StartedAt: th.StartedAt,
				Comm: th.Comm, Name: th.Name, Pool: th.Pool, Alive: th.Alive && !t.ended,
			})
		}
	}
	f.Effects.CPUNS = ourCPU()
	if t.ended { // asked once: the ledger keeps the answer
		t.close()
		delete(s.ofBooks, b)
	}
	return f
}

// ourCPU is the processor time that this process has used, in nanoseconds.
func ourCPU() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func cgroup(c *symbolize.CGroup) *leak.CGroup {
	if c == nil {
		return nil
	}
	return &leak.CGroup{Path: c.Path, Max: c.Max, Current: c.Current, Anon: c.Anon, File: c.File, Shmem: c.Shmem,
		Kernel: c.Kernel, Sock: c.Sock, OOMKill: c.OOMKill}
}

// header is what a snapshot says of this trace.
func (s *session) header() leak.Header {
	h := leak.Header{
		Tool: leak.Tool{Version: version(), Options: map[string]string{"interval": s.o.interval.String(), "attach": s.o.attach},
			Limits: map[string]int64{"spaces": 4096, "ended_spaces": 64}},
		Host:   leak.Host{Hostname: str(s.host.Hostname), Kernel: str(s.host.Kernel), Arch: str(s.host.Arch), BootID: str(s.host.BootID)},
		Source: leak.SourceLive, StartedAt: s.started,
	}
	if s.host.PageSize > 0 {
		page := uint64(s.host.PageSize)
		h.Host.PageSize = &page
	}
	for k, v := range map[string]string{"audit": s.o.audit.String(), "backend": s.o.backend, "ring": s.o.ring.String(),
		"pids": joinInts(s.o.pids), "targets": s.describe()} {
		if v != "" {
			h.Tool.Options[k] = v
		}
	}
	for _, w := range s.warn {
		h.Warnings = append(h.Warnings, *w)
	}
	if n := s.tr.Unfollowed(); n > 0 {
		h.Warnings = append(h.Warnings, leak.Warning{Code: "unfollowed", Message: "events named address spaces that could not be followed", Count: n})
	}
	return h
}

func str(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func joinInts(list []int) string {
	out := ""
	for i, n := range list {
		if i > 0 {
			out += ","
		}
		out += strconv.Itoa(n)
	}
	return out
}
