package leak

import (
	"cmp"
	"slices"
)

// cell is one stretch of time of a track: the least that was committed in it,
// and what was held at its end.
type cell struct {
	first, last int64 // nanoseconds since the Unix epoch, of changes
	lo, end     uint64
	out         uint64 // outstanding at the end
}

// track is how much one account had committed over time: exact while changes
// are few, then coarser with age. It is 0 before its first cell. What it
// forgets last is when the memory came that never went.
type track struct{ cells []cell }

const (
	trackCells = 192         // most cells of a track
	trackGrain = int64(10e6) // changes closer than 10 ms are one
)

// add says that from at on committed and out bytes are held. at must not be
// less than at the last add.
func (t *track) add(at int64, committed int64, out uint64) {
	v := uint64(max(committed, 0))
	if n := len(t.cells); n > 0 {
		c := &t.cells[n-1]
		if c.end == v && c.out == out {
			return
		}
		if at-c.first < trackGrain {
			c.last, c.lo, c.end, c.out = at, min(c.lo, v), v, out
			return
		}
		if n >= trackCells {
			t.compact(at)
		}
	}
	t.cells = append(t.cells, cell{at, at, v, v, out})
}

// floors is, for every cell, the least that was committed from its start on,
// and from its end on.
func (t *track) floors() (start, end []uint64) {
	start, end = make([]uint64, len(t.cells)), make([]uint64, len(t.cells))
	least := ^uint64(0)
	for i := len(t.cells) - 1; i >= 0; i-- {
		least = min(least, t.cells[i].end)
		end[i] = least
		least = min(least, t.cells[i].lo)
		start[i] = least
	}
	return start, end
}

// compact merges pairs of neighbours: those first that are short for their
// age and between which nothing came that stayed.
func (t *track) compact(now int64) {
	start, end := t.floors()
	n := len(t.cells)
	cost := make([]float64, n-1)
	for i := range cost {
		cost[i] = float64(t.cells[i+1].last-t.cells[i].first) / float64(now-t.cells[i].first+1)
		if start[i+1] > end[i] {
			cost[i]++
		}
	}
	sorted := slices.Clone(cost)
	slices.Sort(sorted)
	limit := sorted[len(sorted)/2]
	out := t.cells[:0]
	for i := 0; i < n; i++ {
		c := t.cells[i]
		if i+1 < n && cost[i] <= limit {
			d := t.cells[i+1]
			c = cell{c.first, d.last, min(c.lo, d.lo), d.end, d.out}
			i++
		}
		out = append(out, c)
	}
	t.cells = out
}

// sample is what was committed from at on.
type sample struct {
	at  int64
	v   uint64
	out uint64
}

// merge adds o, whose account is closed, to t.
func (t *track) merge(o *track) {
	all := sum(t, o)
	t.cells = t.cells[:0]
	for _, s := range all {
		t.add(s.at, int64(s.v), s.out)
	}
}

// sum is the samples of all tracks together, in order of time.
func sum(tracks ...*track) []sample {
	type change struct{ at, v, out int64 }
	n := 0
	for _, t := range tracks {
		n += 2 * len(t.cells)
	}
	changes := make([]change, 0, n)
	for _, t := range tracks {
		var v, out int64
		for _, c := range t.cells {
			at := c.first
			if c.lo != c.end {
				changes = append(changes, change{c.first, int64(c.lo) - v, 0})
				v, at = int64(c.lo), c.last
			}
			changes = append(changes, change{at, int64(c.end) - v, int64(c.out) - out})
			v, out = int64(c.end), int64(c.out)
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	samples := make([]sample, 0, len(changes))
	var v, out int64
	for i, c := range changes {
		v, out = v+c.v, out+c.out
		if i+1 < len(changes) && changes[i+1].at == c.at {
			continue
		}
		samples = append(samples, sample{c.at, uint64(max(v, 0)), uint64(max(out, 0))})
	}
	return samples
}
