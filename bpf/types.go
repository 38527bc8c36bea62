package bpf

import "github.com/cilium/ebpf"

// The records and counters that both halves share; event.h documents their fields.
type (
	Event      = vmaleakEvent
	SpaceState = vmaleakSpaceState
	SpaceRef   = vmaleakSpaceRef
	Stack      = vmaleakStack
	BlockKey   = vmaleakBlockKey
	Block      = vmaleakBlock
)

// StackTaken is the value of Event.Stack that promises a Stack; StackPiece the
// unit of what follows one, and StackLimit how much of it is from the stack pointer upward.
const (
	StackTaken = uint16(vmaleakStackStatusSTACK_TAKEN)
	StackPiece = 4 << 10
	StackLimit = 64 << 10
)

// Operations that are no call of the target: the numbers before OpFork are vma.Op's.
const (
	OpFork  = uint16(vmaleakOpOP_FORK)
	OpExec  = uint16(vmaleakOpOP_EXEC)
	OpExit  = uint16(vmaleakOpOP_EXIT)
	OpVoid  = uint16(vmaleakOpOP_VOID)
	OpShare = uint16(vmaleakOpOP_SHARE)
	OpEnd   = uint16(vmaleakOpOP_END)

	OpBlock   = uint16(vmaleakOpOP_BLOCK)
	OpUnblock = uint16(vmaleakOpOP_UNBLOCK)

	PhaseEnter = uint16(vmaleakPhasePHASE_ENTER)
)

// Untraced names the classes of write locks that draw no number, by index in SpaceState.Untraced.
var Untraced = [...]string{"fault", "compat", "foreign", "map_shadow_stack", "mlock", "prctl",
	"userfaultfd", "aio", "madvise", "mempolicy", "io_uring", "exec", "other"}

// Classes that can change what is mapped: a rise asks for an audit.
var Audited = [...]int{int(vmaleakUntracedUNTRACED_FAULT), int(vmaleakUntracedUNTRACED_COMPAT),
	int(vmaleakUntracedUNTRACED_FOREIGN), int(vmaleakUntracedUNTRACED_SHADOW_STACK),
	int(vmaleakUntracedUNTRACED_AIO), int(vmaleakUntracedUNTRACED_IO_URING),
	int(vmaleakUntracedUNTRACED_OTHER)}

var _ = [1]struct{}{}[len(Untraced)-int(vmaleakUntracedUNTRACED_MAX)]

// SpaceStatus values of SpaceState.Status.
const (
	SpaceLive  = uint32(vmaleakSpaceStatusSPACE_LIVE)
	SpaceEnded = uint32(vmaleakSpaceStatusSPACE_ENDED)
)

// Load returns the compiled programs and maps, not yet in the kernel.
func Load() (*ebpf.CollectionSpec, error) { return loadVmaleak() }

// Values of Event.Flags of an OpBlock.
const (
	BlockFailed    = uint32(vmaleakBlockFlagsBLOCK_FAILED)
	BlockUntracked = uint32(vmaleakBlockFlagsBLOCK_UNTRACKED)
)

// What the functions of malloc's family have in common, by the order of their arguments; the lower byte of a
// probe's cookie.
const (
	CallMalloc       = uint64(vmaleakMallocCallCALL_MALLOC)
	CallCalloc       = uint64(vmaleakMallocCallCALL_CALLOC)
	CallRealloc      = uint64(vmaleakMallocCallCALL_REALLOC)
	CallReallocarray = uint64(vmaleakMallocCallCALL_REALLOCARRAY)
	CallAligned      = uint64(vmaleakMallocCallCALL_ALIGNED)
	CallPosix        = uint64(vmaleakMallocCallCALL_POSIX)
	CallFree         = uint64(vmaleakMallocCallCALL_FREE)
)
