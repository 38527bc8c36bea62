package leak

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// tickPoint is the state of a space at one Tick.
type tickPoint struct {
	at                             int64
	mapped, committed, outstanding int64
	resident                       *uint64
}

// tick adds a point. When the series is full, every second point of its older
// three quarters goes: fine now, coarser with age.
func (s *Space) tick(now time.Time) {
	if len(s.series) >= s.ledger.opt.SeriesPoints {
		old := len(s.series) * 3 / 4
		kept := s.series[:0]
		for i, p := range s.series {
			if i >= old || i%2 == 0 {
				kept = append(kept, p)
			}
		}
		s.series = kept
	}
	at := now.UnixNano()
	if n := len(s.series); n > 0 && s.series[n-1].at >= at {
		return
	}
	s.series = append(s.series, tickPoint{at, s.mapped, s.committed, s.outstanding, s.resident})
	s.resident = nil
}

// maxThreadSeries bounds how many threads have a series of their own.
const maxThreadSeries = 64

// series writes the series of the process, of the pools and of the threads
// that hold most.
func (b *builder) series() {
	s := b.s
	proc := Series{By: "process", Key: s.p.Space, Points: []Point{}}
	for _, p := range s.series {
		m, c, o := uint64(max(p.mapped, 0)), uint64(max(p.committed, 0)), uint64(max(p.outstanding, 0))
		proc.Points = append(proc.Points, Point{At: b.unix(p.at), Mapped: &m, Committed: &c, Resident: p.resident, Outstanding: &o})
	}
	b.e.Series = append(b.e.Series, proc)
	for i := range b.e.Pools {
		name := b.e.Pools[i].Name
		b.e.Series = append(b.e.Series, b.of("pool", name, b.poolSamples(name)))
	}
	var top []int
	for i, t := range b.list {
		if t != nil && b.e.Threads[i].Committed > 0 {
			top = append(top, i)
		}
	}
	slices.SortStableFunc(top, func(x, y int) int { return cmp.Compare(b.e.Threads[y].Committed, b.e.Threads[x].Committed) })
	for _, i := range top[:min(len(top), maxThreadSeries)] {
		b.e.Series = append(b.e.Series, b.of("thread", strconv.Itoa(i), sum(b.list[i].tracks()...)))
	}
}

// of is samples as a series of at most as many points as the options say: the
// last ones whole, earlier ones thinned.
func (b *builder) of(by, key string, samples []sample) Series {
	out := Series{By: by, Key: key, Points: []Point{}}
	for limit := b.s.ledger.opt.SeriesPoints; len(samples) > limit; {
		old := len(samples) * 3 / 4
		var kept []sample
		for i, p := range samples {
			if i >= old || i%2 == 0 {
				kept = append(kept, p)
			}
		}
		samples = kept
	}
	for _, p := range samples {
		c, o := p.v, p.out
		out.Points = append(out.Points, Point{At: b.unix(p.at), Committed: &c, Outstanding: &o})
	}
	return out
}
