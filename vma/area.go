package vma

// Prot is the protection of an area, PROT_* bits.
type Prot uint8

// The bits of PROT_* that the model keeps.
const (
	ProtRead  Prot = 1
	ProtWrite Prot = 2
	ProtExec  Prot = 4
	protMask       = ProtRead | ProtWrite | ProtExec
)

// String is p as /proc/PID/maps writes it, without the sharing letter.
func (p Prot) String() string {
	b := [3]byte{'-', '-', '-'}
	for i, c := range "rwx" {
		if p&(1<<i) != 0 {
			b[i] = byte(c)
		}
	}
	return string(b[:])
}

// Kind is what backs an area.
type Kind uint8

const (
	Anon   Kind = iota + 1 // private anonymous
	Heap                   // private anonymous, grown by brk
	Stack                  // the main thread's stack: its part around the stack pointer at exec is named [stack], not exported
	Opaque                 // file, shared, hugetlb or special: kept since a hole and a file differ, never exported
)

// String is the kind as in an export.
func (k Kind) String() string {
	return [...]string{"none", "anon", "heap", "stack", "opaque"}[min(k, 4)]
}

// Exported reports whether areas of this kind are anonymous memory that the ledger accounts for.
func (k Kind) Exported() bool { return k == Anon || k == Heap }

// Origin is how the model learned of an area.
type Origin uint8

const (
	PreExisting Origin = iota + 1 // there before the trace
	Traced                        // acquired by a call that was seen
	Inherited                     // copied from the parent by fork
	Healed                        // found in /proc/PID/maps after a loss
	Inferred                      // acquired by a call that was seen, at an address that was concluded
)

// String is the origin as in an export.
func (o Origin) String() string {
	return [...]string{"none", "pre-existing", "traced", "inherited", "healed", "inferred"}[min(o, 5)]
}

// Owner is the call that acquired an area. Origin says how much of it is known:
// pre-existing and healed areas have an Origin only. Opaque areas have none,
// but those of shmat and huge pages, whose fields only the model reads.
type Owner struct {
	Call     uint64 // number of the call in its space: Event.Seq, or the count of events for a source without numbers
	At       int64  // when, nanoseconds since the Unix epoch; 0 unknown
	Acquired uint64 // bytes that the call acquired, released ones included
	Thread   Thread
	Stack    uint32
	Flags    uint32 // MAP_* of an mmap
	Calls    uint32 // how many calls this area is made of: more than 1 only for merged brk and mprotect rows
	Op       Op
	Origin   Origin
}

// Area is one row of a space: a range of one owner, protection and kind.
type Area struct {
	Range
	Owner
	Prot Prot
	Kind Kind
}

// Committed is the bytes of the area that may be touched: all, or none under PROT_NONE.
func (a *Area) Committed() uint64 {
	if a.Prot == 0 {
		return 0
	}
	return a.Len()
}
