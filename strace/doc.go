// Package strace turns logs of strace(1) into the events of package vma, and
// reads the files that usually lie beside them: pmap -X tables and application
// logs with errors about direct memory. It needs no privileges and no strace.
//
// # Lines
//
// A log is read a line at a time, in constant memory, whatever its options:
// -f, -F, -ff, -t, -tt, -ttt, -r, -T, -i, -k, -n, -y, -Y, -X raw, -X verbose,
// --seccomp-bpf, written by -o or to the terminal ("[pid 25900]"). Calls that
// change no address space are counted and passed over. A line that cannot be
// understood is a Record with Bad set, never the end; only an error of the
// underlying reader ends a log early.
//
// # Halves
//
// When another thread's line comes between the start and the end of a call,
// strace writes two halves, "mmap(… <unfinished ...>" and "<... mmap resumed>…".
//
//	both halves             one event
//	only the beginning      a success is assumed (Record.Assumed): its length
//	                        is known, its address only if the arguments tell it
//	                        (MAP_FIXED, munmap, an mremap that cannot move),
//	                        else Record.AddressUnknown
//	only the end            the result is known, the arguments are not:
//	                        counted (Stats.Orphans), an Event only for brk and
//	                        execve, which need no more
//	= ?                     the thread died in the call, or it was restarted:
//	                        counted, no event
//
// # Order
//
// Events must come in the order in which the kernel made the changes; strace
// writes what it saw when a call began and when it ended, and the change lies
// somewhere between. The order that can be told is this: memory that one
// thread released and another got was released first. So a release (munmap,
// shmdt) takes effect where its call begins, and an acquisition (mmap, shmat,
// brk, mprotect) where its call ends:
//
//	1 munmap(0x7f0000000000, 4096 <unfinished ...>      <- released here
//	2 mmap(NULL, 4096, …) = 0x7f0000000000
//	1 <... munmap resumed>) = 0                         <- not here
//
// mremap does both: it takes effect where it ends, or, if its source was given
// to another thread before that, just before the call that got it. A clone
// takes effect where it begins, since the child's first lines may come before
// the parent's resumed half; an execve where it ends. To know the result of
// what began, the Reader keeps back the records behind an unfinished half
// until its end is read, the same thread begins something else, or 65,536
// records wait; the last is counted (Stats.Forced).
//
// Merge orders the files of strace -ff by the same instants: a call's start,
// or its start and duration (-T), which is a little early. Without -T an
// acquisition's end is not in the log and its start must do; with -t (whole
// seconds) the order inside one second is hardly known (Stats.Precision). So
// Merge also goes by the addresses: an mmap that got memory which is still
// mapped waits for its release, if that is another thread's next call;
// otherwise it is counted (Stats.Conflicts). One file of strace -f is exact,
// and better than -ff. Logs of strace -z hold lines in the order in which
// calls ended, which is kept.
//
// # Time
//
// -ttt gives dates. -t and -tt give a time of day: the first line belongs to
// Options.Date, and a time that is more than an hour behind the line before
// is the next day. A day without any line cannot be seen. -r gives the
// distance from the line before. Without a date (Stats.Undated) times are
// relative to 1970-01-02 00:00 UTC. Without any times (Stats.Untimed) Event.Time is 0.
//
// # Spaces
//
// Record.Space numbers the address spaces of a log: 0 is that of every thread
// whose origin the log does not show, a fork without CLONE_VM and a successful
// execve begin a new one. Event.Seq counts the events of each space from 1.
package strace
