package strace

import (
	"bytes"

	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

const (
	// maxWaiting is how many records may wait behind a call without an end.
	maxWaiting = 65_000

	cloneVM     = unix.CLONE_VM
	cloneThread = unix.CLONE_THREAD
)

// halves are the calls of which only the beginning was read, by TID.
type halves struct {
	waiting map[uint32]int64 // number of the slot in the queue
	late    map[uint32]slot  // forced out of the queue; ready: given out as a success
}

func newHalves() halves {
	return halves{waiting: make(map[uint32]int64), late: make(map[uint32]slot)}
}

// finish completes rec with its result, seen at end (0: on the same line). It
// is false if that makes no record.
func finish(s sys, rec *Record, res result, end int64) bool {
	if res.none {
		return false
	}
	rec.Event.Ret = res.ret
	rec.Duration = res.duration
	if !s.releases() && rec.Kind != Fork && rec.Start != 0 {
		if rec.Event.Time = end; end == 0 {
			rec.Event.Time = rec.Start + int64(res.duration)
		}
	}
	switch rec.Kind {
	case Fork:
		rec.Child = uint32(max(res.ret, 0))
		return res.ret > 0
	case Exec, shmget:
		return !rec.Event.Failed()
	}
	return true
}

func hasAddress(rec *Record) bool {
	op := rec.Event.Op
	return rec.Kind == Call && (op == vma.OpMmap || op == vma.OpMremap || op == vma.OpShmat)
}

// begin keeps a place in the queue for a call whose end is still to come.
func (r *Reader) begin(s sys, rec *Record) {
	n, slot := r.queue.push()
	slot.rec, slot.sys, slot.state = *rec, s, waiting
	r.halves.waiting[rec.TID] = n
}

// resumed takes "<... name resumed>rest".
func (r *Reader) resumed(b, body []byte, tid uint32, at *stamp) {
	name, ok := bytes.CutPrefix(body, []byte("<... "))
	j := bytes.Index(name[:min(len(name), 80)], []byte(" resumed>"))
	if !ok || j < 0 {
		r.bad(b, "no call")
		return
	}
	rest := name[j+len(" resumed>"):]
	s := lookup(name[:j])
	now := r.clock.at(at)
	r.usual = at.kind
	switch s {
	case other, sysMadvise:
		r.stats.Other++
		r.lose(tid)
		return
	case sysExit, sysExitGroup:
		return
	}
	f, res := parseEnd(rest)
	if f == malformed {
		f, res = lastEnd(rest)
	}
	if f == started { // "<... mmap resumed> <unfinished ...>": its end is still to come
		return
	}
	probe := r.record(s, tid, now)
	if f != complete || r.implausible(&probe, res) {
		r.lose(tid)
		r.bad(b, "a result that is cut or mixed")
		return
	}
	r.durations = r.durations || res.timed
	n, waits := r.halves.waiting[tid]
	if waits && r.queue.at(n).sys == s {
		delete(r.halves.waiting, tid)
		r.stats.Pairs++
		r.pair(n, res, now)
		return
	}
	if late, ok := r.halves.late[tid]; ok && late.sys == s && !waits {
		delete(r.halves.late, tid)
		r.stats.Pairs++
		if late.state == waiting && finish(s, &late.rec, res, now) {
			r.emit(s, &late.rec)
		}
		return
	}
	r.lose(tid)
	r.orphan(s, &probe, res, now)
}

// orphan takes an end whose beginning is missing.
func (r *Reader) orphan(s sys, rec *Record, res result, now int64) {
	switch {
	case !finish(s, rec, res, now) || rec.Kind == shmget:
	case rec.Kind == Exec: // of a thread that took its process's PID by execve
		r.emit(s, rec)
	case rec.Kind == Fork: // the flags are unknown
		r.stats.Orphans++
	default:
		rec.Kind = Orphan
		r.emit(s, rec)
	}
}

// pair finishes the call in slot n and puts it where it took effect.
func (r *Reader) pair(n int64, res result, now int64) {
	half := r.queue.at(n)
	rec, s := half.rec, half.sys
	half.state = void
	if !finish(s, &rec, res, now) {
		if res.none {
			r.stats.NoResult++
		}
		return
	}
	switch {
	case s.releases() || rec.Kind == Fork:
		half.rec, half.state = rec, ready
	case s == sysMremap && !rec.Event.Failed() && r.squeeze(n, &rec):
	default:
		r.emit(s, &rec)
	}
}

// squeeze puts an mremap whose source another thread got while it was under
// way just before the call that got it. It is false if there is none.
func (r *Reader) squeeze(n int64, rec *Record) bool {
	for k := n + 1; k < r.queue.tail; k++ {
		got := r.queue.at(k)
		if got.state != ready || !takesSource(&got.rec, rec) {
			continue
		}
		for i := n; i < k-1; i++ { // those between move up
			*r.queue.at(i) = *r.queue.at(i + 1)
			if moved := r.queue.at(i); moved.state == waiting {
				r.halves.waiting[moved.rec.TID] = i
			}
		}
		rec.Event.Time = min(rec.Event.Time, got.rec.Event.Time)
		*r.queue.at(k - 1) = slot{rec: *rec, sys: sysMremap}
		return true
	}
	return false
}

// takesSource reports whether got mapped memory that the mremap moved away from.
func takesSource(got, mremap *Record) bool {
	ev := &got.Event
	if got.Kind != Call || ev.Op != vma.OpMmap && ev.Op != vma.OpMremap || ev.Failed() || got.AddressUnknown ||
		ev.Thread == mremap.Event.Thread {
		return false
	}
	length := ev.Len
	if ev.Op == vma.OpMremap {
		length = ev.NewLen
	}
	from := vma.Range{Start: mremap.Event.Addr, End: mremap.Event.Addr + mremap.Event.Len}
	return from.Overlaps(vma.Range{Start: uint64(ev.Ret), End: uint64(ev.Ret) + length})
}

// lose takes the beginning that tid left without an end for a success.
func (r *Reader) lose(tid uint32) {
	if len(r.halves.waiting) != 0 {
		if n, ok := r.halves.waiting[tid]; ok {
			delete(r.halves.waiting, tid)
			r.stats.Unresumed++
			half := r.queue.at(n)
			half.state = void
			if assume(&half.rec) {
				half.state = ready
			}
		}
	}
	if len(r.halves.late) != 0 {
		if late, ok := r.halves.late[tid]; ok {
			delete(r.halves.late, tid)
			r.stats.Unresumed++
			if late.state == waiting && assume(&late.rec) {
				r.emit(late.sys, &late.rec)
			}
		}
	}
}

// drop forgets a beginning that had no effect.
func (r *Reader) drop(tid uint32) {
	if n, ok := r.halves.waiting[tid]; ok {
		delete(r.halves.waiting, tid)
		r.queue.at(n).state = void
		r.stats.NoResult++
	}
	delete(r.halves.late, tid)
}

// force lets the queue go on without the end of its first record.
func (r *Reader) force() {
	half := r.queue.at(r.queue.head)
	tid := half.rec.TID
	delete(r.halves.waiting, tid)
	r.stats.Forced++
	if half.sys.releases() {
		half.state = ready
		assume(&half.rec)
		if len(r.halves.late) < maxWaiting {
			r.halves.late[tid] = slot{sys: half.sys, state: ready}
		}
		return
	}
	late := *half
	half.state = void
	if len(r.halves.late) < maxWaiting {
		r.halves.late[tid] = late
	} else if assume(&half.rec) {
		r.stats.Unresumed++
		half.state = ready
	}
}

// loseAll ends the log: no other ends will come.
func (r *Reader) loseAll() {
	for n := r.queue.head; n < r.queue.tail; n++ {
		if half := r.queue.at(n); half.state == waiting {
			r.lose(half.rec.TID)
		}
	}
	for _, tid := range sortedKeys(r.halves.late) {
		r.lose(tid)
	}
}
