package tracer

import (
	"sync/atomic"
	"time"

	"vmaleak/bpf"
)

// scan finds spaces that live in the kernel half and were never announced, and
// those whose end was lost. It makes no bpf(2) call unless records were dropped.
func (t *Tracer) scan(now time.Time) error {
	var dropped uint64
	var odd []bpf.SpaceRef
	for slot := range t.states.all {
		dropped += atomic.LoadUint64(&t.states.all[slot].Dropped)
		if r, status := t.status(slot); t.odd(r, status) {
			odd = append(odd, r)
		}
	}
	if len(odd) > 0 { // the record that tells may only not be read yet
		for t.note(); !t.drained(); {
			if err := t.read(time.Now()); err != nil {
				return err
			}
		}
	}
	for _, was := range odd {
		r, status := t.status(int(was.Space))
		if r != was || !t.odd(r, status) {
			continue
		}
		s := t.bySlot[r.Space]
		switch {
		case status == bpf.SpaceLive:
			t.openSeeded(t.newSpace(r.Space, r.Gen, int(t.states.all[r.Space].Tgid)))
		case s.gone():
			t.settleEnd(s, now)
		default:
			t.end(s, now)
		}
	}
	if dropped != t.dropped {
		t.dropped = dropped
		t.relearn()
	}
	return nil
}

// status is what the kernel half says of a slot.
func (t *Tracer) status(slot int) (bpf.SpaceRef, uint32) {
	st := &t.states.all[slot]
	status := atomic.LoadUint32(&st.Status)
	return bpf.SpaceRef{Space: uint32(slot), Gen: atomic.LoadUint32(&st.Gen)}, status
}

// odd reports whether we have not heard of what the kernel half says of a slot:
// a space that lives and is not announced, or one that has ended and is.
func (t *Tracer) odd(r bpf.SpaceRef, status uint32) bool {
	s := t.bySlot[r.Space]
	known := s != nil && s.gen == r.Gen
	return r != t.ignored && (status == bpf.SpaceLive && !known || status == bpf.SpaceEnded && known)
}

// relearn finds the thread groups that began to share a space in records that were dropped.
func (t *Tracer) relearn() {
	var pid uint32
	var r bpf.SpaceRef
	for it := t.coll.Maps[mapFollowed].Iterate(); it.Next(&pid, &r); {
		if s := t.bySlot[r.Space]; s != nil && s.gen == r.Gen {
			t.share(s, int(pid))
		}
	}
}
