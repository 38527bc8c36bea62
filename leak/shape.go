package leak

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// form is how a level behaves.
type form uint8

const (
	flat      form = iota // a plateau, single steps, or teeth with a flat floor
	steady                // it rises all the time
	staircase             // in bursts at similar intervals
	sawtooth              // it falls again and again, but less than it rose
)

// shape is the judgement of one level.
type shape struct {
	form
	verdict verdict
	growth  Growth
	steps   *Steps
	stairs  stairs
	since   int64   // when the growth began that is judged
	rises   int     // how many times it rose
	even    float64 // how evenly: 1 is perfectly
	teeth   int
}

// verdict is how sure it is that memory leaks.
type verdict uint8

const (
	healthy verdict = iota
	suspicious
	growing
	leaking
)

var verdictNames = [...]string{"", "suspicious", "growing", "leak"}

// demands is what growth must have to be believed.
type demands struct {
	rises  int   // for growing
	few    int   // for suspicious, 0 = never
	span   int64 // nanoseconds
	bytes  uint64
	stairs bool // steps tell
}

const (
	minBytes  = 1 << 20
	minWatch  = int64(5 * time.Second)  // of less nothing is said
	minSpan   = int64(4 * time.Second)  // for growing
	longSpan  = int64(15 * time.Second) // for suspicious
	leakSpan  = int64(50 * time.Second)
	leakRises = 30
	windows   = 6 // the whole time, its last half, quarter … 32nd
)

// judge finds the shape of the level l. extra is l without what each living thread
// got first, which is warm-up.
func judge(l, extra *level, d demands, since, now int64) shape {
	if now-since < minWatch || len(l.at) == 0 {
		return shape{}
	}
	up := extra.rises()
	if d.stairs {
		if s := stepwise(l.rises(), up, d, since, now); s.verdict > healthy {
			return s
		}
	}
	for w, from := 0, since; w < windows && now-from >= minWatch; w++ {
		if s := window(extra, up, d, from, since, now); s.verdict > healthy {
			return s
		}
		from = now - (now-from)/2
	}
	return shape{}
}

// stepwise judges steps: at least two of them more than what each thread got first.
func stepwise(all, up []rise, d demands, since, now int64) shape {
	st := findStairs(all, since, now)
	if st == nil {
		if st = findStairs(up, since, now); st == nil {
			return shape{}
		}
	}
	beyond, bytes := 0, uint64(0)
	for _, s := range st {
		for _, r := range up {
			if r.at >= s.start && r.at <= s.end {
				beyond, bytes = beyond+1, bytes+s.bytes
				break
			}
		}
	}
	g, steps := st.growth()
	if beyond < 2 || bytes < d.bytes || st[len(st)-1].end-st[0].start < d.span {
		return shape{}
	}
	period := time.Duration(steps.PeriodNS)
	s := shape{form: staircase, growth: g, steps: steps, stairs: st, since: st[0].start, rises: len(st), even: st.evenness()}
	made, kept := st.foretold(now)
	switch {
	case len(st) >= 5 && period >= 5*time.Second && 5*kept >= 3*made:
		s.verdict = leaking
	case period >= 10*time.Second || len(st) >= 5:
		s.verdict = growing
	}
	return s
}

