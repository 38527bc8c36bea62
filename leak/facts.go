package leak

import (
	"time"

	"vmaleak/vma"
)

// Facts is what the edges know of a space at the instant of a snapshot.
type Facts struct {
	Threads           []ThreadFacts // every live thread, and every dead one whose name is known; empty if nobody looked
	Resident          *uint64       // bytes, of the whole process
	Events            Events
	Verified          bool
	UnverifiedBecause string
	Effects           Effects
	CGroup            *CGroup // nil: Process.CGroup stands
	JVM               *JVM    // nil: Process.JVM stands

	Regions  []Region // in order, disjoint; what is in none is judged by the stack that mapped it
	Pages    []Pages  // in order, disjoint; of rows that are missing nothing is known. nil: nobody looked
	Memory   *Memory
	Malloc   *MallocFacts // nil: nobody looked
	Limits   []Limit      // what growth may meet: of control groups, the host, the process
	Counters []Counter    // and of the program itself

	Blocks *BlockFacts // nil: blocks of malloc are not asked for
}

// Memory is what the kernel counts of a whole process, in bytes; nil is unknown.
type Memory struct {
	File, Shmem, Swap *uint64
	Outside           *uint64 // resident private pages of rows that are not the ledger's: the main stack, written pages of files, what was made PROT_NONE
}

// ThreadFacts is what is known of one thread. Nil and zero are unknown; a
// Java name may be empty.
type ThreadFacts struct {
	Thread    vma.Thread
	NSTID     int
	StartedAt time.Time
	Comm      string
	Name      *string
	Pool      string // "" = PoolOf the name
	Alive     bool
}

// poolOf is the pool of a thread: as given, or of its name. "" if it has no name.
func (f *ThreadFacts) poolOf() string {
	switch {
	case f.Pool != "":
		return f.Pool
	case f.Name != nil:
		return PoolOf(*f.Name)
	}
	return ""
}

// group is the pool by which growth is judged: without a name, by comm.
func (f *ThreadFacts) group() string {
	if p := f.poolOf(); p != "" || f.Name != nil {
		return p
	}
	return PoolOf(f.Comm)
}
