package leak

import "time"

// JVM is what the virtual machine says of itself. Nil is unknown.
type JVM struct {
	Version    *string           `json:"version"`
	Collector  *string           `json:"collector"` // G1, Serial, Parallel, Z, Shenandoah, Epsilon, CMS
	Heap       *JVMHeap          `json:"heap"`
	HeapRanges []AddrRange       `json:"heap_ranges"`
	Metaspace  *JVMSpace         `json:"metaspace"` // without class space
	ClassSpace *JVMSpace         `json:"class_space"`
	CodeCache  *JVMSpace         `json:"code_cache"`
	Threads    *uint64           `json:"threads"` // Java threads, the compilers' too
	Direct     map[string]uint64 `json:"direct"`  // java.nio.Bits.RESERVED_MEMORY, …PlatformDependent.DIRECT_MEMORY_COUNTER, and their limits

	// Native memory tracking, where it is on and was asked for at the end: bytes by the VM's category, and "Total".
	NMT         map[string]uint64 `json:"nmt"` // committed
	NMTReserved map[string]uint64 `json:"nmt_reserved"`
	NMTGrowth   map[string]int64  `json:"nmt_growth"` // committed, since NMTSince
	NMTSince    *time.Time        `json:"nmt_since"`  // when they were asked for first in this trace
	NMTStatus   *string           `json:"nmt_status"` // summary, detail, or why there are no figures and what to do
}

// JVMHeap is the Java heap, in bytes.
type JVMHeap struct {
	Used      *uint64 `json:"used"`
	Committed *uint64 `json:"committed"`
	Max       *uint64 `json:"max"`
}

// JVMSpace is something that the virtual machine reserves once and commits as it needs it, in bytes.
type JVMSpace struct {
	Used      *uint64 `json:"used"`
	Committed *uint64 `json:"committed"`
	Reserved  *uint64 `json:"reserved"`
}

// AddrRange is the addresses [Start, End).
type AddrRange struct {
	Start Addr `json:"start"`
	End   Addr `json:"end"`
}
