package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize"
	"vmaleak/vma"
)

// facts is what a snapshot needs of a space; a brief one costs little.
func (s *session) facts(b *leak.Space, brief bool) leak.Facts {
	t := s.ofBooks[b]
	if t == nil {
		return leak.Facts{}
	}
	f := leak.Facts{Verified: t.verified, UnverifiedBecause: t.because}
	if !t.ended {
		f.Verified, f.UnverifiedBecause = t.sp.Verified()
		if t.proc != nil {
			cg, err := symbolize.ReadCGroup(t.sp.PID())
			if err != nil {
				cg = nil
			}
			s.groupFacts(t, &f, cg, brief)
		}
	}
	c := t.sp.Events
	f.Events = leak.Events{Received: c.Received, Applied: c.Applied, Failed: c.Failed, Lost: c.Lost, Gaps: c.Gaps,
		Resyncs: c.Resyncs, Audits: c.Audits, DriftBytes: c.DriftBytes, Untraced: c.Untraced,
		Stacks: s.stacks.countsOf(t.sp)}
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
	if t.namer == nil && t.first.TID != 0 {
		f.Threads = append(f.Threads, leak.ThreadFacts{Thread: t.first, Comm: b.Process().Comm, Alive: !t.ended})
	}
	s.jvmFacts(t, &f) // its regions are what pages are read by
	if !t.ended {
		f.Malloc = t.arenas.facts
	}
	f.Blocks = s.blockFacts(t)
	if !t.ended {
		s.memoryFacts(t, &f, brief) // after the regions
	}
	f.Effects.CPUNS = ourCPU()
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

// header is what a snapshot says of this trace.
func (s *session) header(now time.Time, brief bool) leak.Header {
	h := leak.Header{
		Tool: leak.Tool{Version: version(), Options: map[string]string{"interval": s.o.interval.String(), "attach": s.o.attach},
			Limits: map[string]int64{"spaces": 4096, "ended_spaces": keepEnded}},
		Host: leak.Host{Hostname: str(s.host.Hostname), Kernel: str(s.host.Kernel), Arch: str(s.host.Arch),
			BootID: str(s.host.BootID)},
		Source: leak.SourceLive, StartedAt: s.started, Brief: brief,
	}
	if s.host.PageSize > 0 {
		page := s.host.PageSize
		h.Host.PageSize = &page
	}
	var pids []string
	for _, pid := range s.o.pids {
		pids = append(pids, strconv.Itoa(pid))
	}
	for k, v := range map[string]string{"audit": s.o.audit.String(), "stacks": s.o.stacks, "stack-min": s.o.stackMin.String(), "stack-rate": number(s.o.stackRate), "malloc": s.o.malloc.String(), "backend": s.o.backend, "ring": s.o.ring.String(),
		"pids": strings.Join(pids, ","), "targets": s.describe(), "command": strings.Join(s.o.command, " ")} {
		if v != "" {
			h.Tool.Options[k] = strings.ToValidUTF8(v, "\ufffd")
		}
	}
	h.Warnings = s.warn.list()
	if w := s.namelessWarning(now, !brief); w != nil && s.warn["names"] == nil {
		h.Warnings = append(h.Warnings, *w)
	}
	if w := s.jvmWarning(); w != nil {
		h.Warnings = append(h.Warnings, *w)
	}
	if n := s.tr.Skipped(); n > 0 {
		h.Warnings = append(h.Warnings, leak.Warning{Code: "programs-skipped", Message: "times the kernel skipped one of our programs: what that lost is found by its number or by an audit", Count: n})
	}
	if n := s.tr.Unjoined(); n > 0 {
		h.Warnings = append(h.Warnings, leak.Warning{Code: "stacks-unjoined", Message: "stacks whose event was lost, or events whose stack was", Count: n})
	}
	if s.stacks != nil {
		if n := s.stacks.likely.Load(); n > 0 {
			h.Warnings = append(h.Warnings, leak.Warning{Code: "tasks-likely", Message: "stacks of virtual threads whose name was not read in time: they count to the only task known with the same entry, which is likely but not proven, or to none", Count: n})
		}
	}
	if n := s.tr.Unfollowed(); n > 0 {
		h.Warnings = append(h.Warnings, leak.Warning{Code: "unfollowed", Message: "events named address spaces that could not be followed", Count: n})
	}
	return h
}

// number is n for people, nothing for 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func str(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// ownFile makes a file that is not written by package report belong to the user who called sudo.
func ownFile(name string) error {
	if o := fileOptions(); o.UID != 0 || o.GID != 0 {
		return os.Chown(name, o.UID, o.GID)
	}
	return nil
}
