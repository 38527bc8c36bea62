package leak

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// rise is memory that came at one instant and has not gone since.
type rise struct {
	at    int64
	bytes uint64
	calls uint64 // of which it is made, where that is known
}

// rises is when the memory came that is still there: the increments of the
// least that was held from an instant on. What came and went leaves no trace.
func rises(samples []sample) []rise {
	floor := make([]uint64, len(samples))
	least := ^uint64(0)
	for i := len(samples) - 1; i >= 0; i-- {
		least = min(least, samples[i].v)
		floor[i] = least
	}
	var out []rise
	var before uint64
	for i, s := range samples {
		if floor[i] > before {
			out = append(out, rise{at: s.at, bytes: floor[i] - before})
			before = floor[i]
		}
	}
	return out
}

// growth judges what grew between since and now: whole steps if there are at
// least three, else a slope if it has settled, else nothing. A rate is never
// taken from one burst of calls, nor from the quiet between two.
func growth(samples []sample, since, now int64, warmup time.Duration) (Growth, *Steps) {
	if now-since < int64(warmup) {
		return Growth{}, nil
	}
	up := rises(samples)
	if stairs := findStairs(up, since, now); stairs != nil {
		return stairs.growth()
	}
	return slope(up, since, now), nil
}

// stair is one step: rises close together.
type stair struct {
	start, end int64
	bytes      uint64
	rises      int
}

type stairs []stair

const (
	minSteps = 3
	maxSteps = 100 // more are a slope
)

// findStairs groups up into steps, nil where they are fewer than three, do
// not come regularly or have stopped.
func findStairs(up []rise, since, now int64) stairs {
	up = withoutSpecks(up)
	if len(up) < minSteps {
		return nil
	}
	if gap := cut(up); gap > 0 {
		if st := bursts(up, gap); st.regular() && st.goesOn(now) {
			return st
		}
	}
	// Every rise a step of its own: not if they may be the inside of one burst.
	st := bursts(up, 0)
	span := st[len(st)-1].start - st[0].start
	wide := span >= (now-since)/3 || len(st) >= 8 && span >= int64(10*time.Minute)
	many := len(st) >= 6 || span >= int64(len(st)-1)*int64(time.Minute)
	if wide && many && st.regular() && st.goesOn(now) {
		return st
	}
	return nil
}

// withoutSpecks drops the rises that are tiny beside the largest, if they
// matter little together.
func withoutSpecks(up []rise) []rise {
	var most, total, kept uint64
	for _, r := range up {
		most, total = max(most, r.bytes), total+r.bytes
	}
	var out []rise
	for _, r := range up {
		if r.bytes >= most/64 {
			out, kept = append(out, r), kept+r.bytes
		}
	}
	if kept < total/10*9 {
		return up
	}
	return out
}

// cut is the length of gap, in nanoseconds, that tells gaps between bursts
// from gaps within: where sorted gaps jump the most, by five times at least,
// with two gaps or more above. 0 if there is no such jump.
func cut(up []rise) int64 {
	gaps := make([]int64, len(up)-1)
	for i := range gaps {
		gaps[i] = up[i+1].at - up[i].at
	}
	slices.Sort(gaps)
	least := max((up[len(up)-1].at-up[0].at)/1000, int64(50*time.Millisecond))
	best, at := 5.0, int64(0)
	for k := 1; k <= len(gaps)-(minSteps-1); k++ {
		below := max(gaps[k-1], least)
		if jump := float64(gaps[k]) / float64(below); jump >= best {
			best, at = jump, gaps[k]
		}
	}
	return at
}

// bursts makes steps of rises that are less than gap apart.
func bursts(up []rise, gap int64) stairs {
	var st stairs
	for i, r := range up {
		if i == 0 || r.at-up[i-1].at >= gap {
			st = append(st, stair{start: r.at})
		}
		s := &st[len(st)-1]
		s.end = r.at
		s.rises++
		s.bytes += r.bytes
	}
	return st
}

