// Package hotspot looks into a running HotSpot VM from outside: which frames of a stack are Java's, who called them, and
// what they are called. It needs no agent, no flag and no help of the VM: libjvm.so exports tables that describe its own
// structures (gHotSpotVMStructs and its siblings, made for debuggers), and memory is read by process_vm_readv.
//
//	Attach     libjvm.so's dynamic symbols -> the tables -> offsets of the fields that are needed
//	Step       a pc in the code cache -> segment map -> CodeBlob -> its caller (walk.go)
//	Expand     Method -> ConstMethod -> ConstantPool: class, name, signature, file; line tables; inlined scopes
//	Threads    the VM's list of threads and their Java names
//	Flag       the VM's flags
//
// The VM runs on while it is read, and its owner may be an adversary: every length, pointer and list is checked and
// bounded, and what does not fit is an error, never a guess. A VM value belongs to one goroutine.
package hotspot

import "errors"

// What a caller may match.
var (
	// ErrNotHotSpot: the process runs no HotSpot VM that can be read (another program, OpenJ9, a native image), or has not
	// loaded it yet.
	ErrNotHotSpot = errors.New("not a HotSpot VM")
	// ErrNotReady: the VM has only begun to start; try again later.
	ErrNotReady = errors.New("the VM is still starting")
	// ErrBeyond: the stack goes on outside of what was copied.
	ErrBeyond = errors.New("beyond the copied stack")
	// ErrGone: what a Physical names is no longer there (code was freed, a class unloaded).
	ErrGone = errors.New("code no longer there")
)

// Words are the words of a copied stack.
type Words interface {
	// Word returns the 8 bytes at addr, or ErrBeyond outside of the copy.
	Word(addr uint64) (uint64, error)
}

// Cursor is a place on a stack: the frame that Step describes next. From one frame of generated code to the next it must be
// the same one.
type Cursor struct {
	PC, SP, FP, LR uint64 // LR is for arm64's top frames only
	Top            bool   // PC was interrupted rather than left by a call
	Words          Words
	TID            int  // of the thread, as the VM sees it
	Continued      bool // the frames from here on came from a virtual thread's heap
	Moment         *Moment

	ret       uint64 // where PC was found; 0: not by Step
	callee    uint64 // the SP of the frame that Step has left, of generated code
	calleeRet uint64 // and its ret
	java      bool   // it was a method's
	again     bool   // a step has been tried twice
}

// Kind is the kind of a physical frame.
type Kind uint8

// The kinds of physical frames.
const (
	Interpreted Kind = iota + 1 // by the bytecode interpreter: Addr is the Method, Pos the bytecode index
	Compiled                    // in an nmethod (also the wrapper of a native method): Addr is the nmethod, Pos the offset in its code
	Stub                        // in code that the VM generated for itself: Addr is the CodeBlob, Pos the offset in its code
)

// Physical identifies a frame on the stack, before inlined calls are unfolded. It is comparable: equal values have equal
// names as long as the VM lives, since Check changes when an address is used again.
type Physical struct {
	Kind  Kind
	Addr  uint64
	Pos   uint32
	Check uint32 // compile id of an nmethod, low bits of ConstMethod's or the blob name's address else
}

// Frame is a named frame.
type Frame struct {
	Kind     string // java, inlined, stub
	Function string // java.nio.DirectByteBuffer.<init>(int), StubRoutines::call_stub
	File     string // DirectByteBuffer.java; empty if the class does not tell
	Line     int    // 0 if not known
	// Near: the pc is not one that the compiler described (a call that is no safepoint); the scope is the next one's,
	// so that inlined frames and line may be those of a neighbouring call.
	Near bool
}
