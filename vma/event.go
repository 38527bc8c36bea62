package vma

import "fmt"

// Op is what changed an address space.
type Op uint8

// The numbers are the wire's (bpf/event.h) and start at 1: 0 is no operation.
const (
	OpMmap Op = iota + 1
	OpMunmap
	OpMremap
	OpBrk
	OpMprotect
	OpPkeyMprotect
	OpShmat
	OpShmdt
	OpRemapFilePages
	OpFork // of a child with an address space of its own
	OpExec
	OpExit
	OpVoid // a number drawn by a call that changed nothing
)

var opNames = [...]string{"none", "mmap", "munmap", "mremap", "brk", "mprotect", "pkey_mprotect",
	"shmat", "shmdt", "remap_file_pages", "fork", "exec", "exit", "void"}

// String is the system call's name.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// Thread is one thread of the host, safe against the reuse of its TID.
// The zero Thread is nobody: who owns what was there before the trace.
type Thread struct {
	TID   uint32 // in the PID namespace of the tracer
	Start uint64 // start time in clock ticks since boot, as in /proc/PID/task/TID/stat; 0 where the source has none
}

// Event is one completed call that may have changed one address space. Live
// kernel events and lines of an strace log are both Events.
//
//	op              Addr          Len      NewLen   Prot  Flags    Ret
//	mmap            asked         length            prot  MAP_*    address
//	munmap          start         length                           0
//	mremap          old address   old_len  new_len        MREMAP_* new address
//	brk             old break                                      new break
//	mprotect, pkey  start         length            prot           0
//	shmat           asked         segment                 SHM_*    address
//	shmdt           address                                        0
//	others                                                         0
//
// A failed call has Ret = -errno. Lengths are as the caller gave them, not
// rounded; a shmat length of 0 is unknown.
type Event struct {
	Seq    uint64 // place among the events of its space, from 1; 0 where the source cannot tell
	Time   int64  // nanoseconds since the Unix epoch
	Addr   uint64
	Len    uint64
	NewLen uint64
	Target uint64 // new address asked by mremap(MREMAP_FIXED), else 0
	Ret    int64
	Thread Thread
	Prot   uint32
	Flags  uint32
	Op     Op
	Stack  uint32 // the caller's stack: a number of the ledger's, a Ticket while it is not known, 0 none
	// Inferred says that the address was concluded, not seen (strace logs).
	Inferred bool
}

// Ticket is the first of the values of Event.Stack that stand for a stack which is
// still being walked. Each belongs to one event. Space.Restack puts numbers in their place.
const Ticket uint32 = 1 << 31

// Failed reports whether the call returned an error. An address above the
// error range counts as success, as in the kernel's IS_ERR_VALUE.
func (e *Event) Failed() bool { return e.Ret < 0 && e.Ret >= -4095 }

// Errno is the error number of a failed call, else 0.
func (e *Event) Errno() int64 {
	if e.Failed() {
		return -e.Ret
	}
	return 0
}
