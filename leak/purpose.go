package leak

import (
	"time"

	"vmaleak/vma"
)

// The categories of ranges: what memory is for. The list is closed.
const (
	JavaHeap     = "java-heap"
	ClassSpace   = "class-space"
	Metaspace    = "metaspace"
	CodeCache    = "code-cache"
	GC           = "gc" // a collector's own tables
	ThreadStack  = "thread-stack"
	MallocArena  = "malloc-arena"  // a heap of malloc other than brk's: 64 MiB reserved at once in glibc
	MallocChunk  = "malloc-chunk"  // a block that malloc mapped for itself
	DirectBuffer = "direct-buffer" // of these: for Java's direct byte buffers, Unsafe and memory segments
	JNIMmap      = "jni-mmap"      // mapped by a library that is neither libc nor the virtual machine
	BrkHeap      = "brk-heap"
	Other        = "other"
)

// Categories is the closed list, in the order in which it is shown.
var Categories = [...]string{JavaHeap, ClassSpace, Metaspace, CodeCache, GC, ThreadStack, MallocArena, MallocChunk,
	DirectBuffer, JNIMmap, BrkHeap, Other}

// Region is addresses of which it is known, without asking who mapped them, what they are for.
type Region struct {
	vma.Range
	Category string
	Thread   vma.Thread // whose stack it is
}

// Pages is what is in memory of one committed row, in bytes, or of a part of
// one: a row that nobody is known to have mapped may hold memory of several purposes, see Cuts.
type Pages struct {
	vma.Range
	Resident, Swap, Huge uint64
	HugeUnknown          bool
	At                   time.Time // when they were counted
}

// The kinds of arenas.
const (
	MainArena  = "main"  // its memory is brk's
	OtherArena = "arena" // its memory is heaps of 64 MiB
)

// Arena is one arena of glibc's malloc, in bytes. Free is what malloc holds free inside: FreeResident is the whole pages of it
// that are in memory and that a trim gives back, KeptResident those that it does not (the ends of arenas).
type Arena struct {
	Kind         string  `json:"kind"`
	Start        Addr    `json:"start"` // of its first heap
	Heaps        []Addr  `json:"heaps"` // 64 MiB each, reserved or writable; none of the main arena
	Committed    uint64  `json:"committed"`
	Free         uint64  `json:"free"`
	FreeResident uint64  `json:"free_resident"`
	KeptResident uint64  `json:"kept_resident"`
	Incomplete   *string `json:"incomplete"` // why the figures are lower bounds
}

// Counter is what the target itself counts against a limit of its own.
type Counter struct {
	Name    string  `json:"name"`    // Netty direct memory, NIO direct memory
	Counter string  `json:"counter"` // where it was read: io.netty.util.internal.PlatformDependent.DIRECT_MEMORY_COUNTER
	Used    *uint64 `json:"used"`
	Limit   *uint64 `json:"limit"`
}
