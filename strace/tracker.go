package strace

import "vmaleak/vma"

// maxTracked bounds what a hostile log can make the tracker remember.
const maxTracked = 1 << 20

// tracker follows what depends on the order of all records of a log: which
// space a thread uses, the break of each space, the length of each segment.
type tracker struct {
	threads  map[uint32]uint32 // TID to space, of processes that the log saw begin
	spaces   map[uint32]*tracked
	segments map[uint64]uint64 // shmid to length
	root     uint32            // space of the threads that are not in it
	last     uint32            // highest space number given
	stats    *Stats
}

// tracked is the state of one space.
type tracked struct {
	brk   uint64 // 0 unknown
	seq   uint64
	users int // threads in tracker.threads
}

func newTracker(s *Stats) *tracker {
	return &tracker{threads: make(map[uint32]uint32), spaces: make(map[uint32]*tracked),
		segments: make(map[uint64]uint64), stats: s}
}

func (t *tracker) space(tid uint32) uint32 {
	if len(t.threads) != 0 {
		if s, ok := t.threads[tid]; ok {
			return s
		}
	}
	return t.root
}

func (t *tracker) state(space uint32) *tracked {
	s := t.spaces[space]
	if s == nil {
		s = &tracked{}
		t.spaces[space] = s
	}
	return s
}

// enter makes tid a user of space.
func (t *tracker) enter(tid, space uint32) {
	t.leave(tid)
	if len(t.threads) >= maxTracked {
		return
	}
	t.threads[tid] = space
	t.state(space).users++
}

func (t *tracker) leave(tid uint32) {
	space, ok := t.threads[tid]
	if !ok {
		return
	}
	delete(t.threads, tid)
	if s := t.spaces[space]; s != nil {
		s.users--
		t.forget(space, s)
	}
}

// forget drops the state of a space that nobody uses.
func (t *tracker) forget(space uint32, s *tracked) {
	if s != nil && s.users <= 0 && space != t.root {
		delete(t.spaces, space)
	}
}

// track completes rec. It is false for a record that is not for the caller.
func (t *tracker) track(rec *Record) bool {
	if rec.Kind == BadLine {
		return true
	}
	rec.Space = t.space(rec.TID)
	switch rec.Kind {
	case Call:
		t.call(rec)
	case Orphan:
		if rec.Event.Op == vma.OpBrk && !rec.Event.Failed() { // its result says all
			rec.Kind = Call
			rec.Event.Addr = uint64(rec.Event.Ret)
			t.call(rec)
		}
	case Fork:
		rec.ChildSpace = rec.Space
		if !rec.Shared {
			t.last++
			rec.ChildSpace = t.last
		}
		if _, known := t.threads[rec.TID]; known || !rec.Thread {
			t.enter(rec.Child, rec.ChildSpace)
		} else {
			t.leave(rec.Child) // a TID used again
		}
		if parent := t.spaces[rec.Space]; !rec.Shared && parent != nil && t.space(rec.Child) == rec.ChildSpace {
			t.state(rec.ChildSpace).brk = parent.brk
		}
	case Exec:
		t.last++
		rec.Left = rec.Space
		rec.Space = t.last
		if _, known := t.threads[rec.TID]; known {
			t.enter(rec.TID, t.last)
		} else {
			t.root = t.last
			t.forget(rec.Left, t.spaces[rec.Left])
		}
	case Exit:
		if !rec.Whole || rec.Killed { // after exit_group each thread has a line of its own
			t.leave(rec.TID)
		}
	case shmget:
		if len(t.segments) < maxTracked {
			t.segments[uint64(rec.Event.Ret)] = rec.Event.Len
		}
		return false
	}
	return true
}

func (t *tracker) call(rec *Record) {
	ev := &rec.Event
	s := t.state(rec.Space)
	s.seq++
	ev.Seq = s.seq
	switch ev.Op {
	case vma.OpBrk:
		asked, old := ev.Addr, s.brk
		if old == 0 {
			old = uint64(ev.Ret)
			if asked != 0 && asked == old && !ev.Failed() {
				rec.AddressUnknown = true
				t.stats.BreakUnknown++
			}
		}
		ev.Addr, s.brk = old, uint64(ev.Ret)
	case vma.OpShmat:
		ev.Len, ev.Target = t.segments[ev.Target], 0
	}
	if rec.AddressUnknown && ev.Op != vma.OpBrk {
		t.stats.AddressUnknown++
	}
}
