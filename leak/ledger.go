package leak

import (
	"cmp"
	"slices"
	"time"

	"vmaleak/vma"
)

// Options bounds a Ledger. The zero value is the default.
type Options struct {
	Warmup       time.Duration // no growth is reported before a space was watched for so long, 0 = 30 s
	KeepEnded    int           // how many ended spaces are kept, the largest ones, 0 = 64
	SeriesPoints int           // points kept of a series, 0 = 240
	Accounts     int           // accounts kept of a space, 0 = 16384: beyond, sizes are folded
	Threads      int           // threads kept of a space, 0 = 65536: beyond, those that own nothing are folded

	// Stack is the stack of a number given to Resolve, nil if there is none.
	// Snapshots share what it returns, which must not change any more. nil: no stacks.
	Stack func(number uint32) *Stack
}

func (o *Options) defaults() {
	if o.Warmup == 0 {
		o.Warmup = 30 * time.Second
	}
	for _, f := range []struct {
		v   *int
		def int
	}{{&o.KeepEnded, 64}, {&o.SeriesPoints, 240}, {&o.Accounts, 1 << 14}, {&o.Threads, 1 << 16}} {
		if *f.v <= 0 {
			*f.v = f.def
		}
	}
}

// Ledger is the books of all spaces. One goroutine owns it and its Spaces;
// only the Snapshots it makes may be shared.
type Ledger struct {
	opt     Options
	live    []*Space
	ended   []*Space
	dropped []*Space // folded since the last snapshot
	folded  struct{ count, bytes, lost uint64 }
	tickets
	places places
}

// New makes an empty ledger.
func New(o Options) *Ledger {
	o.defaults()
	return &Ledger{opt: o, tickets: tickets{pending: map[uint32]*pending{}, waiting: map[uint32]*waiting{}, known: map[uint32]known{}, tasks: map[uint32]string{}}}
}

// Process is what is known of the process behind a space. Zero values are
// unknown. What its pointers and slices lead to must not be changed after it
// was handed over: snapshots share them.
type Process struct {
	PID       int
	PIDs      []int // every tgid that used the space
	NSPID     int
	Space     string // unique in the document
	Parent    string // Space of the parent, after a fork
	Exec      int    // how many execs this pid had before
	StartedAt time.Time
	Name      string
	Comm      string
	Exe       string
	Cmdline   []string
	Backend   Backend
	CGroup    *CGroup
	Unit      string
	Pod       string
	Container string
	JVM       *JVM
}

// Open begins the books of a space. What vm holds already is nobody's: rows
// that are pre-existing or inherited. vm stays the caller's: it is read while
// Open, Rebase, End and Snapshot run, Snapshot and Resolve put the numbers of
// stacks in its rows, and it must not be changed between an Apply and its Book.
func (l *Ledger) Open(p Process, vm *vma.Space, at time.Time) *Space {
	l.clock = max(l.clock, at.UnixNano())
	s := &Space{ledger: l, p: p, vm: vm, openedAt: at, lastAt: at.UnixNano(),
		threads: map[vma.Thread]*thread{}, poolsGone: map[string]*track{}}
	s.Rebase()
	if p.Parent != "" {
		s.inheritBlocks(l)
	}
	l.live = append(l.live, s)
	return s
}

// Spaces is the spaces that have not ended, in order of opening. The slice is
// the caller's.
func (l *Ledger) Spaces() []*Space { return slices.Clone(l.live) }

// Tick adds a point to the series of every space. It is called at every
// interval.
func (l *Ledger) Tick(now time.Time) {
	l.clock = max(l.clock, now.UnixNano())
	for _, s := range l.live {
		s.tick(now)
	}
}

// first reports whether s was followed for itself, not because of its parent.
func (s *Space) first() bool { return s.p.Parent == "" && s.p.Exec == 0 }

// retire moves s to the ended spaces and folds the smallest ones if there are
// too many.
func (l *Ledger) retire(s *Space) {
	l.live = slices.DeleteFunc(l.live, func(o *Space) bool { return o == s })
	l.ended = append(l.ended, s)
	if len(l.ended) <= l.opt.KeepEnded {
		return
	}
	least := slices.MinFunc(l.ended, func(a, b *Space) int {
		if a.first() != b.first() { // what somebody asked for outlives its children
			if b.first() {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.mapped, b.mapped)
	})
	l.ended = slices.DeleteFunc(l.ended, func(o *Space) bool { return o == least })
	l.folded.count++
	l.folded.bytes += uint64(max(least.mapped, 0))
	least.retain(nil)
	l.dropped = append(l.dropped, least)
}
