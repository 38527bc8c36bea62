package tracer

import "time"

// Drain polls until every number drawn before the call has been applied, for
// 200 ms at most. It returns the spaces where a call is still in flight.
func (t *Tracer) Drain() (inFlight []*Space, err error) {
	want := map[*Space]uint64{}
	if err := t.Poll(time.Now()); err != nil {
		return nil, err
	}
	for t.note(); !t.drained(); { // blocks of malloc have no numbers to wait for
		if err := t.read(time.Now()); err != nil {
			return nil, err
		}
	}
	if err := t.scan(time.Now()); err != nil {
		return nil, err
	}
	for _, s := range t.bySlot {
		if s.ready && s.state.Gen == s.gen {
			want[s] = s.state.Lockseq
		}
	}
	for deadline := time.Now().Add(quietTime); ; {
		if err := t.Poll(time.Now()); err != nil {
			return nil, err
		}
		for s := range want {
			if _, ok := quiet(s.state); ok && s.deaf && !s.gone() {
				if err := t.resync(s, time.Now()); err != nil { // without waiting for the next try
					return nil, err
				}
			}
		}
		inFlight = inFlight[:0]
		for s, seq := range want {
			if s.win.base < seq && !s.gone() {
				inFlight = append(inFlight, s)
			}
		}
		if len(inFlight) == 0 || time.Now().After(deadline) {
			for _, s := range t.bySlot {
				s.counters()
			}
			return inFlight, t.clean()
		}
		if err := t.Poll(time.Now().Add(time.Millisecond)); err != nil {
			return nil, err
		}
	}
}

// clean audits the spaces with ranges in doubt at once, so that what is shown next is as good as it gets.
func (t *Tracer) clean() error {
	again := false
	for _, s := range t.bySlot {
		if (t.opt.Audit > 0 || s.settling) && len(s.dirty) > 0 && !s.gone() {
			t.audit(s)
			again = again || s.snap != nil
		}
	}
	if again {
		return t.Poll(time.Now().Add(5 * time.Millisecond))
	}
	return nil
}
