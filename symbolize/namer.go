package symbolize

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/procfs"
)

const (
	maxDead   = 4096 // dead threads kept
	maxAbsent = 4096 // threads remembered as not found until the next Refresh
	maxReread = 512  // known threads read anew by one Refresh
	maxLooks  = 256  // immediate looks at new threads between two Refreshes
)

// AttachMode says whether the JVM may be asked for its threads' names. Names
// are read from its memory, which it does not notice, whatever the mode.
type AttachMode int

const (
	// AttachAuto asks a JVM whose memory does not tell its threads' names: over
	// its attach socket if that exists, and with NamerOptions.Named also by
	// having the JVM open it (SIGQUIT).
	AttachAuto AttachMode = iota
	// AttachYes asks in any case, which also names the threads of the VM itself,
	// and a target that does not look like a JVM too.
	AttachYes
	// AttachNo never asks: names are read from the JVM's memory or not known.
	AttachNo
)

// NamerOptions are the choices of a Namer.
type NamerOptions struct {
	Attach AttachMode
	// Named says that the user named this very process: only then is SIGQUIT
	// sent to a JVM that has no attach socket yet.
	Named bool
	// StartTicks is the start time of the process meant; 0: whichever has the
	// PID now. With another process Refresh returns ErrGone.
	StartTicks uint64
}

// Namer keeps the names of one process's threads, live and dead.
//
// One goroutine owns it. Only Fetch may be called in another one, so that the
// owner never waits for a JVM:
//
//	n.Refresh(now)                  // at each interval
//	if n.Due(now) {
//		go func() { results <- n.Fetch(ctx) }()
//	}
//	n.Adopt(<-results, now)         // when it has come
//
// A Namer is of one program: after an exec make a new one. Close it when no
// Fetch is running.
type Namer struct {
	pid     int
	options NamerOptions
	dir     *os.File // /proc/PID: stays with the process, whatever becomes of the PID
	dirErr  error
	start   uint64
	boot    time.Time
	sameNS  bool // TIDs in the process's PID namespace are ours

	threads map[threadKey]*entry
	live    map[int]*entry
	dead    int
	clock   uint64
	absent  map[threadKey]struct{} // seen, but not in /proc: until the next Refresh
	looks   int
	cursor  int // where the next Refresh begins to read known threads anew
	buf     []byte

	readings
	dumps
}

// NewNamer opens the process. It does not fail: if the process cannot be
// opened, every Refresh says so.
func NewNamer(pid int, o NamerOptions) *Namer {
	n := &Namer{
		pid: pid, options: o, boot: bootTime(), buf: make([]byte, maxLine),
		threads: map[threadKey]*entry{}, live: map[int]*entry{}, absent: map[threadKey]struct{}{},
	}
	n.read = n.readVM
	n.dir, n.dirErr = os.Open(procPath(pid, ""))
	if n.dirErr != nil {
		return n
	}
	st, err := readStatAt(int(n.dir.Fd()), "", n.buf)
	if err == nil && o.StartTicks != 0 && st.StartTicks != o.StartTicks {
		err = ErrGone
	}
	if n.dirErr = err; err != nil {
		return n
	}
	n.start = st.StartTicks
	if proc, err := procfs.NewProc(pid); err == nil {
		if s, err := proc.NewStatus(); err == nil {
			n.sameNS = len(s.NSpids) <= 1
		}
	}
	return n
}

// Close releases the process. It may be called twice.
func (n *Namer) Close() error {
	if n.dir == nil || errors.Is(n.dirErr, os.ErrClosed) {
		return nil
	}
	n.dirErr = os.ErrClosed
	return n.dir.Close()
}

// Refresh reads /proc/PID/task: new threads are added, those that are missing
// are marked dead and keep their last name, comms are read anew. now is the
// date given to those found dead. It costs one small read (about 8 µs) per
// thread; of more than 512 known threads, 512 are read anew each time, in turn.
// The error wraps ErrGone when the process has ended; what is known stays.
func (n *Namer) Refresh(now time.Time) error { return n.refresh(now, maxReread) }

