package strace

import (
	"fmt"
	"time"

	"vmaleak/vma"
)

// Kind is what a record tells.
type Kind uint8

const (
	Call    Kind = iota + 1 // a call that may have changed an address space: Event
	Fork                    // clone, clone3, fork or vfork made Child
	Exec                    // an execve succeeded: Space is the new space, Left the one before
	Exit                    // a thread ended, or with Whole its process
	Signal                  // a signal was delivered: Name
	Orphan                  // the end of a call whose beginning is missing: Event.Op and Event.Ret only
	BadLine                 // Bad says why

	shmget // the size of a segment, for the tracker only
)

var kindNames = [...]string{"none", "call", "fork", "exec", "exit", "signal", "orphan", "bad line", "shmget"}

// String is the kind in words.
func (k Kind) String() string { return kindNames[min(int(k), len(kindNames)-1)] }

// Record is one thing that a log tells. Fields that the log does not give are zero.
type Record struct {
	// Event is the call of a Call record. Time is when it took effect (see
	// the package's text), Seq its number in its Space. A thread without a
	// number in the log and without Options.PID has TID 0.
	Event vma.Event

	Kind Kind
	File string // Options.Name
	Line int    // of the beginning, from 1

	TID      uint32
	Space    uint32        // see the package's text
	Start    int64         // when the call began, nanoseconds since the Unix epoch; 0 unknown
	Duration time.Duration // of the call by -T; 0 unknown

	// AddressUnknown: the call succeeded at an address that the log does not
	// hold, Event.Ret is 0 and must not be applied to a space. A brk whose old
	// break is unknown has it too, with Event.Addr = Event.Ret: it changes nothing.
	AddressUnknown bool
	// Assumed: the log does not hold the result; success is assumed.
	Assumed bool

	Child      uint32 // Fork: the new thread's TID
	ChildSpace uint32 // Fork: its space, which is Space if Shared
	Shared     bool   // Fork: CLONE_VM, parent and child share the space
	Thread     bool   // Fork: CLONE_THREAD, a thread of the same process
	Left       uint32 // Exec: the space that the process left
	Whole      bool   // Exit: exit_group or a fatal signal, every thread ends
	Killed     bool   // Exit: by the signal Name
	Code       int    // Exit: exit status
	Name       string // Signal, Exit: the signal's name

	Bad error // BadLine: a *LineError
}

// LineError is a line that could not be understood.
type LineError struct {
	File string
	Line int
	What string // what is wrong
	Text string // how the line begins
}

func (e *LineError) Error() string {
	return fmt.Sprintf("%s:%d: %s in %q", e.File, e.Line, e.What, e.Text)
}

// Stats counts what a log held. The counts are of the lines read so far.
type Stats struct {
	Lines, Bytes int64
	Calls        int64 // Call records
	Failed       int64 // of them, calls that returned an error
	Other        int64 // lines of system calls that change no address space, madvise among them
	Madvise      int64 // of them, madvise
	Signals      int64
	Notes        int64 // strace's remarks, empty lines
	Stacks       int64 // stack lines of strace -k, passed over
	Bad          int64 // BadLine records
	Cut          int64 // lines longer than 1 MiB, read up to there

	Pairs      int64 // calls put together from two halves
	Unresumed  int64 // beginnings without an end
	Orphans    int64 // ends without a beginning
	NoResult   int64 // calls that never returned: = ?
	Forced     int64 // beginnings given up because 65,000 records waited for their end
	UnknownBit int64 // flags with a name that is not known, taken for 0

	Conflicts int64 // Merger: mmap calls that got memory whose release the logs show too late or not at all

	AddressUnknown int64 // calls other than brk with AddressUnknown, before Infer
	BreakUnknown   int64 // brk calls whose old break is unknown

	Undated   bool          // times, but no date: they count from 1970-01-02
	Untimed   bool          // lines without any time
	Relative  bool          // times are those of -r: files of an -ff set cannot be ordered by them
	Days      int           // midnights passed
	Backwards int64         // times behind the line before by more than a second and less than an hour
	Precision time.Duration // the coarsest time stamp seen: a second, or less; 0 without times
	First     int64         // time of the first and
	Last      int64         // of the last line that has one, nanoseconds since the Unix epoch
}

// add sums o into s, for Merger.
func (s *Stats) add(o *Stats) {
	s.Lines += o.Lines
	s.Bytes += o.Bytes
	s.Calls += o.Calls
	s.Failed += o.Failed
	s.Other += o.Other
	s.Madvise += o.Madvise
	s.Signals += o.Signals
	s.Notes += o.Notes
	s.Stacks += o.Stacks
	s.Bad += o.Bad
	s.Cut += o.Cut
	s.Pairs += o.Pairs
	s.Unresumed += o.Unresumed
	s.Orphans += o.Orphans
	s.NoResult += o.NoResult
	s.Forced += o.Forced
	s.UnknownBit += o.UnknownBit
	s.Conflicts += o.Conflicts
	s.AddressUnknown += o.AddressUnknown
	s.BreakUnknown += o.BreakUnknown
	s.Undated = s.Undated || o.Undated
	s.Untimed = s.Untimed || o.Untimed
	s.Relative = s.Relative || o.Relative
	s.Days = max(s.Days, o.Days)
	s.Backwards += o.Backwards
	s.Precision = max(s.Precision, o.Precision)
	if o.First != 0 && (s.First == 0 || o.First < s.First) {
		s.First = o.First
	}
	s.Last = max(s.Last, o.Last)
}
