package leak

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

const (
	chunk = 16_781_312
	mib   = 1 << 20
)

// storyStep is when, after its start, each of the eight chunks of a step of
// the story came.
var storyStep = []time.Duration{0, 2 * time.Second, 2700 * time.Millisecond, 4200 * time.Millisecond,
	4500 * time.Millisecond, 5100 * time.Millisecond, 8100 * time.Millisecond, 48 * time.Second}

const storyPeriod = 52 * time.Minute

// leaker maps without ever unmapping.
type leaker struct {
	*bench
	addr  uint64
	facts []ThreadFacts
}

func newLeaker(tb testing.TB, threads int) *leaker {
	l := &leaker{bench: newBench(tb, Options{}), addr: 0x7f0000000000}
	for i := range threads {
		name := fmt.Sprintf("WorkerPetalGroup-9-%d", i+1)
		l.facts = append(l.facts, ThreadFacts{Thread: tid(25893 + i), Comm: "WorkerPetalGrou", Name: &name, Alive: true})
	}
	return l
}

func (l *leaker) leak(i int, length uint64) {
	l.mmap(l.facts[i%len(l.facts)].Thread, l.addr, length, rw)
	l.addr += (length + 2*page) &^ (page - 1)
}

func TestTwelveStepsOfEightChunksAre147MiBAnHour(t *testing.T) {
	l := newLeaker(t, 8)
	const rate = 8 * chunk * float64(time.Hour) / float64(storyPeriod)
	for step := range 12 {
		for i, after := range storyStep {
			l.now = epoch.Add(time.Duration(step)*storyPeriod + after)
			l.leak(i, chunk)
			e := l.entry(l.facts...)
			g := e.Pools[0].Growth
			switch {
			case step < 2 && g.Significant:
				t.Fatalf("step %d, call %d: growth is %d per hour, want none before the third step", step+1, i+1, *g.PerHour)
			case step >= 2 && (!g.Significant || abs(float64(*g.PerHour)/rate-1) > 0.01):
				t.Fatalf("step %d, call %d: growth %+v, want %.0f", step+1, i+1, g, rate)
			}
		}
		l.now = epoch.Add(time.Duration(step)*storyPeriod + 40*time.Minute)
		if g := l.entry(l.facts...).Pools[0].Growth; g.Significant != (step >= 2) {
			t.Fatalf("between steps %d and %d: growth %+v", step+1, step+2, g)
		}
	}
	e := l.entry(l.facts...)
	p := e.Pools[0]
	if p.Name != "WorkerPetalGroup-9-#" || p.Threads != 8 || p.Mappings != 96 || p.Outstanding != 1_611_005_952 || p.Released != 0 {
		t.Errorf("pool: %+v", p)
	}
	if p.Steps == nil || p.Steps.Count != 12 || p.Steps.Bytes != 8*chunk || time.Duration(p.Steps.PeriodNS).Round(time.Minute) != storyPeriod {
		t.Errorf("steps: %+v", p.Steps)
	}
	if mibs := *p.Growth.PerHour / mib; mibs < 146 || mibs > 148 {
		t.Errorf("%d MiB/h", mibs)
	}
	for i, th := range e.Threads {
		if th.Mappings != 12 || th.Growth == nil || abs(float64(*th.Growth)*8/rate-1) > 0.02 {
			t.Errorf("thread %d: %+v", i, th)
		}
	}
	if e.Floor != nil {
		t.Errorf("a floor although it grows: %+v", e.Floor)
	}
}

func abs(f float64) float64 { return max(f, -f) }

// judge runs step every interval until the end and returns the growth of the pool.
func (l *leaker) judge(interval, until time.Duration, step func(i int)) Growth {
	for i := 0; ; i++ {
		at := time.Duration(i) * interval
		if at > until {
			break
		}
		l.now = epoch.Add(at)
		step(i)
	}
	l.now = epoch.Add(until)
	e := l.entry(l.facts...)
	if len(e.Pools) == 0 {
		return Growth{}
	}
	return e.Pools[0].Growth
}

