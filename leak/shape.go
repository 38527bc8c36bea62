package leak

import (
	"cmp"
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

var verdictNames = [...]string{"", VerdictSuspicious, VerdictGrowing, VerdictLeak}

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
	turns := extra.turns(since)
	if d.stairs && (len(turns) == 0 || outgrown(extra, turns, since, now)) {
		if s := stepwise(l, up, d, since, now); s.verdict > healthy {
			return s
		}
	}
	for w, from := 0, since; w < windows && now-from >= minWatch; w++ {
		if s := window(extra, turns, up, d, from, since, now); s.verdict > healthy {
			return s
		}
		from = now - (now-from)/2
	}
	return shape{}
}

// stepwise judges steps: at least two of them more than what each thread got first.
func stepwise(l *level, up []rise, d demands, since, now int64) shape {
	all := l.rises()
	st := findStairs(all, since, now)
	if st == nil {
		st = findStairs(up, since, now)
	}
	if st == nil || !st.alike() {
		if st = singles(all, now); st == nil {
			return shape{}
		}
	}
	if len(st) < 8 && l.survives(st[0].start, now) < 0.5 {
		return shape{}
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
	if beyond < 2 || bytes < max(d.bytes, 2*l.drawdown(st[0].start)) || st[len(st)-1].end-st[0].start < max(d.span, longSpan) {
		return shape{}
	}
	if len(st) >= 8 {
		*g.PerHour = max(*g.Low, round(l.settled(float64(*g.PerHour), st[0].start, now)))
	}
	period := time.Duration(steps.PeriodNS)
	s := shape{form: staircase, growth: g, steps: steps, stairs: st, since: st[0].start, rises: len(st), even: st.evenness()}
	made, kept := st.foretold(now)
	switch {
	case made >= 3 && 2*kept < made: // they come as they like
	case (len(st) >= 5 && period >= 5*time.Second || len(st) >= leakRises && st[len(st)-1].end-st[0].start >= leakSpan) && 5*kept >= 3*made:
		s.verdict = leaking
	case len(st) >= 6 || st.bursty() && period >= 5*time.Second:
		s.verdict = growing
	case bytes >= 4*d.bytes:
		s.verdict = suspicious
	}
	return s
}

// bursty reports whether every step is made of several rises.
func (st stairs) bursty() bool {
	for _, s := range st[:len(st)-1] {
		if s.rises < 2 {
			return false
		}
	}
	return true
}

// alike reports whether few steps are too much alike to be chance.
func (st stairs) alike() bool {
	ratio := 9.0
	switch n := len(st); {
	case st.bursty() && n == 3:
		ratio = 1.5
	case st.bursty() && n == 4:
		ratio = 2
	case st.bursty() || n >= 8:
	case n == 3:
		ratio = 1.1 // chance would do it once in 20 times
	case n == 4:
		ratio = 1.35
	default:
		ratio = 1.6
	}
	gaps := st.gaps()
	return float64(slices.Max(gaps)) <= ratio*float64(slices.Min(gaps))
}

// singles is rises as steps of their own, if they are too much alike to be
// chance and go on.
func singles(up []rise, now int64) stairs {
	if len(up) < minSteps || len(up) > maxSteps {
		return nil
	}
	st := bursts(up, 0)
	least, most := up[0].bytes, up[0].bytes
	for _, r := range up {
		least, most = min(least, r.bytes), max(most, r.bytes)
	}
	if 2*most > 3*least || !st.alike() || !st.goesOn(now) {
		return nil
	}
	return st
}

// window judges what rose from an instant on.
func window(l *level, all []turn, up []rise, d demands, from, since, now int64) shape {
	start := from
	if turns := l.turns(from); len(turns) > 0 {
		if s := teeth(turns, d, now); s.verdict > healthy {
			return s
		}
		all = turns
	}
	if len(all) > 0 {
		if !outgrown(l, all, since, now) {
			return shape{}
		}
		start = max(start, all[len(all)-1].at)
	}
	i, _ := slices.BinarySearchFunc(up, start, func(r rise, at int64) int { return cmp.Compare(r.at, at) })
	if start > since && slows(up, start, now) {
		return shape{}
	}
	up = up[i:]
	if len(up) < 3 {
		return shape{}
	}
	s := shape{form: steady, since: up[0].at}
	e := weigh(up, now)
	s.rises, s.even = e.calls, 1-e.early
	if e.bytes < max(d.bytes, 2*l.drawdown(s.since)) || e.span < d.span || !e.goesOn(now) {
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
	s.growth = e.growth(l.settled(perHour(e.bytes, max(e.span, 1)), s.since, now))
	if !s.growth.Significant {
		return shape{}
	}
	return s
}

// outgrown reports whether l rose after its last fall for longer, and higher,
// than ever before one.
func outgrown(l *level, turns []turn, since, now int64) bool {
	last := turns[len(turns)-1]
	var longest int64
	var highest, floor uint64
	before := since
	for _, t := range turns {
		longest, highest = max(longest, t.at-before), max(highest, t.peak-min(floor, t.peak))
		before, floor = t.at, t.v
	}
	grown := l.v[len(l.v)-1] - min(last.v, l.v[len(l.v)-1])
	return now-last.at >= 8*longest || now-last.at >= 3*longest && 2*grown >= 3*highest
}

// slows reports whether up rose much faster before an instant than since: then
// it is about to stop. One burst does not count.
func slows(up []rise, from, now int64) bool {
	const parts = 16
	var before [parts]float64
	var since float64
	if len(up) == 0 || from <= up[0].at {
		return false
	}
	first := up[0].at
	for _, r := range up {
		if r.at >= from {
			since += float64(r.bytes)
			continue
		}
		before[min(int(float64(r.at-first)/float64(from-first)*parts), parts-1)] += float64(r.bytes)
	}
	slices.Sort(before[:])
	usual := before[parts/2] * parts / float64(from-first)
	return since/float64(now-from) < 0.7*usual
}

// teeth judges a level by where it stopped falling.
func teeth(turns []turn, d demands, now int64) shape {
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
