package workloads

import "time"

// workload is one way to leak. What leaks, where and for what, it says itself.
type workload struct {
	name     string // of its kind, where kind is ""
	kind     string
	program  string   // "java", "c", "go" or "netty"
	since    int      // the first JDK that has it; 0: any
	options  []string // of the virtual machine
	args     []string // of the program
	pinned   bool     // malloc's threshold stays as it is: each block is a mapping of its own
	truth    truth
	limit    limit
	innocent bool // what grows is no leak outside the Java heap: no suspect, with or without --control
	lasts    time.Duration
	fills    time.Duration // so long the control itself rises as the leak does: it may be suspected meanwhile
	quick    string        // the JDK for which it is of the few that run always; "any" where there is none
}

// truth is where the truth about growth comes from.
type truth int

const (
	said      truth = iota // the workload counts what it keeps
	arenas                 // it cannot know what malloc does: the kernel's view of malloc's heaps
	committed              // nor what a runtime does: the kernel's view of all anonymous memory
)

// limit is what the growth will meet.
type limit int

const (
	none         limit = iota
	direct             // of direct memory, set by the options
	addressSpace       // RLIMIT_AS
	group              // of a control group of its own
)

const (
	usual = 30 * time.Second
	long  = 50 * time.Second
)

var workloads = []workload{
	{name: "direct-large", options: []string{"-XX:MaxDirectMemorySize=4000m"}, limit: direct},
	{name: "direct-small", options: []string{"-XX:MaxDirectMemorySize=1000m"}, limit: direct, truth: arenas, quick: "17"},
	{name: "direct-retained", options: []string{"-XX:MaxDirectMemorySize=1000m"}, pinned: true, limit: direct, quick: "25"},
	{name: "direct-cleaned", options: []string{"-XX:MaxDirectMemorySize=2000m"}, pinned: true, limit: direct},
	{name: "netty", program: "netty", lasts: long, pinned: true, limit: direct},
	{name: "netty-burst", program: "netty", lasts: long, args: []string{"--warm-burst", "16"}, truth: arenas},
	{name: "netty-out-of-memory", program: "netty", pinned: true, limit: direct},
	{name: "unsafe", limit: group, quick: "17"},
	{name: "unsafe-slow", lasts: 65 * time.Second, limit: group},
	{name: "ffm", since: 22, limit: addressSpace},
	{name: "jni-malloc", limit: group},
	{name: "jni-mmap", limit: addressSpace},
	{name: "jni-partial", limit: group},
	{name: "jni-mremap", limit: addressSpace},
	{name: "jni-sbrk", limit: group},
	{name: "deflater", truth: arenas},
	{name: "inflater", truth: arenas},
	{name: "gzip", truth: arenas},
	{name: "threads", limit: addressSpace, quick: "25"},
	{name: "classes", lasts: long},
	{name: "heap-g1", kind: "heap", options: []string{"-XX:+UseG1GC"}, innocent: true, quick: "25"},
	{name: "heap-parallel", kind: "heap", options: []string{"-XX:+UseParallelGC"}, innocent: true},
	{name: "heap-serial", kind: "heap", options: []string{"-XX:+UseSerialGC"}, innocent: true},
	{name: "heap-zgc", kind: "heap", options: []string{"-XX:+UseZGC"}, innocent: true},
	{name: "mapfile", innocent: true},
	{name: "handoff", pinned: true, limit: group},
	{name: "short", pinned: true, limit: group},
	{name: "cache", lasts: long, limit: group, fills: 8 * time.Second},
	{name: "staircase", pinned: true, lasts: long, limit: group},
	{name: "sawtooth", pinned: true, lasts: 65 * time.Second, limit: group, fills: 10 * time.Second},
	{name: "jit", pinned: true, limit: group},
	{name: "pthread", limit: addressSpace},
	{name: "c", program: "c", limit: group, quick: "any"},
	{name: "go", program: "go", truth: committed},
}

func init() {
	for i := range workloads {
		w := &workloads[i]
		if w.kind == "" {
			w.kind = w.name
		}
		if w.program == "" {
			w.program = "java"
		}
		if w.lasts == 0 {
			w.lasts = usual
		}
	}
}
