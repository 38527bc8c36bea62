package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize"
	"vmaleak/tracer"
	"vmaleak/vma"
)

// target is one followed space with what is known of its process.
type target struct {
	sp           *tracer.Space
	books        *leak.Space
	namer        *symbolize.Namer
	proc         *symbolize.Process
	lastSeen     vma.Thread
	first        vma.Thread // the main thread, of a process that was gone before it could be looked up
	jvm          *jvmWatch  // nil: it is none, or not known to be one
	fetching     bool       // names are being fetched
	saidNameless bool
	arenas       mallocOf
	pager        *symbolize.Pager
	noPages      bool // they cannot be read
	looked       looked
	stacks       []leak.Region // of threads that the JVM does not tell of
	stacksAt     time.Time
	chunks       []leak.Region // blocks that malloc mapped for itself, in memory that nobody told of
	chunksAt     time.Time

	mappings, rows int64 // as the kernel counted last, and how many rows the ledger had then
	ended          bool
	verified       bool // of one that has ended
	because        string
	malloc         following
}

// Open implements tracer.Handler.
func (s *session) Open(sp *tracer.Space) {
	t := &target{sp: sp}
	p := leak.Process{
		PID: sp.PID(), PIDs: sp.PIDs, Space: sp.ID, Parent: sp.Parent, Exec: sp.Exec,
		Backend: leak.Backend{Mode: s.tr.Backend.Mode, Hooks: s.tr.Backend.Hooks},
	}
	if sp.Parent != "" { // until it is known better, a child is what its parent is
		for _, o := range s.targets {
			if o.sp.ID == sp.Parent {
				op := o.books.Process()
				p.Name, p.Comm, p.Exe, p.Cmdline = op.Name, op.Comm, op.Exe, op.Cmdline
				break
			}
		}
	}
	if sp.Comm != "" {
		p.Comm = strings.ToValidUTF8(sp.Comm, "\ufffd")
		p.Name = p.Comm
		if c := s.cmd; c != nil && sp.PID() == c.cmd.Process.Pid && sp.Exec == 0 {
			p.Exe, p.Cmdline = c.path, s.o.command
		}
	}
	t.books = s.books.Open(p, sp.VM(), sp.Since)
	s.targets[sp] = t
	s.ofBooks[t.books] = t
	s.out.target(sp.PID())
	s.stacks.open(sp)
	if sp.Exec > 0 {
		s.stacks.forget(sp.PID())
	}
	s.stacks.prepare(sp.PID())
	switch {
	case sp.Parent != "": // a fork: most exec at once
	case sp.Comm == "" || s.named[sp.PID()]:
		s.learn(t)
	case s.looks < looksPerScan: // executed: it may end before the next scan
		s.looks++
		s.learn(t)
	}
}

// learn fills in the facts of a process once, and what changes each time.
func (s *session) learn(t *target) {
	b := t.books.Process()
	if t.proc != nil {
		if len(b.PIDs) != len(t.sp.PIDs) {
			b.PIDs = append([]int(nil), t.sp.PIDs...)
		}
		return
	}
	p, err := symbolize.ReadProcess(t.sp.PID())
	if p == nil || err != nil && !errors.Is(err, os.ErrPermission) {
		return
	}
	t.proc = p
	b.NSPID, b.StartedAt, b.Name, b.Comm, b.Exe, b.Cmdline = p.NSPID, p.StartedAt, p.Name, p.Comm, p.Exe, p.Cmdline
	b.Unit, b.Pod, b.Container, b.CGroup = p.Unit, p.Pod, p.Container, cgroup(p.CGroup)
	if p.IsJVM {
		b.JVM = &leak.JVM{}
	}
	if p.Bits == 32 {
		text := fmt.Sprintf("process %d (%s) is a 32-bit program: tracepoints do not see its system calls, so what is known comes from comparisons with /proc/PID/maps, without the thread; trace a 64-bit build", p.PID, p.Name)
		if s.warn.add("32-bit", text, 1) {
			s.say("%s", text)
		}
	}
	mode := map[string]symbolize.AttachMode{"auto": symbolize.AttachAuto, "yes": symbolize.AttachYes, "no": symbolize.AttachNo}[s.o.attach]
	t.namer = symbolize.NewNamer(p.PID, symbolize.NamerOptions{Attach: mode, Named: s.named[p.PID], StartTicks: p.StartTicks})
	s.refreshThreads(t, time.Now())
}

// Apply implements tracer.Handler.
func (s *session) Apply(sp *tracer.Space, ev *vma.Event, d *vma.Delta) {
	t := s.last
	if t == nil || t.sp != sp {
		t = s.targets[sp]
		s.last = t
	}
	t.books.Book(ev, d)
	if t.namer == nil && int(ev.Thread.TID) == sp.PID() {
		t.first = ev.Thread
	}
	if len(d.Acquired) > 0 && ev.Op != 0 && ev.Thread != t.lastSeen && t.namer != nil {
		t.lastSeen = ev.Thread
		t.namer.Saw(ev.Thread.TID, ev.Thread.Start)
	}
}

// End implements tracer.Handler.
func (s *session) End(sp *tracer.Space, at time.Time, by string) {
	t := s.targets[sp]
	if err := t.nameless(at, true); err != nil {
		s.warn.add("names", fmt.Sprintf("thread names are the kernel's, cut at 15 bytes: %v", err), 1)
	}
	delete(s.targets, sp)
	s.last = nil
	t.verified, t.because = sp.Verified()
	t.malloc.calls = s.tr.MallocCalls(sp.PID()) // the probes go with the process
	t.ended = true
	t.close()
	t.books.End(at, by)
	if by != leak.EndedExec {
		s.stacks.forget(sp.PID())
	}
	if s.unasked++; s.unasked > 2*keepEnded {
		s.askEnded(at)
	}
}

// askEnded has the ledger take what it wants of the ended spaces that it
// keeps, so that nothing need be kept here of those that it has dropped.
func (s *session) askEnded(at time.Time) {
	s.books.Snapshot(at, s.header(at, true), func(b *leak.Space) leak.Facts {
		if t := s.ofBooks[b]; t != nil && t.ended {
			return s.facts(b, true)
		}
		return leak.Facts{}
	})
	s.forgetEnded()
}

// forgetEnded drops the ended targets after a snapshot: their facts are asked for once.
func (s *session) forgetEnded() {
	s.unasked = 0
	for b, t := range s.ofBooks {
		if t.ended {
			delete(s.ofBooks, b)
			s.stacks.drop(t.sp)
		}
	}
}

// close lets go of the process, once nobody asks it any more.
func (t *target) close() {
	if t.pager != nil {
		t.pager.Close()
		t.pager = nil
	}
	if t.jvm != nil {
		t.jvm.ended.Store(true)
	}
	if t.namer != nil && !t.fetching {
		_ = t.namer.Close() // it was only read
	}
}
