package leak

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

// scenes are programs. A leak must be told, as sure as said, from its time on; a
// control never, but for the time in which it cannot be told from one.
var scenes = []struct {
	name  string
	play  func(s *sim)
	until time.Duration
	every time.Duration // between judgements, 0 = 5 s or more
	told  map[time.Duration]string
	quiet []time.Duration // no suspect from the first of a pair to the second; nil: never one
	rate  float64         // bytes per hour at the end, 0 = not asked
	pool  string
}{
	{name: "steady: a mapping every 300 ms", until: 10 * time.Minute, rate: 12000 * mib, pool: "worker-#",
		told: map[time.Duration]string{8 * time.Second: "growing", 20 * time.Second: "growing", 61 * time.Second: "leak", 10 * time.Minute: "leak"},
		play: func(s *sim) {
			p := s.pool("worker", 4)
			s.with("java.nio.ByteBuffer.allocateDirect(int)", "app.Mail.read()")
			s.every(300*time.Millisecond, 0.2, func(i int) { s.get(p[i%4], mib) })
		}},
	{name: "10 MiB a minute, one by one at random", until: 10 * time.Minute, pool: "worker-#",
		told: map[time.Duration]string{60 * time.Second: "suspicious", 10 * time.Minute: "leak"},
		play: func(s *sim) {
			p := s.pool("worker", 1)
			s.every(1500*time.Millisecond, 1, func(int) { s.get(p[0], 256<<10) })
		}},
	{name: "10 MiB a minute, 1 MiB each", until: 10 * time.Minute, rate: 600 * mib, pool: "worker-#",
		told: map[time.Duration]string{60 * time.Second: "suspicious", 10 * time.Minute: "leak"},
		play: func(s *sim) {
			p := s.pool("worker", 1)
			s.every(6*time.Second, 0.1, func(int) { s.get(p[0], mib) })
		}},
	{name: "12 MiB a minute, 4 MiB each", until: 10 * time.Minute, rate: 720 * mib,
		told: map[time.Duration]string{66 * time.Second: "suspicious", 10 * time.Minute: "leak"},
		play: func(s *sim) {
			p := s.pool("worker", 1)
			s.every(20*time.Second, 0.01, func(int) { s.get(p[0], 4*mib) })
		}},
	{name: "a staircase of eight chunks every 10 s", until: 5 * time.Minute, pool: "io-#", rate: 8 * 360 * chunk,
		told: map[time.Duration]string{35 * time.Second: "growing", 60 * time.Second: "leak", 5 * time.Minute: "leak"},
		play: func(s *sim) {
			p := s.pool("io", 8)
			s.every(10*time.Second, 0.1, func(int) {
				for i, t := range p {
					s.in(time.Duration(i)*100*time.Millisecond, func() { s.get(t, chunk) })
				}
			})
		}},
	{name: "64 KiB steps in an arena", until: 5 * time.Minute, pool: "leak-inflater",
		told: map[time.Duration]string{8 * time.Second: "growing", 20 * time.Second: "growing", 5 * time.Minute: "leak"},
		play: func(s *sim) {
			grow := s.arena(s.thread("leak-inflater"))
			s.every(200*time.Millisecond, 0.3, func(int) { grow(64 << 10) })
		}},
	{name: "a leak among transient ones of the same size", until: 10 * time.Minute, pool: "worker-#", rate: 1800 * 4 * mib,
		told: map[time.Duration]string{2 * time.Minute: "growing", 10 * time.Minute: "leak"},
		play: func(s *sim) {
			p := s.pool("worker", 4)
			s.every(200*time.Millisecond, 0.5, func(i int) {
				addr := s.get(p[i%4], 4*mib)
				if i%10 != 0 {
					s.in(time.Duration(s.rng.IntN(2000))*time.Millisecond, func() { s.munmap(p[i%4], addr, 4*mib) })
				}
			})
		}},
	{name: "a sawtooth with a rising floor", until: 20 * time.Minute, pool: "worker-#",
		told: map[time.Duration]string{10 * time.Minute: "growing", 20 * time.Minute: "growing"},
		play: func(s *sim) {
			t := s.pool("worker", 1)[0]
			var held []uint64
			s.every(500*time.Millisecond, 0.2, func(i int) {
				held = append(held, s.get(t, mib))
				if i%120 == 119 { // the collector
					for j, addr := range held {
						if j%10 != 0 {
							s.munmap(t, addr, mib)
						}
					}
					held = nil
				}
			})
		}},
	{name: "a sawtooth with a flat floor", until: 20 * time.Minute, quiet: []time.Duration{2 * time.Minute, 20 * time.Minute},
		play: func(s *sim) {
			t := s.pool("worker", 1)[0]
			var held []uint64
			s.every(500*time.Millisecond, 0.2, func(i int) {
				held = append(held, s.get(t, mib))
				if len(held) >= 60+s.rng.IntN(40) {
					for _, addr := range held {
						s.munmap(t, addr, mib)
					}
					held = nil
				}
			})
		}},
	{name: "a cache of the least recently used, at a constant level", until: 10 * time.Minute, quiet: []time.Duration{45 * time.Second, 10 * time.Minute},
		play: func(s *sim) {
			p := s.pool("cache", 2)
			var held []uint64
			s.every(100*time.Millisecond, 0.3, func(i int) {
				held = append(held, s.get(p[i%2], mib))
				if len(held) > 200 {
					k := s.rng.IntN(20)
					s.munmap(p[0], held[k], mib)
					held = append(held[:k], held[k+1:]...)
				}
			})
		}},
	{name: "a cache from before the trace whose entries are replaced", until: 10 * time.Minute,
		play: func(s *sim) {
			p := s.pool("cache", 2)
			var held []uint64
			for range 200 {
				addr := s.next
				s.next += 2 * mib
				seed(s, addr, mib)
				held = append(held, addr)
			}
			s.every(200*time.Millisecond, 0.3, func(i int) {
				s.munmap(p[0], held[0], mib)
				held = append(held[1:], s.get(p[i%2], mib))
			})
		}},
	{name: "a cache that fills and stops", until: 10 * time.Minute, quiet: []time.Duration{130 * time.Second, 10 * time.Minute},
		play: func(s *sim) {
			t := s.thread("main")
			s.every(time.Second, 0.2, func(i int) {
				if i < 120 {
					s.get(t, mib)
				}
			})
		}},
	{name: "a burst and a plateau", until: 10 * time.Minute,
		play: func(s *sim) {
			p := s.pool("worker", 3)
			for i := range 300 {
				s.in(time.Duration(i)*5*time.Millisecond, func() { s.get(p[i%3], mib) })
			}
			s.every(40*time.Second, 1, func(i int) {
				if i < 3 {
					s.get(p[i%3], mib)
				}
			})
		}},
	{name: "a burst, then a leak", until: 5 * time.Minute, pool: "worker-#", rate: 3600 * mib,
		told: map[time.Duration]string{60 * time.Second: "growing", 5 * time.Minute: "leak"},
		play: func(s *sim) {
			p := s.pool("worker", 3)
			for i := range 300 {
				s.in(time.Duration(i)*5*time.Millisecond, func() { s.get(p[i%3], mib) })
			}
			s.every(time.Second, 0.2, func(i int) { s.get(p[i%3], mib) })
		}},
	{name: "the first chunk of every thread", until: 10 * time.Minute,
		play: func(s *sim) {
			s.with("java.nio.ByteBuffer.allocateDirect(int)", "io.netty.buffer.PoolArena.newChunk()")
			for i, t := range s.pool("netty", 32) {
				s.in(time.Duration(i)*time.Second+time.Duration(s.rng.IntN(500))*time.Millisecond, func() { s.get(t, chunk) })
			}
		}},
	{name: "a healthy Netty: first chunks, now and then a second", until: 10 * time.Minute,
		play: func(s *sim) {
			s.with("java.nio.ByteBuffer.allocateDirect(int)", "io.netty.buffer.PoolArena.newChunk()")
			for _, t := range s.pool("netty", 16) {
				s.in(time.Duration(s.rng.IntN(20000))*time.Millisecond, func() { s.get(t, chunk) })
				if s.rng.IntN(4) == 0 {
					s.in(time.Duration(s.rng.IntN(300000))*time.Millisecond, func() { s.get(t, chunk) })
				}
			}
		}},
	{name: "threads come and go, their stacks are used again", until: 10 * time.Minute,
		play: func(s *sim) {
			t := s.thread("main")
			free := 0
			s.every(300*time.Millisecond, 0.5, func(i int) {
				if free > 0 {
					free--
				} else {
					addr := s.next
					s.next += 2 * mib
					s.apply(vma.Event{Op: vma.OpMmap, Thread: t, Len: mib, Prot: rw, Flags: anonymous | unix.MAP_STACK, Ret: int64(addr)})
				}
				s.in(time.Duration(s.rng.IntN(900))*time.Millisecond, func() { free++ })
			})
		}},
	{name: "threads that do not end", until: 3 * time.Minute, pool: "main",
		told: map[time.Duration]string{60 * time.Second: "growing", 3 * time.Minute: "leak"},
		play: func(s *sim) {
			t := s.thread("main")
			s.every(time.Second, 0.5, func(i int) {
				addr := s.next
				s.next += 2 * mib
				s.apply(vma.Event{Op: vma.OpMmap, Thread: t, Len: mib, Prot: rw, Flags: anonymous | unix.MAP_STACK, Ret: int64(addr)})
			})
		}},
	{name: "spikes of a compiler", until: 10 * time.Minute, every: 2 * time.Second,
		play: func(s *sim) {
			for _, t := range []vma.Thread{s.thread("C2 CompilerThread0"), s.thread("C1 CompilerThread0")} {
				grow := s.arena(t)
				s.every(800*time.Millisecond, 1, func(i int) {
					size := uint64(1+s.rng.IntN(12)) * mib
					addr := s.get(t, size)
					s.in(time.Duration(s.rng.IntN(5000))*time.Millisecond, func() { s.munmap(t, addr, size) })
					if i < 60 {
						grow(uint64(1+s.rng.IntN(8)) * 32 * page)
					}
				})
			}
		}},
	{name: "spikes of any thread", until: 10 * time.Minute, every: 2 * time.Second,
		play: func(s *sim) {
			p := s.pool("worker", 4)
			s.every(400*time.Millisecond, 1, func(i int) {
				size := uint64(1+s.rng.IntN(12)) * mib
				addr := s.get(p[i%4], size)
				s.in(time.Duration(s.rng.IntN(1500))*time.Millisecond, func() { s.munmap(p[i%4], addr, size) })
			})
		}},
	{name: "handed over and released by another", until: 5 * time.Minute,
		play: func(s *sim) {
			a, c := s.thread("producer"), s.thread("consumer")
			s.every(200*time.Millisecond, 0.3, func(int) {
				addr := s.get(a, 4*mib)
				s.in(time.Duration(200+s.rng.IntN(800))*time.Millisecond, func() { s.munmap(c, addr, 4*mib) })
			})
		}},
	{name: "handed over, every third is not released", until: 5 * time.Minute, pool: "producer", rate: 6000 * 4 * mib,
		told: map[time.Duration]string{60 * time.Second: "growing", 5 * time.Minute: "leak"},
		play: func(s *sim) {
			a, c := s.thread("producer"), s.thread("consumer")
			s.every(200*time.Millisecond, 0.3, func(i int) {
				addr := s.get(a, 4*mib)
				if i%3 != 0 {
					s.in(time.Duration(200+s.rng.IntN(800))*time.Millisecond, func() { s.munmap(c, addr, 4*mib) })
				}
			})
		}},
	{name: "threads that die and leave their memory", until: 5 * time.Minute, pool: "task-#", rate: 7200 * mib,
		told: map[time.Duration]string{20 * time.Second: "growing", 5 * time.Minute: "leak"},
		play: func(s *sim) {
			s.every(500*time.Millisecond, 0.3, func(i int) {
				t := s.thread(fmt.Sprintf("task-%d", i))
				s.get(t, mib)
				s.in(100*time.Millisecond, func() { s.die(t) })
			})
		}},
	{name: "threads of many names that die and leave their memory", until: 5 * time.Minute,
		told: map[time.Duration]string{60 * time.Second: "growing", 5 * time.Minute: "leak"},
		play: func(s *sim) {
			s.every(500*time.Millisecond, 0.3, func(i int) {
				t := s.thread(fmt.Sprintf("%c%c-%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26))
				s.get(t, mib)
				s.in(100*time.Millisecond, func() { s.die(t) })
			})
		}},
	{name: "a leak with thousands of stacks and sizes", until: 5 * time.Minute, pool: "main",
		told: map[time.Duration]string{60 * time.Second: "growing", 5 * time.Minute: "leak"},
		play: func(s *sim) {
			t := s.thread("main")
			s.every(100*time.Millisecond, 0.3, func(i int) {
				s.with(fmt.Sprintf("app.Generated%c%c%c.call()", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26), "app.Main.main()")
				s.get(t, uint64(130+s.rng.IntN(2000))<<10)
			})
		}},
	{name: "noise of a few hundred KiB", until: 10 * time.Minute,
		play: func(s *sim) {
			p := s.pool("worker", 4)
			grow := s.arena(p[0])
			s.every(9*time.Second, 1, func(i int) {
				if i < 9 {
					grow(64 << 10)
				}
			})
			s.every(15*time.Second, 1, func(i int) {
				if i < 5 {
					s.get(p[i%4], 128<<10)
				}
			})
		}},
	{name: "classes are loaded at the start", until: 10 * time.Minute,
		play: func(s *sim) {
			t := s.thread("main")
			const base = 0x800000000
			s.regions = []Region{{Range: vma.Range{Start: base, End: base + 1<<30}, Category: Metaspace}}
			at := uint64(base)
			n := 0
			var load func()
			load = func() {
				s.apply(vma.Event{Op: vma.OpMmap, Thread: t, Len: 64 << 10, Prot: rw, Flags: anonymous | unix.MAP_FIXED, Ret: int64(at)})
				at += 64 << 10
				n++
				s.in(time.Duration(20+n*n/4)*time.Millisecond, load) // ever more slowly
			}
			load()
		}},
	{name: "class loaders that are kept", until: 5 * time.Minute, pool: "main",
		told: map[time.Duration]string{60 * time.Second: "growing", 5 * time.Minute: "leak"},
		play: func(s *sim) {
			t := s.thread("main")
			const base = 0x800000000
			s.regions = []Region{{Range: vma.Range{Start: base, End: base + 1<<30}, Category: Metaspace}}
			at := uint64(base)
			s.every(200*time.Millisecond, 0.5, func(int) {
				s.apply(vma.Event{Op: vma.OpMmap, Thread: t, Len: 64 << 10, Prot: rw, Flags: anonymous | unix.MAP_FIXED, Ret: int64(at)})
				at += 64 << 10
			})
		}},
	{name: "the heap is committed by the application's threads", until: 5 * time.Minute,
		play: func(s *sim) {
			p := s.pool("worker", 4)
			const base = 0x700000000
			s.regions = []Region{{Range: vma.Range{Start: base, End: base + 4<<30}, Category: JavaHeap}}
			at := uint64(base)
			s.every(time.Second, 0.5, func(i int) {
				s.apply(vma.Event{Op: vma.OpMmap, Thread: p[i%4], Len: 8 * mib, Prot: rw, Flags: anonymous | unix.MAP_FIXED, Ret: int64(at)})
				at += 8 * mib
			})
		}},
	{name: "nothing at all", until: time.Minute, play: func(*sim) {}},
}

// seed is memory from before the trace.
func seed(s *sim, addr, n uint64) {
	s.tb.Helper()
	truth := s.vm.Clone()
	truth.Apply(&vma.Event{Op: vma.OpMmap, Seq: 1, Len: n, Prot: rw, Flags: anonymous, Ret: int64(addr)})
	_, d := s.vm.Reconcile(truth, nil, vma.PreExisting)
	s.s.Book(&vma.Event{}, d)
}

func TestLeaksAreToldAndControlsAreNot(t *testing.T) {
	order := map[string]int{"": 0, "suspicious": 1, "growing": 2, "leak": 3}
	for _, sc := range scenes {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				s := newSim(t, seed)
				sc.play(s)
				step := sc.every
				if step == 0 {
					step = max(5*time.Second, sc.until/60)
				}
				var at []time.Duration
				for d := step; d <= sc.until; d += step {
					at = append(at, d)
				}
				for d := range sc.told {
					at = append(at, d)
				}
				at = append(at, 6*time.Second, 8*time.Second)
				sortDurations(at)
				for _, d := range at {
					s.run(d)
					found := s.judgement()
					got := ""
					if found != nil {
						got = found.Verdict
					}
					want, asked := sc.told[d]
					switch {
					case asked && order[got] < order[want]:
						t.Fatalf("seed %d, after %v: %q, want %q", seed, d, got, want)
					case asked && sc.pool != "" && key(found.Pool) != sc.pool:
						t.Fatalf("seed %d, after %v: pool %q, want %q: %+v", seed, d, key(found.Pool), sc.pool, found)
					case d < 5*time.Second && got != "":
						t.Fatalf("seed %d, after %v: %q", seed, d, got)
					case sc.told == nil && got != "" && (sc.quiet == nil || d >= sc.quiet[0] && d <= sc.quiet[1]):
						t.Fatalf("seed %d, after %v: %q of %s: %q, growth %d", seed, d, got, key(found.Pool), found.Why, *found.Growth.PerHour)
					case asked && len(s.document().Suspects) > 1:
						t.Fatalf("seed %d, after %v: %d suspects for one leak", seed, d, len(s.document().Suspects))
					}
					if sc.rate != 0 && d == sc.until {
						if rate := float64(*found.Growth.PerHour); abs(rate/sc.rate-1) > 0.1 {
							t.Fatalf("seed %d: %.0f MiB/h, want %.0f", seed, rate/mib, sc.rate/mib)
						}
					}
				}
			}
		})
	}
}

func sortDurations(d []time.Duration) {
	for i := range d {
		for j := i; j > 0 && d[j] < d[j-1]; j-- {
			d[j], d[j-1] = d[j-1], d[j]
		}
	}
}
