package report

import (
	"slices"

	"vmaleak/leak"
)

// piece is some frames of a stack, one after the other: folded into one line, or
// one function that called itself and is shown once.
type piece struct {
	frames []leak.Frame
	folded bool
	level  level // of a shown one
}

const (
	maxRun    = 3  // frames of one class in a row that are shown; of more, the first and the last
	maxPieces = 20 // lines of one stack; of more, the first and the last
	lastLines = 4
)

// trim keeps what a person needs of a stack. Shown are the application's
// frames and those of the libraries that it called, innermost first; the JDK, the virtual
// machine and the C library are folded, and so is what called the application. Where
// there is no application, the libraries are shown; where there is none, the
// JDK; and so on.
func trim(frames []leak.Frame, j judge) (pieces []piece, top level) {
	levels := make([]level, len(frames))
	first := len(frames) // of the application's
	for i := range frames {
		levels[i] = j.level(&frames[i])
		top = max(top, levels[i])
		if levels[i] == application && i < first {
			first = i
		}
	}
	shown := func(i int) bool {
		switch {
		case top < application:
			return levels[i] == top
		case i < first:
			return levels[i] == library
		}
		return levels[i] == application
	}
	for i := 0; i < len(frames); {
		n := 1
		if shown(i) {
			for i+n < len(frames) && same(&frames[i], &frames[i+n]) {
				n++
			}
			pieces = append(pieces, piece{frames: frames[i : i+n], level: levels[i]})
		} else {
			for i+n < len(frames) && !shown(i+n) {
				n++
			}
			pieces = append(pieces, piece{frames: frames[i : i+n], folded: true})
		}
		i += n
	}
	return join(middle(runs(pieces), maxPieces, lastLines)), top
}

// same reports whether two frames are of one function that called itself,
// be it inlined or not.
func same(a, b *leak.Frame) bool {
	return a.Function != nil && b.Function != nil && *a.Function == *b.Function && value(a.Module) == value(b.Module)
}

// runs folds what lies between the first and the last of many frames of one
// class of a library.
func runs(pieces []piece) []piece {
	var out []piece
	for i := 0; i < len(pieces); {
		n := 1
		for i+n < len(pieces) && pieces[i].runs() && pieces[i+n].runs() && oneClass(&pieces[i].frames[0], &pieces[i+n].frames[0]) {
			n++
		}
		out = append(out, middle(pieces[i:i+n], maxRun, 1)...)
		i += n
	}
	return out
}

// runs reports whether p may be one of a run: an application's frames are all shown.
func (p *piece) runs() bool { return !p.folded && p.level < application }

func oneClass(a, b *leak.Frame) bool { return java(a) && java(b) && outer(a) == outer(b) }

// join makes one of folded pieces in a row.
func join(pieces []piece) []piece {
	var out []piece
	for _, p := range pieces {
		if n := len(out) - 1; n >= 0 && p.folded && out[n].folded {
			out[n].frames = append(slices.Clip(out[n].frames), p.frames...)
			continue
		}
		out = append(out, p)
	}
	return out
}

// middle is pieces, of which at most n are left: if there are more, all but the
// first ones and the last ones become one.
func middle(pieces []piece, n, last int) []piece {
	if len(pieces) <= n {
		return pieces
	}
	var between []leak.Frame
	for _, p := range pieces[n-last-1 : len(pieces)-last] {
		between = append(between, p.frames...)
	}
	out := append([]piece{}, pieces[:n-last-1]...)
	out = append(out, piece{frames: between, folded: true})
	return append(out, pieces[len(pieces)-last:]...)
}
