package tracer

import "vmaleak/vma"

// record is one decoded event of one space, with what only its life needs.
type record struct {
	ev       vma.Event
	tgid     uint32
	child    uint32 // fork: the child's slot and generation
	childGen uint32
	fork     bool
	gone     vma.Range // enter-exit: what was taken as released when the call began
	overrun  bool      // enter-exit: the source of this mremap was given to another thread meanwhile
}

// window puts the records of one space back in the order of their numbers:
// threads report when their calls return, which is not the order in which they
// held the lock. It holds base+1 and later numbers, in a ring indexed by number.
type window struct {
	base uint64 // all numbers up to here are done
	top  uint64 // highest number held
	held int
	ring []record // length a power of two; an empty place has Seq 0
}

// maxWindow is how many numbers may wait behind a missing one.
const maxWindow = 1 << 20

// put stores r, whose number must be above base. It reports whether there was room.
func (w *window) put(r *record) bool {
	seq := r.ev.Seq
	for n := uint64(len(w.ring)); seq-w.base > n; n = uint64(len(w.ring)) {
		if n >= maxWindow {
			return false
		}
		w.grow(max(64, 2*n))
	}
	p := &w.ring[seq&uint64(len(w.ring)-1)]
	if p.ev.Seq == 0 {
		w.held++
	}
	*p = *r
	w.top = max(w.top, seq)
	return true
}

func (w *window) grow(n uint64) {
	old := w.ring
	w.ring = make([]record, n)
	for i := range old {
		if seq := old[i].ev.Seq; seq != 0 {
			w.ring[seq&(n-1)] = old[i]
		}
	}
}

// next returns the record of base+1, or nil if it is missing. It belongs to
// the window and holds until pop.
func (w *window) next() *record {
	if w.held == 0 {
		return nil
	}
	if r := &w.ring[(w.base+1)&uint64(len(w.ring)-1)]; r.ev.Seq == w.base+1 {
		return r
	}
	return nil
}

// pop finishes base+1.
func (w *window) pop() {
	w.base++
	if len(w.ring) > 0 {
		if r := &w.ring[w.base&uint64(len(w.ring)-1)]; r.ev.Seq == w.base {
			r.ev.Seq = 0
			w.held--
		}
	}
}

// skip finishes every number up to seq. It calls late with each record held
// among them, and returns how many were missing and in how many runs.
func (w *window) skip(seq uint64, late func(*record)) (missing, runs uint64) {
	missed := false
	for w.base < seq {
		if w.held == 0 { // nothing but missing numbers from here
			missing += seq - w.base
			if !missed {
				runs++
			}
			w.base = seq
			break
		}
		if r := w.next(); r != nil {
			late(r)
			missed = false
		} else {
			missing++
			if !missed {
				runs++
			}
			missed = true
		}
		w.pop()
	}
	w.top = max(w.top, w.base)
	return missing, runs
}