func TestGrowthIsTold(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(l *leaker, i int) { // maps and unmaps at once
		l.mmap(l.facts[0].Thread, 0x1000000, 32*mib, rw)
		l.now = l.now.Add(20 * time.Millisecond)
		l.munmap(l.facts[0].Thread, 0x1000000, 32*mib)
	}
	tests := []struct {
		name            string
		interval, until time.Duration
		step            func(l *leaker, i int)
		want            float64 // bytes per hour, 0 = none
		within          float64
	}{
		{"a mapping every second, steadily", time.Second, 10 * time.Minute,
			func(l *leaker, i int) { l.leak(i, mib) }, 3600 * mib, 0.03},
		{"at random intervals", 100 * time.Millisecond, 10 * time.Minute, func(l *leaker, i int) {
			if rng.IntN(30) == 0 {
				l.leak(i, mib)
			}
		}, 1200 * mib, 0.25},
		{"a mapping every second among transient ones", time.Second, 10 * time.Minute, func(l *leaker, i int) {
			noise(l, i)
			l.leak(i, mib)
		}, 3600 * mib, 0.05},
		{"ten thousand transients in between", 100 * time.Millisecond, 20 * time.Minute, func(l *leaker, i int) {
			noise(l, i)
			if i%1200 == 600 {
				l.leak(i, 8*mib)
			}
		}, 8 * 30 * mib, 0.1},
		{"transient mappings only", 100 * time.Millisecond, 5 * time.Minute, func(l *leaker, i int) { noise(l, i) }, 0, 0},
		{"one burst at the start", 100 * time.Millisecond, 10 * time.Minute, func(l *leaker, i int) {
			if i < 50 {
				l.leak(i, mib)
			}
		}, 0, 0},
		{"one burst at the end", 100 * time.Millisecond, 10 * time.Minute, func(l *leaker, i int) {
			if i > 5950 {
				l.leak(i, mib)
			}
		}, 0, 0},
		{"a cache that fills and stops", time.Second, 10 * time.Minute, func(l *leaker, i int) {
			if i < 180 {
				l.leak(i, mib)
			}
		}, 0, 0},
		{"steps that stopped long ago", time.Second, 60 * time.Minute, func(l *leaker, i int) {
			if i%120 == 0 && i < 720 {
				l.leak(i, 8*mib)
			}
		}, 0, 0},
		{"two steps", time.Second, 20 * time.Minute, func(l *leaker, i int) {
			if i == 100 || i == 700 {
				for j := range 8 {
					l.leak(j, mib)
				}
			}
		}, 0, 0},
		{"three steps late in a long quiet", time.Second, 100 * time.Minute, func(l *leaker, i int) {
			if i == 4000 || i == 4800 || i == 5600 {
				for j := range 8 {
					l.leak(j, mib)
					l.now = l.now.Add(50 * time.Millisecond)
				}
			}
		}, 8 * 4.5 * mib, 0.02},
		{"too short to judge", time.Second, 20 * time.Second, func(l *leaker, i int) { l.leak(i, mib) }, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLeaker(t, 8)
			g := l.judge(tt.interval, tt.until, func(i int) { tt.step(l, i) })
			switch {
			case tt.want == 0 && g.Significant:
				t.Errorf("growth is %d per hour, want none", *g.PerHour)
			case tt.want != 0 && !g.Significant:
				t.Errorf("no growth is seen, want %.0f per hour", tt.want)
			case tt.want != 0 && abs(float64(*g.PerHour)/tt.want-1) > tt.within:
				t.Errorf("growth is %d per hour, want %.0f", *g.PerHour, tt.want)
			case tt.want != 0 && (*g.Low > *g.PerHour || *g.High < *g.PerHour):
				t.Errorf("growth %d is not within %d and %d", *g.PerHour, *g.Low, *g.High)
			}
		})
	}
}

func TestAPoolOfShortLivedThreadsHasNotGrown(t *testing.T) {
	l := newLeaker(t, 1)
	for i := range 100 {
		name := fmt.Sprintf("worker-%d", i)
		f := ThreadFacts{Thread: tid(i + 1), Name: &name, Alive: true}
		l.now = epoch.Add(time.Duration(i) * 10 * time.Second)
		l.mmap(f.Thread, uint64(i+1)<<32, 64*mib, rw)
		if i > 0 {
			l.munmap(tid(i), uint64(i)<<32, 64*mib)
		}
		e := l.entry(f)
		if g := e.Pools[0].Growth; g.Significant {
			t.Fatalf("thread %d: growth %d", i, *g.PerHour)
		}
	}
}

func TestWithoutGrowthTheFloorIsTold(t *testing.T) {
	l := newLeaker(t, 1)
	l.now = epoch.Add(10 * time.Minute)
	f := l.entry().Floor
	if f == nil || f.GrowthPerHour != 96*mib || f.WatchedNS != int64(10*time.Minute) {
		t.Errorf("floor is %+v, want 96 MiB/h in 10 min", f)
	}
}

func TestATrackStaysSmallAndKeepsItsSteps(t *testing.T) {
	var tr track
	var v int64
	for i := range int64(200_000) {
		if i%20_000 == 0 {
			v += 100 * mib
		}
		tr.add(i*int64(50*time.Millisecond), v+int64(i%2)*mib, 0)
		if len(tr.cells) > trackCells {
			t.Fatalf("%d cells", len(tr.cells))
		}
	}
	up := rises(sum(&tr))
	if len(up) < 10 {
		t.Fatalf("rises: %v", up)
	}
	big := 0
	for _, r := range up {
		if r.bytes >= 99*mib {
			big++
		}
	}
	if big < 9 {
		t.Errorf("of 10 steps %d are left: %v", big, up)
	}
}

func TestPoolsAreNamedByTheirCounters(t *testing.T) {
	for name, want := range map[string]string{
		"WorkerPetalGroup-9-5": "WorkerPetalGroup-9-#", "main": "main", "GC Thread#12": "GC Thread#", "C2 CompilerThread0": "C2 CompilerThread#",
		"": "", "7": "#", "http-nio-8080-exec-3": "http-nio-8080-exec-#",
	} {
		if got := PoolOf(name); got != want {
			t.Errorf("%q is of pool %q, want %q", name, got, want)
		}
	}
}
