package vma

// Reconcile makes the anonymous memory of s equal to truth's inside the ranges
// of only (nil: everywhere), and returns the differences it removed and what
// that did. The ranges may overlap. Owners follow what the least change would
// have done:
//
//	have   want            rows
//	none   anon            new rows of the given origin: PreExisting when seeding, Healed after a loss
//	anon   none            released
//	NONE   other prot      new rows of the given origin: somebody committed them
//	prot   other prot      the owner stays
//
// Bytes that agree keep their owners. Opaque areas and the main stack own
// nothing: they are taken over from truth, inside the same ranges.
func (s *Space) Reconcile(truth *Space, only []Range, origin Origin) ([]Difference, *Delta) {
	s.delta.reset()
	if truth.StackStart != 0 && !truth.namedStack().Contains(s.StackStart) {
		s.StackStart = truth.StackStart
	}
	diffs := s.Diff(truth)
	if only != nil {
		diffs = within(diffs, only)
	}
	for _, d := range diffs {
		if d.Have.Anon && d.Want.Anon && d.Have.Prot != 0 {
			for _, a := range s.remove(d.Range) {
				if d.Want.Prot == 0 && a.Kind.Exported() {
					s.delta.Decommitted = append(s.delta.Decommitted, a)
				}
				a.Prot = d.Want.Prot
				s.insert(a)
			}
			continue
		}
		s.release(d.Range)
		if !d.Want.Anon {
			continue
		}
		for a := range truth.Over(d.Range) {
			a.Range = a.Intersect(d.Range)
			a.Owner = Owner{Origin: origin}
			if a.Kind.Exported() {
				s.acquire(a)
			} else {
				s.insert(a) // a nameless part of the main stack
			}
		}
	}
	if only == nil {
		only = []Range{{End: ^uint64(0)}}
	}
	for _, r := range union(only) {
		s.takeOpaque(truth, r)
	}
	return diffs, &s.delta
}

// takeOpaque replaces what in r is not anonymous by what truth has there, where s has room.
func (s *Space) takeOpaque(truth *Space, r Range) {
	var stack, old []Area
	for a := range s.Over(r) {
		a.Range = a.Intersect(r)
		switch a.Kind {
		case Stack:
			stack = append(stack, a)
		case Opaque:
			old = append(old, a)
		}
	}
	for _, a := range old {
		s.remove(a.Range)
	}
	for _, a := range stack {
		s.remove(a.Range)
		for b := range truth.Over(a.Range) {
			if b.Kind.Exported() { // no longer named: memory like any other
				b.Range, b.Owner, b.Kind = b.Intersect(a.Range), Owner{Origin: a.Origin}, Anon
				s.insert(b)
			}
		}
	}
	for a := range truth.Over(r) {
		if a.Kind.Exported() {
			continue
		}
		a.Range = a.Intersect(r)
		for len(old) > 0 && old[0].End <= a.Start {
			old = old[1:]
		}
		for i := 0; i < len(old) && old[i].Start < a.End && a.Op == OpShmat; i++ {
			if old[i].Op == OpShmat && old[i].At == a.At {
				a.Owner = old[i].Owner // /proc does not tell the segment's length
				break
			}
		}
		s.fill(a)
	}
}

// fill inserts the parts of a for which there is room.
func (s *Space) fill(a Area) {
	for end := a.End; a.Start < end; {
		next := end
		a.End = end
		if p := s.rows.seek(a.Start); !s.rows.end(p) && s.rows.span(p).Start < end {
			row := s.rows.at(p)
			a.End, next = max(a.Start, row.Start), row.End
		}
		s.insert(a)
		a.Start = next
	}
}

// Claim gives ev's thread the healed bytes that a call which came too late to
// be applied had acquired, and returns what that did.
func (s *Space) Claim(ev *Event) *Delta {
	s.begin(ev)
	var r Range
	switch {
	case ev.Failed():
	case ev.Op == OpMmap && IsAnon(ev.Flags):
		r = s.span(uint64(ev.Ret), ev.Len)
	case ev.Op == OpMremap: // what it moved was another's
		r = s.span(uint64(ev.Ret), ev.NewLen)
		r.Start += min(r.Len(), s.pages(ev.Len))
	case ev.Op == OpBrk:
		r = Range{s.pages(ev.Addr), s.pages(uint64(ev.Ret))}
	case (ev.Op == OpMprotect || ev.Op == OpPkeyMprotect) && Prot(ev.Prot)&protMask != 0:
		r = s.span(ev.Addr, ev.Len)
	}
	pieces := s.remove(r)
	var bytes uint64
	for i := range pieces {
		if a := &pieces[i]; a.claimable() {
			bytes += a.Len()
		}
	}
	if ev.Op == OpMmap {
		bytes = r.Len()
	}
	for _, a := range pieces {
		if a.claimable() {
			s.delta.Released = append(s.delta.Released, a)
			a.Owner = s.owner(ev, bytes)
			s.delta.Acquired = append(s.delta.Acquired, a)
		}
		s.insert(a)
	}
	return &s.delta
}

func (a *Area) claimable() bool { return a.Origin == Healed && a.Kind.Exported() }
