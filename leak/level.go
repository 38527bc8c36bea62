package leak

import (
	"cmp"
	"slices"
	"time"
)

// level is what a candidate held over time, made of what was sampled and of
// when the memory came that is still there. Both are less than the truth: the samples
// where memory was not yet known to be of this kind, the arrivals by what has gone.
type level struct {
	at []int64
	v  []uint64 // committed bytes from at on
	n  []uint64 // calls that held them

	here []sample // of it, what is still here
}

// maxArrivals bounds the instants of arrivals in a level; more are put together.
const maxArrivals = 2048

// levelOf is the level of groups together. gone is what went of the same kind
// and is from before the trace: what merely replaces it is no growth.
func levelOf(groups []*group, arrivals []arrival, gone []*track, now int64) level {
	var levels, calls []*track
	for _, g := range groups {
		levels, calls = append(levels, &g.level), append(calls, &g.calls)
	}
	held, counted, went := sum(levels...), sum(calls...), sum(gone...)
	slices.SortFunc(arrivals, func(x, y arrival) int { return cmp.Compare(x.at, y.at) })
	came := thin(arrivals, now)

	l := level{here: came}
	var h, c, w, a, n uint64
	for len(held)+len(counted)+len(went)+len(came) > 0 {
		at := int64(1<<63 - 1)
		for _, s := range [...][]sample{held, counted, went, came} {
			if len(s) > 0 {
				at = min(at, s[0].at)
			}
		}
		if len(held) > 0 && held[0].at == at {
			h, held = held[0].v, held[1:]
		}
		if len(counted) > 0 && counted[0].at == at {
			c, counted = counted[0].v, counted[1:]
		}
		if len(went) > 0 && went[0].at == at {
			w, went = went[0].v, went[1:]
		}
		if len(came) > 0 && came[0].at == at {
			a, n, came = came[0].v, came[0].out, came[1:]
		}
		v := max(h, a)
		l.at, l.v, l.n = append(l.at, at), append(l.v, v-min(v, w)), append(l.n, max(c, n))
	}
	return l
}

// thin is arrivals, in order, as sums: v bytes of out calls were there from at on.
func thin(arrivals []arrival, now int64) []sample {
	var grain int64
	if n := len(arrivals); n > maxArrivals {
		grain = (now - arrivals[0].at) / maxArrivals
	}
	var out []sample
	var v, n uint64
	for _, a := range arrivals {
		v, n = v+a.bytes, n+1
		if k := len(out) - 1; k >= 0 && a.at-out[k].at <= grain {
			out[k].v, out[k].out = v, n
			continue
		}
		out = append(out, sample{a.at, v, n})
	}
	return out
}

// without is l less what came by arrivals, in order.
func (l *level) without(arrivals []arrival) level {
	out := level{l.at, make([]uint64, len(l.v)), make([]uint64, len(l.n)), l.here}
	var v, n uint64
	k := 0
	for i, at := range l.at {
		for ; k < len(arrivals) && arrivals[k].at <= at; k++ {
			v, n = v+arrivals[k].bytes, n+1
		}
		out.v[i], out.n[i] = l.v[i]-min(v, l.v[i]), l.n[i]-min(n, l.n[i])
	}
	return out
}

// rises is when what is held came: the increments of the least that was held from
// an instant on, and of the calls.
func (l *level) rises() []rise {
	floor := make([]uint64, len(l.v))
	least := ^uint64(0)
	for i := len(l.v) - 1; i >= 0; i-- {
		least = min(least, l.v[i])
		floor[i] = least
	}
	var out []rise
	var before, calls uint64
	for i := range l.at {
		if floor[i] <= before {
			continue
		}
		n := l.n[i] - min(calls, l.n[i])
		calls = max(calls, l.n[i])
		out = append(out, rise{at: l.at[i], bytes: floor[i] - before, calls: max(n, 1)})
		before = floor[i]
	}
	return out
}

// before is what was held at an instant.
func (l *level) before(at int64) uint64 {
	i, found := slices.BinarySearch(l.at, at)
	if !found {
		i--
	}
	if i < 0 {
		return 0
	}
	return l.v[i]
}

// turn is where a level stopped falling.
type turn struct {
	at   int64
	v    uint64
	peak uint64 // the most held before it, since the last turn
}

// turns is where l fell by a quarter of its range or more, and rose again.
func (l *level) turns(since int64) []turn {
	var low, high uint64 = ^uint64(0), 0
	for i, v := range l.v {
		if l.at[i] >= since {
			low, high = min(low, v), max(high, v)
		}
	}
	if high == 0 || low > high {
		return nil
	}
	least := max((high-low)/4, minBytes/4)
	var out []turn
	var peak, bottom uint64
	var at int64
	falling := false
	for i, v := range l.v {
		if l.at[i] < since {
			continue
		}
		switch {
		case !falling:
			peak = max(peak, v)
			if peak-v >= least {
				falling, bottom, at = true, v, l.at[i]
			}
		case v < bottom:
			bottom, at = v, l.at[i]
		case v-bottom >= least:
			out = append(out, turn{at, bottom, peak})
			falling, peak = false, v
		}
	}
	if falling {
		out = append(out, turn{at, bottom, peak})
	}
	return out
}

// survives is which share of what was held half-way since an instant is still
// here, 1 where that is not known.
func (l *level) survives(since, now int64) float64 {
	then := since + (now-since)/2
	held := l.before(then)
	if held == 0 || len(l.here) == 0 || 2*l.here[len(l.here)-1].v < l.v[len(l.v)-1] {
		return 1
	}
	i, found := slices.BinarySearchFunc(l.here, then, func(s sample, at int64) int { return cmp.Compare(s.at, at) })
	if !found {
		i--
	}
	if i < 0 {
		return 0
	}
	return min(float64(l.here[i].v)/float64(held), 1)
}

// drawdown is the most by which l ever fell below what it had been, from an instant on.
func (l *level) drawdown(since int64) uint64 {
	var peak, most uint64
	for i, v := range l.v {
		if l.at[i] >= since {
			peak = max(peak, v)
			most = max(most, peak-v)
		}
	}
	return most
}

// settled is a rate of rises in which what is held for a moment only, which has
// risen by now too, does not count: no more than the trend, where l also falls.
func (l *level) settled(rate float64, since, now int64) float64 {
	if l.drawdown(since) == 0 {
		return rate
	}
	return min(rate, l.trend(since, now))
}

// trend is the slope of l, in bytes per hour, by least squares.
func (l *level) trend(since, now int64) float64 {
	const grid = 64
	var up, across float64
	for i := range grid {
		x := float64(2*i-grid+1) / 2
		at := since + int64(float64(now-since)*float64(i)/(grid-1))
		up += x * float64(l.before(at))
		across += x * x
	}
	return up / across * (grid - 1) / float64(max(now-since, 1)) * float64(time.Hour)
}
