package vma

import "slices"

// Difference is a range where two spaces disagree about anonymous memory.
type Difference struct {
	Range
	Have, Want View
}

// View is what can be compared with the kernel: coverage and protection, not owners.
type View struct {
	Anon bool
	Prot Prot
}

type piece struct {
	Range
	View
}

// views is the anonymous memory of s as maximal ranges of one protection.
func (s *Space) views() []piece {
	var out []piece
	for a := range s.Exported() {
		v := View{true, a.Prot}
		if n := len(out) - 1; n >= 0 && out[n].End == a.Start && out[n].View == v {
			out[n].End = a.End
			continue
		}
		out = append(out, piece{a.Range, v})
	}
	return out
}

// Diff lists where the anonymous memory of s differs from that of want, in order of address.
func (s *Space) Diff(want *Space) []Difference {
	var out []Difference
	have, need := s.views(), want.views()
	at := func(list []piece, pos uint64) (View, uint64) { // the view at pos and where it ends
		if len(list) == 0 {
			return View{}, ^uint64(0)
		}
		if pos < list[0].Start {
			return View{}, list[0].Start
		}
		return list[0].View, list[0].End
	}
	for pos := uint64(0); len(have) > 0 || len(need) > 0; {
		h, hEnd := at(have, pos)
		w, wEnd := at(need, pos)
		end := min(hEnd, wEnd)
		if h != w {
			if n := len(out) - 1; n >= 0 && out[n].End == pos && out[n].Have == h && out[n].Want == w {
				out[n].End = end
			} else {
				out = append(out, Difference{Range{pos, end}, h, w})
			}
		}
		pos = end
		if len(have) > 0 && have[0].End <= pos {
			have = have[1:]
		}
		if len(need) > 0 && need[0].End <= pos {
			need = need[1:]
		}
	}
	return out
}

// Reconcile makes the anonymous memory of s equal to truth's inside the ranges
// of only (nil: everywhere), and returns the differences it removed and what
// that did. Bytes that agree keep their owners; the others come with the given
// origin (PreExisting when seeding, Healed after a loss). Opaque areas are
// always taken over from truth: they own nothing.
func (s *Space) Reconcile(truth *Space, only []Range, origin Origin) ([]Difference, *Delta) {
	s.delta.reset()
	if truth.StackStart != 0 {
		s.StackStart = truth.StackStart
	}
	all := s.Diff(truth)
	diffs := all
	if only != nil {
		diffs = nil
		for _, d := range all {
			for _, r := range only {
				if in := d.Intersect(r); !in.Empty() {
					diffs = append(diffs, Difference{in, d.Have, d.Want})
				}
			}
		}
		slices.SortFunc(diffs, func(a, b Difference) int {
			if a.Start < b.Start {
				return -1
			}
			return 1
		})
	}
	for _, d := range diffs {
		s.release(d.Range)
		for a := range truth.Over(d.Range) {
			a.Range = a.Intersect(d.Range)
			if a.Kind.Exported() {
				a.Owner = Owner{Origin: origin}
				s.acquire(a)
			}
		}
	}
	s.takeOpaque(truth)
	return diffs, &s.delta
}

// takeOpaque replaces every area of s that is not anonymous by truth's, where s has room.
func (s *Space) takeOpaque(truth *Space) {
	var old []Area
	for a := range s.All() {
		if !a.Kind.Exported() {
			old = append(old, a)
		}
	}
	for _, a := range old {
		s.rows.Delete(a.Start)
	}
	for a := range truth.All() {
		if a.Kind.Exported() {
			continue
		}
		for _, o := range old { // a shared memory segment keeps what shmdt must know
			if o.Op == OpShmat && o.Covers(a.Range) || a.Covers(o.Range) && o.Op == OpShmat {
				a.Owner = o.Owner
			}
		}
		for free := a; !free.Empty(); {
			part := free
			next := free.End
			for b := range s.Over(free.Range) {
				part.End, next = max(free.Start, b.Start), b.End
				break
			}
			s.insert(part)
			free.Start = max(next, part.End)
		}
	}
}

// Claim gives ev's thread the healed bytes that a call which came too late to
// be applied had acquired, and returns what that did.
func (s *Space) Claim(ev *Event) *Delta {
	s.delta.reset()
	r := Range{uint64(ev.Ret), uint64(ev.Ret) + s.pages(ev.Len)}
	switch {
	case ev.Failed() || ev.Op == OpMmap && !IsAnon(ev.Flags):
		return &s.delta
	case ev.Op == OpMmap:
	case ev.Op == OpBrk:
		r = Range{s.pages(ev.Addr), s.pages(uint64(ev.Ret))}
	case ev.Op == OpMprotect && ev.Prot != 0:
		r = Range{ev.Addr, ev.Addr + s.pages(ev.Len)}
	default:
		return &s.delta
	}
	if r.Empty() {
		return &s.delta
	}
	for _, a := range append([]Area(nil), s.remove(r)...) {
		if a.Origin == Healed && a.Kind.Exported() {
			s.delta.Released = append(s.delta.Released, a)
			a.Owner = ev.owner(r.Len())
			s.delta.Acquired = append(s.delta.Acquired, a)
		}
		s.insert(a)
	}
	return &s.delta
}