// window judges what rose from an instant on.
func window(l *level, up []rise, d demands, from, since, now int64) shape {
	i, _ := slices.BinarySearchFunc(up, from, func(r rise, at int64) int { return cmp.Compare(r.at, at) })
	if turns := l.turns(from); len(turns) > 0 {
		if s := teeth(turns, d, from, now); s.verdict > healthy {
			return s
		}
		// After the last fall it must have risen for longer, and higher, than ever before one.
		last := turns[len(turns)-1]
		longest, highest, before := int64(0), uint64(0), from
		for _, t := range turns {
			longest, highest, before = max(longest, t.at-before), max(highest, t.peak), t.at
		}
		if now-last.at < 3*longest || l.v[len(l.v)-1] < 2*highest {
			return shape{}
		}
		i, _ = slices.BinarySearchFunc(up, last.at, func(r rise, at int64) int { return cmp.Compare(r.at, at) })
	}
	up = up[i:]
	if len(up) < 3 {
		return shape{}
	}
	s := shape{form: steady, since: up[0].at}
	e := weigh(up, now)
	s.rises, s.even = e.calls, e.even
	if e.bytes < d.bytes || e.span < d.span || !e.goesOn(now) {
		return shape{}
	}
	switch {
	case e.calls >= d.rises && e.weight >= float64(min(8, d.rises/2)) && e.steady():
		s.verdict = growing
		long := e.calls >= max(leakRises, d.rises) && e.span >= max(leakSpan, d.span) && e.weight >= 12
		if long && 4*(now-from) >= now-since {
			s.verdict = leaking
		}
	case d.few > 0 && e.calls >= d.few && e.weight >= 4.5 && e.span >= longSpan && e.bytes >= 2*d.bytes && e.steady(),
		d.few > 0 && e.regular && e.span >= longSpan && e.bytes >= 2*d.bytes:
		s.verdict = suspicious
	default:
		return shape{}
	}
	s.growth = slope(up, now)
	if !s.growth.Significant {
		return shape{}
	}
	return s
}

// teeth judges a level by where it stopped falling.
func teeth(turns []turn, d demands, from, now int64) shape {
	const few, many = 4, 7
	if n := len(turns); n > 12 {
		turns = turns[n-12:]
	}
	n := len(turns)
	if n < few {
		return shape{}
	}
	first, last := turns[0], turns[n-1]
	var up []float64
	var height, longest float64
	rates := make([]float64, 0, n)
	for i := 1; i < n; i++ {
		gap := turns[i].at - turns[i-1].at
		up = append(up, float64(turns[i].v)-float64(turns[i-1].v))
		rates = append(rates, up[i-1]/float64(gap)*float64(time.Hour))
		height += float64(turns[i].peak-turns[i].v) / float64(n-1)
		longest = max(longest, float64(gap))
	}
	rise := (float64(last.v) - float64(first.v)) / float64(n-1)
	least := slices.Min(up)
	even := rise / max(slices.Max(up), 1)
	if rise*float64(n-1) < float64(d.bytes) || least <= 0 || rise < height/20 || float64(now-last.at) > 2*longest || last.at-first.at < d.span {
		return shape{}
	}
	if even < 0.4 && n < many {
		return shape{}
	}
	rate, low, high := round(rise*float64(n-1)/float64(last.at-first.at)*float64(time.Hour)), round(slices.Min(rates)), round(slices.Max(rates))
	s := shape{form: sawtooth, verdict: growing, growth: Growth{&rate, &low, &high, true}, since: first.at, rises: n, even: even, teeth: n}
	if n >= many && even >= 0.4 {
		s.verdict = leaking
	}
	return s
}

// evidence is what a row of rises amounts to, the first of which only marks the beginning.
type evidence struct {
	bytes     uint64
	calls     int
	weight    float64 // how many equal rises would tell as much
	span      int64
	even      float64 // 1 less the most by which the rises run ahead of time
	occupied  float64 // share of equal parts of the time in which it rose
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
		squares += float64(r.bytes) * float64(r.bytes) / float64(r.calls)
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
	parts := min(10, max(3, distinct/2))
	seen := make([]bool, parts)
	var sum uint64
	for _, r := range up {
		u := float64(r.at-first) / float64(now-first+1)
		sum += r.bytes
		e.even = max(e.even, float64(sum)/float64(e.bytes)-u)
		seen[int(u*float64(parts))] = true
	}
	e.even = 1 - e.even
	for _, s := range seen {
		if s {
			e.occupied += 1 / float64(parts)
		}
	}
	if len(gaps) > 0 {
		e.max = slices.Max(gaps)
		e.mean = e.span / int64(len(gaps))
		e.regular = regular(up, gaps)
	}
	return e
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
	return e.occupied >= 0.7 && 1-e.even <= 0.2+0.4/math.Sqrt(max(e.weight, 1))
}

// goesOn reports whether another rise may be due: the quiet since the last one
// is not much longer than any before.
func (e *evidence) goesOn(now int64) bool {
	quiet := now - e.last
	return quiet <= max(5*e.mean, e.max*5/4) && quiet <= max((now-e.last+e.span)/3, int64(time.Second))
}
