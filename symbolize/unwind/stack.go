package unwind

// Status says how much of a stack was found.
type Status string

const (
	Complete  Status = "complete"  // down to where the thread began
	Continued Status = "continued" // complete; a virtual thread's callers were read from the heap
	Truncated Status = "truncated" // the innermost frames are right, the rest was not copied
	Failed    Status = "failed"    // the innermost frames are right as far as they go; Reason says why not further
	None      Status = "none"      // there is no stack
)

// Kind says what a frame is.
type Kind string

const (
	Native  Kind = "native"
	Java    Kind = "java"
	Inlined Kind = "inlined" // a call that the compiler inlined into the next outer frame
	Stub    Kind = "stub"    // code that a virtual machine made for itself
	Kernel  Kind = "kernel"
)

// Frame is one call. Where the function is not known, Function is empty and
// Module and Offset tell the place; of code in no file, Module is "[anon]" or
// the kernel's name of the area and Offset the distance from its start; where
// nothing is mapped any more, Module is "[unmapped]" and Offset the address.
type Frame struct {
	Kind     Kind
	Function string
	File     string
	Line     int
	Module   string // path as the target knows it
	BuildID  string // hexadecimal, empty where the file has none
	Offset   uint64 // address inside the call's instruction in the ELF file's own numbers, as addr2line takes it
}

// Stack is a stack with its names, innermost frame first. It is immutable and
// shared: equal stacks are one pointer.
type Stack struct {
	ID     string // 16 hex digits over the frames' names and the status, equal across processes and hosts
	Status Status
	Reason string   // one of few fixed phrases, empty if there is nothing to say
	Frames []*Frame // shared with other stacks
	Task   string   // of a virtual thread: its name with counters replaced by #, if it has one, and its entry frame; see withTask

	entry string // the entry frame of a virtual thread
}

// Return is a return address that a uretprobe has replaced on the stack.
type Return struct {
	SP uint64 // where the address stood
	PC uint64 // the original address
}

// Raw is a stack as it was copied.
type Raw struct {
	PID, TID int
	PC, SP   uint64
	Regs     [32]uint64 // in DWARF's numbering of the architecture
	Mem      []byte     // from SP upward
	Absent   uint32     // bit n: page n of 4 KiB from the one SP is in was not in memory; what Mem has there means nothing
	Limited  bool       // the copy ended at its size limit, not at the end of the memory
	Returns  []Return   // innermost first
}
