package vma

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

// Diff lists where the anonymous memory of s differs from that of want, in
// order of address, as maximal ranges.
func (s *Space) Diff(want *Space) []Difference { return diffPieces(s.views(), want.views()) }

func diffPieces(have, need []piece) []Difference {
	var out []Difference
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
			out = appendDiff(out, Difference{Range{pos, end}, h, w})
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

// appendDiff joins d to the last difference where they adjoin and say the same.
func appendDiff(out []Difference, d Difference) []Difference {
	if n := len(out) - 1; n >= 0 && out[n].End == d.Start && out[n].Have == d.Have && out[n].Want == d.Want {
		out[n].End = d.End
		return out
	}
	return append(out, d)
}

// within is the parts of diffs that lie in only, whose ranges may overlap and
// come in any order. Both lists are walked once.
func within(diffs []Difference, only []Range) []Difference {
	only = union(only)
	var out []Difference
	for _, d := range diffs {
		for len(only) > 0 && only[0].End <= d.Start {
			only = only[1:]
		}
		for _, r := range only {
			if r.Start >= d.End {
				break
			}
			out = appendDiff(out, Difference{d.Intersect(r), d.Have, d.Want})
		}
	}
	return out
}
