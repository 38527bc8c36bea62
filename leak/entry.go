package leak

import "time"

// Entry is one address space in a Snapshot.
type Entry struct {
	PID               *int       `json:"pid"`
	PIDs              []int      `json:"pids"`
	NSPID             *int       `json:"ns_pid"`
	Space             string     `json:"space"`
	ParentSpace       *string    `json:"parent_space"`
	Exec              int        `json:"exec"`
	StartedAt         *time.Time `json:"started_at"`
	TracedSince       *time.Time `json:"traced_since"` // when the ledger of this space began
	EndedAt           *time.Time `json:"ended_at"`     // of a space that has ended
	WatchedNS         int64      `json:"watched_ns"`   // how long the ledger has followed the space
	Name              *string    `json:"name"`
	Comm              *string    `json:"comm"`
	Exe               *string    `json:"exe"`
	Cmdline           []string   `json:"cmdline"`
	Exited            bool       `json:"exited"`
	EndedBy           *string    `json:"ended_by"`
	Verified          bool       `json:"verified"`
	UnverifiedBecause *string    `json:"unverified_because"`

	Backend   Backend   `json:"backend"`
	Events    Events    `json:"events"`
	CGroup    *CGroup   `json:"cgroup"`
	Unit      *string   `json:"unit"`
	Pod       *string   `json:"pod"`
	Container *string   `json:"container"`
	JVM       *JVM      `json:"jvm"`
	Counters  []Counter `json:"counters"` // what the program itself counts against a limit of its own
	Effects   Effects   `json:"effects"`
	Totals    Totals    `json:"totals"`
	Growth    Growth    `json:"growth"` // of all outstanding committed memory together
	Steps     *Steps    `json:"steps"`

	Books      Books         `json:"books"`
	Categories []CategoryUse `json:"categories"`
	Limits     []Limit       `json:"limits"` // of its cgroups, the host, the process
	Malloc     *Malloc       `json:"malloc"` // nil: nobody looked

	Pools        []Pool      `json:"pools"`
	Threads      []Thread    `json:"threads"`
	ThreadsGone  ThreadsGone `json:"threads_gone"`
	Stacks       []Stack     `json:"stacks"`
	Mappings     []Mapping   `json:"mappings"`
	Accounts     []Account   `json:"accounts"`
	Suspects     []Suspect   `json:"suspects"`
	Retained     []Retained  `json:"retained"`
	Floor        *Floor      `json:"detection_floor"`
	Series       []Series    `json:"series"`
	MallocRegime *Regime     `json:"malloc_regime"` // nil: nothing speaks for it
	Blocks       *Blocks     `json:"blocks"`        // of malloc; nil where they are not followed

	brief bool
}

// The values of Entry.EndedBy.
const (
	EndedExit   = "exit"
	EndedSignal = "signal"
	EndedOOM    = "oom"
	EndedExec   = "exec"
)

// Backend is how the events of a space were put in order.
type Backend struct {
	Mode  string            `json:"mode"` // lock-sequence, enter-exit or none
	Hooks map[string]string `json:"hooks"`
}

// CGroup is the memory cgroup of a process, in bytes.
type CGroup struct {
	Path    string  `json:"path"`
	Max     *uint64 `json:"max"`
	Current *uint64 `json:"current"`
	Anon    *uint64 `json:"anon"`
	File    *uint64 `json:"file"`
	Shmem   *uint64 `json:"shmem"`
	Kernel  *uint64 `json:"kernel"`
	Sock    *uint64 `json:"sock"`
	OOMKill *uint64 `json:"oom_kill"`

	High          *uint64         `json:"high"` // above it the group is slowed down
	Swap          *uint64         `json:"swap"` // not part of Current
	Rest          *int64          `json:"rest"` // Current - Anon - File - Kernel - Sock; File has Shmem in it
	Processes     []CGroupProcess `json:"processes"`
	ProcessesMore int             `json:"processes_more"` // that were not looked at
}

