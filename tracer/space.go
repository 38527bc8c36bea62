package tracer

import (
	"sync/atomic"
	"time"

	"vmaleak/bpf"
	"vmaleak/vma"
)

// Space is one followed address space. The Tracer owns it; readers may use it
// between calls of the Tracer's methods, on the same goroutine.
type Space struct {
	ID     string // unique in this trace: "PID", "PID.N" for later ones
	PIDs   []int  // every thread group that used it, the first one first
	Parent string // ID of the space it was forked from, or ""
	Exec   int    // how many execs of this PID came before
	Comm   string // as exec set it, raw; "" for a space that was attached to or forked
	Since  time.Time
	Events Counters

	vm    *vma.Space
	slot  uint32
	gen   uint32
	state *bpf.SpaceState
	win   window

	opened            bool // the handler knows it
	ready             bool // seeded: its records may be applied
	snap              *snapshot
	prior             []vma.Difference // what the last audit found wrong
	dirty             ranges           // in doubt: the next audit tells
	settling          bool             // the last seed left ranges in doubt
	settled           bool             // a seed was complete once
	origin            vma.Origin       // of what audits find in ranges in doubt
	trouble           string           // why it is not verified, "" if it is
	retryAt           time.Time
	auditAt           time.Time
	lastAudit         time.Time
	lossSeen          uint64
	watched           bool      // audits are made
	audited           uint64    // sum of the untraced classes that ask for an audit, at the last one
	idleSeq           uint64    // numbers up to here had been reported when the ring was last read from its beginning
	stalled           time.Time // since when the next number is missing; zero = it is not
	outDrawn, outDone uint64    // numbers drawn and reported when a quiet instant was last missed
	outSince          time.Time // since when they stand there
	deaf              bool      // lost numbers: a new seed is due at a quiet instant
	late              []record  // calls that succeeded without a number: they claim what that seed finds

	ended   time.Time // END was seen
	endedBy string
	exits   map[int]bool
	plain   map[uint32]record // enter-exit: calls under way, by tid
	early   uint64            // records of blocks before the handler knew the space
}

// Counters is what a space's events came to, as in an export.
type Counters struct {
	Received, Applied, Failed, Lost, Gaps, Resyncs, Audits, DriftBytes uint64
	Untraced                                                           map[string]uint64
	Stacks                                                             StackCounters
	Blocks                                                             BlockCounters
}

// VM is the model of the space; read only.
func (s *Space) VM() *vma.Space { return s.vm }

// PID is the process that the space was registered for.
func (s *Space) PID() int { return s.PIDs[0] }

// Verified reports whether at this instant no number is missing, no range is
// in doubt, and the last comparison with the kernel was clean or healed; if
// not, why.
func (s *Space) Verified() (bool, string) {
	switch {
	case s.trouble != "":
		return false, s.trouble
	case !s.ready:
		return false, "not compared with /proc/PID/maps yet"
	case s.deaf:
		return false, "events were lost and not made up for yet"
	case s.snap != nil && s.snap.kind != audit:
		return false, "the comparison with /proc/PID/maps is under way"
	case s.settling:
		return false, "its map changed while it was read: what is in doubt is read again"
	case len(s.dirty) > 0:
		return false, "a failed call may have changed ranges that no audit has looked at yet"
	case !s.gone() && s.watched && s.state.Gen == s.gen && s.auditable() != s.audited:
		return false, "the kernel changed something that no event tells: an audit is due"
	case !s.gone() && s.state.Gen == s.gen && atomic.LoadUint64(&s.state.Lockseq) > s.win.base:
		return false, "a call is in flight"
	}
	return true, ""
}

func (s *Space) gone() bool { return !s.ended.IsZero() }

// counters brings s.Events up to date with what the kernel half counts.
func (s *Space) counters() {
	if s.state.Gen != s.gen {
		return
	}
	u := map[string]uint64{}
	for i, name := range bpf.Untraced {
		if n := atomic.LoadUint64(&s.state.Untraced[i]); n > 0 {
			u[name] = n
		}
	}
	if n := atomic.LoadUint64(&s.state.Unfollowed); n > 0 {
		u["unfollowed"] = n
	}
	s.Events.Untraced = u
	s.Events.Stacks = StackCounters{
		Taken:       atomic.LoadUint64(&s.state.StacksTaken),
		RateLimited: atomic.LoadUint64(&s.state.StacksLimited),
		Dropped:     atomic.LoadUint64(&s.state.StacksDropped),
		Failed:      atomic.LoadUint64(&s.state.StacksFailed),
	}
	s.Events.Blocks = BlockCounters{
		Dropped:   atomic.LoadUint64(&s.state.BlocksDropped) + s.early,
		Untracked: atomic.LoadUint64(&s.state.BlocksUntracked),
		Missed:    atomic.LoadUint64(&s.state.BlocksMissed),
	}
}

// auditable is the sum of the classes of untraced locks that may change what is mapped.
func (s *Space) auditable() (n uint64) {
	for _, i := range bpf.Audited {
		n += atomic.LoadUint64(&s.state.Untraced[i])
	}
	return n
}