// regular reports whether steps come at similar intervals, much longer than
// they take, and do not dwindle.
func (st stairs) regular() bool {
	if len(st) < minSteps || len(st) > maxSteps {
		return false
	}
	gaps := st.gaps()
	slices.Sort(gaps)
	least, middle, most := gaps[0], gaps[len(gaps)/2], gaps[len(gaps)-1]
	if middle < int64(time.Second) || most > 3*middle || most > 9*least {
		return false
	}
	for _, s := range st {
		if 3*(s.end-s.start) > least {
			return false
		}
	}
	whole := st[:len(st)-1] // the last may have just begun
	early, late := whole[:len(whole)/2], whole[len(whole)/2:]
	return late.mean() >= early.mean()/4 && (len(st) > 4 || late.mean() <= 4*early.mean())
}

// goesOn reports whether another step may still come: the quiet since the
// last one is not much longer than any before.
func (st stairs) goesOn(now int64) bool {
	return now-st[len(st)-1].start <= 2*slices.Max(st.gaps())
}

// gaps is the time from start to start.
func (st stairs) gaps() []int64 {
	gaps := make([]int64, len(st)-1)
	for i := range gaps {
		gaps[i] = st[i+1].start - st[i].start
	}
	return gaps
}

func (st stairs) mean() uint64 {
	var total uint64
	for _, s := range st {
		total += s.bytes
	}
	return total / uint64(max(len(st), 1))
}

// growth is the rate over whole steps: the bytes of all but the last, over the
// time from the first start to the last.
func (st stairs) growth() (Growth, *Steps) {
	n := len(st) - 1
	var bytes uint64
	rates := make([]float64, n)
	sizes := make([]uint64, n)
	gaps := st.gaps()
	for i, s := range st[:n] {
		bytes += s.bytes
		sizes[i] = s.bytes
		rates[i] = perHour(s.bytes, gaps[i])
	}
	slices.Sort(sizes)
	span := st[n].start - st[0].start
	rate := round(perHour(bytes, span))
	low, high := round(slices.Min(rates)), round(slices.Max(rates))
	return Growth{&rate, &low, &high, true},
		&Steps{Count: len(st), Bytes: sizes[n/2], PeriodNS: span / int64(n)}
}

// slope is the Theil-Sen slope of what grew since the start, if it has
// settled: every third of the time saw growth, and the last one no less than a
// fifth of the mean.
func slope(up []rise, since, now int64) Growth {
	const grid, apart, minRises = 32, 10, 6
	if len(up) < minRises {
		return Growth{}
	}
	var at, v [grid]float64
	var total uint64
	for i, k := 0, 0; i < grid; i++ {
		t := since + int64(float64(now-since)*float64(i)/(grid-1))
		for ; k < len(up) && up[k].at <= t; k++ {
			total += up[k].bytes
		}
		at[i], v[i] = float64(t-since), float64(total)
	}
	mean := (v[grid-1] - v[0]) / 3
	third := [4]int{0, grid / 3, 2 * grid / 3, grid - 1}
	for i := range 3 {
		if v[third[i+1]]-v[third[i]] < mean/5 || mean <= 0 {
			return Growth{}
		}
	}
	var all, far []float64
	for i := range grid {
		for j := i + 1; j < grid; j++ {
			s := (v[j] - v[i]) / (at[j] - at[i]) * float64(time.Hour)
			all = append(all, s)
			if j-i >= apart {
				far = append(far, s)
			}
		}
	}
	slices.SortFunc(all, cmp.Compare)
	slices.SortFunc(far, cmp.Compare)
	rate, low, high := round(all[len(all)/2]), round(far[len(far)/20]), round(far[len(far)-1-len(far)/20])
	if low <= 0 || rate <= 0 {
		return Growth{}
	}
	return Growth{&rate, &low, &high, true}
}

func perHour(bytes uint64, ns int64) float64 {
	return float64(bytes) / float64(max(ns, 1)) * float64(time.Hour)
}

func round(f float64) int64 { return int64(math.Round(f)) }