// CGroupProcess is the resident memory of one process of a cgroup, in bytes.
type CGroupProcess struct {
	PID   int    `json:"pid"`
	Comm  string `json:"comm"`
	Anon  uint64 `json:"anon"`
	File  uint64 `json:"file"`
	Shmem uint64 `json:"shmem"`
	Swap  uint64 `json:"swap"`
}

// Effects is what watching has cost the target and us.
type Effects struct {
	Dumps       int   `json:"dumps"`
	DumpPauseNS int64 `json:"dump_pause_ns"`
	CPUNS       int64 `json:"cpu_ns"`
}

// Totals are the sums over the mappings of a space:
// Mapped = Committed + Reserved = Outstanding + Inherited + PreExisting + Healed.
type Totals struct {
	Mapped      uint64  `json:"mapped"`
	Committed   uint64  `json:"committed"`
	Reserved    uint64  `json:"reserved"`
	Resident    *uint64 `json:"resident"`
	Outstanding uint64  `json:"outstanding"`
	Inherited   uint64  `json:"inherited"`
	PreExisting uint64  `json:"pre_existing"`
	Healed      uint64  `json:"healed"`
}

// Thread is a live thread, or a dead one that still owns bytes:
// Acquired - Released = Outstanding.
type Thread struct {
	TID         *int       `json:"tid"`
	NSTID       *int       `json:"ns_tid"`
	StartTicks  *uint64    `json:"start_ticks"`
	StartedAt   *time.Time `json:"started_at"`
	Comm        *string    `json:"comm"`
	Name        *string    `json:"name"`
	Pool        *string    `json:"pool"`
	LikelyPool  *string    `json:"likely_pool"` // of a thread without any name: the one pool that maps the same size
	Alive       *bool      `json:"alive"`
	Outstanding uint64     `json:"outstanding"`
	Committed   uint64     `json:"committed"` // of Outstanding
	Resident    *uint64    `json:"resident"`
	Mappings    uint64     `json:"mappings"` // calls with a byte left
	Acquired    uint64     `json:"acquired"`
	Released    uint64     `json:"released"` // bytes of this thread's account, released by anyone
	Freed       uint64     `json:"freed"`    // bytes of any thread's account that this thread released
	Growth      *int64     `json:"growth_per_hour"`
	Steps       *Steps     `json:"steps"`
	Size        *uint64    `json:"size"`    // the length of call that holds most of Committed; nil for brk and mprotect
	LastAt      *time.Time `json:"last_at"` // the latest call with a byte left
	Carried     []Carried  `json:"carried"` // of the above: for virtual threads, which count to pools of their own
}

// Pool is the threads of one pool together. Threads without a Java name are
// pooled by comm, virtual threads by Stack.Task: theirs is what the threads that
// carried them acquired for them.
type Pool struct {
	Name        string     `json:"name"`
	Virtual     bool       `json:"virtual"` // of virtual threads
	Threads     int        `json:"threads"` // that own bytes; of virtual ones: that carried them
	Unnamed     int        `json:"unnamed"` // of Threads: counted here by Thread.LikelyPool
	Outstanding uint64     `json:"outstanding"`
	Committed   uint64     `json:"committed"`
	Resident    *uint64    `json:"resident"`
	PreExisting *uint64    `json:"pre_existing"` // committed memory from before the trace in mappings of Size; nil where it cannot be told
	Mappings    uint64     `json:"mappings"`
	Acquired    uint64     `json:"acquired"`
	Released    uint64     `json:"released"`
	Freed       uint64     `json:"freed"` // by its threads, whatever they carried
	Growth      Growth     `json:"growth"`
	Steps       *Steps     `json:"steps"`
	Size        *uint64    `json:"size"`
	LastAt      *time.Time `json:"last_at"`

	// Stacks are those with which the pool acquired what it holds, most
	// committed bytes first. Only the first are listed: what is missing of the pool's sums
	// is the others'. Empty where no stack is known.
	Stacks []PoolStack `json:"stacks"`
}