// refresh reads new threads and at most so many of the known ones.
func (n *Namer) refresh(now time.Time, rereads int) error {
	n.looks = 0
	clear(n.absent)
	tick := bootTicks()
	tids, err := n.tids()
	if err != nil {
		err = procError(fmt.Sprintf("list threads of process %d", n.pid), err)
		if errors.Is(err, ErrGone) {
			n.gone = true
			for _, e := range n.live {
				n.bury(e, now, tick)
			}
		}
		return err
	}
	alive := make(map[int]bool, len(tids))
	from := n.cursor % len(tids)
	n.cursor = from + rereads
	for i := range tids {
		tid := tids[(from+i)%len(tids)]
		if n.live[tid] != nil && i >= rereads {
			alive[tid] = true
			continue
		}
		st, err := n.readTask(tid)
		if err != nil || st.State == 'Z' || st.State == 'X' {
			continue // it died since the folder was listed
		}
		alive[tid] = true
		e := n.live[tid]
		if e != nil && e.StartTicks != st.StartTicks {
			n.bury(e, now, tick)
			e = nil
		}
		if e == nil {
			n.add(tid, st)
		} else {
			e.setComm(st.Comm)
		}
	}
	for tid, e := range n.live {
		if !alive[tid] {
			n.bury(e, now, tick)
		}
	}
	n.evict()
	return nil
}

// Saw notes that an event of this thread was seen. An unknown thread is looked
// up in /proc at once (a bounded number of times between two Refreshes), since
// it may not live until the next Refresh. It reports whether the thread is known.
func (n *Namer) Saw(tid uint32, startTicks uint64) bool {
	key := threadKey{int(tid), startTicks}
	e := n.threads[key]
	if e == nil {
		e = n.look(key)
	}
	if e == nil {
		return false
	}
	e.seen = true
	return true
}

// look reads a thread that is not known yet.
func (n *Namer) look(key threadKey) *entry {
	if _, ok := n.absent[key]; ok || n.looks >= maxLooks {
		return nil
	}
	n.looks++
	st, err := n.readTask(key.tid)
	if err != nil || st.StartTicks != key.start || st.State == 'Z' || st.State == 'X' {
		if len(n.absent) < maxAbsent {
			n.absent[key] = struct{}{}
			n.effects.Missed++
		}
		return nil
	}
	if old := n.live[key.tid]; old != nil {
		n.bury(old, time.Now(), bootTicks())
	}
	return n.add(key.tid, st)
}

// Lookup is what is known of a thread. With start 0 (not known) it is the live
// thread of this TID. To ask for a dead thread keeps it from being forgotten.
func (n *Namer) Lookup(tid uint32, start uint64) (Thread, bool) {
	e := n.threads[threadKey{int(tid), start}]
	if start == 0 {
		e = n.live[int(tid)]
	}
	if e == nil {
		return Thread{}, false
	}
	n.clock++
	e.used = n.clock
	return e.Thread, true
}

// Threads yields every thread by TID and start time. The Namer must not be
// changed meanwhile.
func (n *Namer) Threads() iter.Seq[Thread] {
	return func(yield func(Thread) bool) {
		entries := slices.SortedFunc(maps.Values(n.threads), func(a, b *entry) int {
			return compareKeys(a.key(), b.key())
		})
		for _, e := range entries {
			if !yield(e.Thread) {
				return
			}
		}
	}
}

func compareKeys(a, b threadKey) int {
	if a.tid != b.tid {
		return a.tid - b.tid
	}
	if a.start < b.start {
		return -1
	}
	if a.start > b.start {
		return 1
	}
	return 0
}

// tids lists the TIDs of the process.
func (n *Namer) tids() ([]int, error) {
	if n.dirErr != nil {
		return nil, n.dirErr
	}
	fd, err := openatRetry(int(n.dir.Fd()), "task")
	if err != nil {
		return nil, err
	}
	d := os.NewFile(uintptr(fd), "task")
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	tids := make([]int, 0, len(names))
	for _, name := range names {
		if tid, err := strconv.Atoi(name); err == nil {
			tids = append(tids, tid)
		}
	}
	if len(tids) == 0 {
		return nil, ErrGone
	}
	return tids, nil
}

func (n *Namer) readTask(tid int) (stat, error) {
	if n.dirErr != nil {
		return stat{}, n.dirErr
	}
	return readStatAt(int(n.dir.Fd()), "task/"+strconv.Itoa(tid)+"/", n.buf)
}
