package leak

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

// sim plays a program's mappings: actions at their times, in order.
type sim struct {
	*bench
	rng     *rand.Rand
	queue   actions
	next    uint64
	n       int
	threads []ThreadFacts
	dead    map[vma.Thread]bool
	stacks  []*Stack
	regions []Region
	malloc  *MallocFacts
}

type action struct {
	at time.Duration
	n  int
	do func()
}

type actions []action

func (q actions) Len() int { return len(q) }
func (q actions) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].n < q[j].n
}
func (q actions) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *actions) Push(x any)   { *q = append(*q, x.(action)) }
func (q *actions) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

func newSim(tb testing.TB, seed uint64) *sim {
	s := &sim{rng: rand.New(rand.NewPCG(seed, 4)), next: 0x7f0000000000, dead: map[vma.Thread]bool{}}
	s.bench = newBench(tb, Options{Stack: func(n uint32) *Stack {
		if int(n) > len(s.stacks) {
			return nil
		}
		return s.stacks[n-1]
	}})
	return s
}

// elapsed is the time since the beginning.
func (s *sim) elapsed() time.Duration { return s.now.Sub(epoch) }

// in does something after d.
func (s *sim) in(d time.Duration, do func()) {
	s.n++
	heap.Push(&s.queue, action{s.elapsed() + d, s.n, do})
}

// every does something again and again, at about every d: jitter is the share by which it varies; 1 is at random.
func (s *sim) every(d time.Duration, jitter float64, do func(i int)) {
	i := 0
	var again func()
	gap := func() time.Duration {
		if jitter >= 1 {
			return time.Duration(s.rng.ExpFloat64() * float64(d))
		}
		return time.Duration(float64(d) * (1 + jitter*(2*s.rng.Float64()-1)))
	}
	again = func() {
		do(i)
		i++
		s.in(gap(), again)
	}
	s.in(gap(), again)
}

// run plays until a time.
func (s *sim) run(until time.Duration) {
	for len(s.queue) > 0 && s.queue[0].at <= until {
		a := heap.Pop(&s.queue).(action)
		s.now = epoch.Add(a.at)
		a.do()
	}
	s.now = epoch.Add(until)
}

// thread is a new thread of that name.
func (s *sim) thread(name string) vma.Thread {
	t := tid(1000 + len(s.threads))
	s.threads = append(s.threads, ThreadFacts{Thread: t, Comm: name[:min(len(name), 15)], Name: &name, Alive: true})
	return t
}

// pool is n threads, numbered.
func (s *sim) pool(name string, n int) []vma.Thread {
	list := make([]vma.Thread, n)
	for i := range list {
		list[i] = s.thread(fmt.Sprintf("%s-%d", name, i+1))
	}
	return list
}

func (s *sim) die(t vma.Thread) {
	for i := range s.threads {
		if s.threads[i].Thread == t {
			s.threads[i].Alive = false
		}
	}
}

// with makes the next events come from a stack of Java methods, innermost first.
func (s *sim) with(methods ...string) {
	st := &Stack{ID: fmt.Sprintf("%016x", len(s.stacks)+1), Status: "complete", Frames: []Frame{}}
	for _, f := range []string{"__mmap", "malloc"} {
		libc := "libc.so.6"
		st.Frames = append(st.Frames, Frame{Kind: "native", Function: ptr(f), Module: &libc})
	}
	for _, m := range methods {
		st.Frames = append(st.Frames, Frame{Kind: "java", Function: ptr(m)})
	}
	s.stacks = append(s.stacks, st)
	n := uint32(len(s.stacks))
	s.stack = func() uint32 { return n }
}

// get maps size bytes and returns where.
func (s *sim) get(t vma.Thread, size uint64) uint64 {
	addr := s.next
	s.next += (size + 3*page) &^ (page - 1)
	s.mmap(t, addr, size, rw)
	return addr
}

// arena reserves a heap of malloc and returns what makes n bytes more of it writable.
func (s *sim) arena(t vma.Thread) func(n uint64) {
	var at, end uint64
	return func(n uint64) {
		if at+n > end {
			at = (s.next + arenaSize) &^ (arenaSize - 1)
			end = at + arenaSize
			s.next = end + arenaSize
			s.apply(vma.Event{Op: vma.OpMmap, Thread: t, Len: arenaSize, Flags: anonymous | unix.MAP_NORESERVE, Ret: int64(at)})
		}
		s.mprotect(t, at, n, rw)
		at += n
	}
}

// judgement is the surest suspect now, nil if there is none.
func (s *sim) judgement() *Suspect {
	s.tb.Helper()
	e := s.document()
	if len(e.Suspects) == 0 {
		return nil
	}
	return &e.Suspects[0]
}

func (s *sim) document() *Entry {
	s.tb.Helper()
	snap := s.l.Snapshot(s.now, Header{Source: SourceLive, StartedAt: epoch}, func(*Space) Facts {
		return Facts{Threads: s.threads, Verified: true, Regions: s.regions, Malloc: s.malloc}
	})
	if err := snap.CheckValid(); err != nil {
		s.tb.Fatal(err)
	}
	return snap.Processes[0]
}