// PoolStack is what a pool acquired with one stack. Stack is nil for what has none.
type PoolStack struct {
	Stack       *string    `json:"stack"`
	Outstanding uint64     `json:"outstanding"`
	Committed   uint64     `json:"committed"`
	Resident    *uint64    `json:"resident"`
	Mappings    uint64     `json:"mappings"`
	Released    uint64     `json:"released"`
	LastAt      *time.Time `json:"last_at"`

	memory inMemory // of its rows
}

// ThreadsGone is the dead threads that own nothing any more, together:
// Acquired = Released.
type ThreadsGone struct {
	Count    uint64 `json:"count"`
	Acquired uint64 `json:"acquired"`
	Released uint64 `json:"released"`
}

// Stack is one call stack, innermost frame first.
type Stack struct {
	ID     string  `json:"id"`
	Status string  `json:"status"` // complete, continued, truncated, failed or none
	Reason *string `json:"reason"`
	Task   *string `json:"task"` // of a mounted virtual thread: its pool, the name with counters as # and the entry frame; nil where several share the frames
	Frames []Frame `json:"frames"`
}

// Frame is one frame of a Stack.
type Frame struct {
	Kind     string  `json:"kind"` // native, java, inlined, stub or kernel
	Function *string `json:"function"`
	File     *string `json:"file"`
	Line     *int    `json:"line"`
	Module   *string `json:"module"`
	BuildID  *string `json:"build_id"`
	Offset   *Addr   `json:"offset"`
}

// Mapping is one private anonymous range. Start and End are nil where only
// the length is known.
type Mapping struct {
	Start          *Addr      `json:"start"`
	End            *Addr      `json:"end"`
	Length         uint64     `json:"length"`
	Prot           string     `json:"prot"`  // as in /proc/PID/maps: "rw-"
	Flags          *uint32    `json:"flags"` // MAP_* of an mmap
	Kind           string     `json:"kind"`
	Origin         string     `json:"origin"`
	Op             *string    `json:"op"`
	TID            *int       `json:"tid"`
	Thread         *int       `json:"thread"` // index into Entry.Threads
	Call           *uint64    `json:"call"`   // number of the call in its space
	Calls          uint32     `json:"calls"`  // how many calls the row is made of; 0 without a call
	AcquiredLength *uint64    `json:"acquired_length"`
	Stack          *string    `json:"stack"`
	MappedAt       *time.Time `json:"mapped_at"`
	Committed      uint64     `json:"committed"`
	Resident       *uint64    `json:"resident"`
	Swap           *uint64    `json:"swap"`
	Huge           *uint64    `json:"huge"`
	Category       *string    `json:"category"`
	StackOf        *int       `json:"stack_of"` // of a thread stack: the TID of the thread that has it, where that is known
}

// Account is the bytes that one thread acquired with one stack in calls of one
// size. Size is nil for brk and mprotect, whose rows may merge, and for what
// was folded because there were too many sizes.
type Account struct {
	Thread        int          `json:"thread"` // index into Entry.Threads
	Stack         *string      `json:"stack"`
	Task          *string      `json:"task"` // the pool of the virtual thread that the thread carried
	Category      *string      `json:"category"`
	Size          *uint64      `json:"size"`
	Acquired      uint64       `json:"acquired"`
	AcquiredCount uint64       `json:"acquired_count"` // calls
	Released      uint64       `json:"released"`
	ReleasedCount uint64       `json:"released_count"` // calls without a byte left
	ReleasedBy    []ReleasedBy `json:"released_by"`
}

// ReleasedBy is who released bytes of an Account. Thread is nil for a thread
// that is gone, or for memory found missing after a loss.
type ReleasedBy struct {
	Thread *int   `json:"thread"`
	Bytes  uint64 `json:"bytes"`
}
