package leak

import (
	"math"
	"slices"
	"time"
)

// evidence is what a row of rises amounts to, the first of which only marks the beginning.
type evidence struct {
	bytes     uint64
	calls     int
	weight    float64 // how many equal rises would tell as much
	span      int64
	early     float64 // the most by which the rises run ahead of time: 0 is steadily, 1 all at once
	occupied  float64 // share of equal parts of the time in which it rose
	vary      float64 // of the bytes of an eighth of the time: deviation over mean
	mean, max int64   // gaps
	last      int64
	regular   bool // few, but of one size and at one interval
}

// weigh sums up, which has three rises at least, until now.
func weigh(up []rise, now int64) evidence {
	var e evidence
	first := up[0].at
	up = up[1:]
	var squares float64
	apart := max((now-first)/200, 1)
	distinct, prev := 0, first
	var gaps []int64
	for _, r := range up {
		e.bytes += r.bytes
		squares += float64(r.bytes) * float64(r.bytes) / float64(max(r.calls, 1))
		e.calls += int(min(r.calls, 1<<20))
		if gap := r.at - prev; gap >= apart {
			distinct++
			gaps = append(gaps, gap)
			prev = r.at
		}
	}
	e.weight = float64(e.bytes) * float64(e.bytes) / max(squares, 1)
	e.last = up[len(up)-1].at
	e.span = e.last - first
	e.spread(up, first, now, min(10, max(3, distinct/2)))
	if len(gaps) > 0 {
		e.max = slices.Max(gaps)
		e.mean = e.span / int64(len(gaps))
		e.regular = regular(up, gaps)
	}
	return e
}

// spread sees how the rises lie in the time from first to now.
func (e *evidence) spread(up []rise, first, now int64, parts int) {
	seen := make([]bool, parts)
	var eighth [8]float64
	var sum uint64
	for _, r := range up {
		u := float64(r.at-first) / float64(now-first+1)
		sum += r.bytes
		e.early = max(e.early, float64(sum)/float64(e.bytes)-u)
		seen[int(u*float64(parts))] = true
		eighth[min(int(float64(r.at-first)/float64(max(e.span, 1))*8), 7)] += float64(r.bytes)
	}
	for _, s := range seen {
		if s {
			e.occupied += 1 / float64(parts)
		}
	}
	mean := float64(e.bytes) / 8
	for _, v := range eighth {
		e.vary += (v - mean) * (v - mean) / 8
	}
	e.vary = math.Sqrt(e.vary) / mean
}

// regular reports whether few rises are too much alike to be chance.
func regular(up []rise, gaps []int64) bool {
	if len(gaps) < 2 || len(gaps) != len(up) {
		return false
	}
	least, most := up[0].bytes, up[0].bytes
	for _, r := range up {
		least, most = min(least, r.bytes), max(most, r.bytes)
	}
	ratio := 1.1 // of three: chance would do it once in 20 times
	switch {
	case len(gaps) >= 4:
		ratio = 1.6
	case len(gaps) == 3:
		ratio = 1.35
	}
	return float64(most) <= 1.5*float64(least) && float64(slices.Max(gaps)) <= ratio*float64(slices.Min(gaps))
}

// steady reports whether it rises all the time and not ever less.
func (e *evidence) steady() bool {
	return e.occupied >= 0.7 && e.early <= 0.2+0.4/math.Sqrt(max(e.weight, 1))
}

// goesOn reports whether another rise may be due: the quiet since the last one
// is not much longer than any before.
func (e *evidence) goesOn(now int64) bool {
	quiet := now - e.last
	return quiet <= max(5*e.mean, e.max*5/4) && quiet <= max(e.span/2, int64(time.Second))
}

// growth is the rate with what chance alone could have made of it.
func (e *evidence) growth(rate float64) Growth {
	const grid = 8
	if e.span <= 0 || rate <= 0 {
		return Growth{}
	}
	share := 2 / math.Sqrt(max(e.weight, 1))
	if e.calls >= 2*grid {
		share = min(share, 2*e.vary/math.Sqrt(grid))
	}
	share = min(max(share, 0.01), 0.9)
	per, low, high := round(rate), round(rate*(1-share)), round(rate*(1+share))
	return Growth{&per, &low, &high, true}
}
