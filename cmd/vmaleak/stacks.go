package main

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize/unwind"
	"vmaleak/tracer"
)

// stacks names the stacks of all targets. To walk one takes longer than to book
// its event: the trace loop hands the copies over and takes the answers later;
// one goroutine beside it owns the resolver.
type stacks struct {
	jobs   chan stackJob
	queued atomic.Int64  // bytes of copies in jobs
	busy   atomic.Int64  // jobs not answered yet
	likely atomic.Uint64 // stacks of virtual threads that are named by likelihood
	done   chan struct{}

	mu      sync.Mutex
	answers []stackAnswer

	// The trace loop's own.
	numbering
	counts map[*tracer.Space]*leak.StackCounts
}

// stackJob is one thing to do for a process, in order.
type stackJob struct {
	do     func(*unwind.Resolver) // instead of a stack
	sp     *tracer.Space
	ticket uint32
	raw    *unwind.Raw
}

type stackAnswer struct {
	sp     *tracer.Space
	ticket uint32
	stack  *unwind.Stack
}

const (
	maxQueued = 32 << 20 // bytes of copies that wait
	maxJobs   = 1 << 14
)

func newStacks(inUse func() map[uint32]bool) *stacks {
	k := &stacks{jobs: make(chan stackJob, maxJobs), done: make(chan struct{}),
		numbering: newNumbering(inUse), counts: map[*tracer.Space]*leak.StackCounts{}}
	go k.run()
	return k
}

// run does the jobs until there are no more.
func (k *stacks) run() {
	defer close(k.done)
	r := unwind.NewResolver(unwind.Options{})
	rest := time.NewTicker(restEvery)
	defer rest.Stop()
	for {
		select {
		case j, ok := <-k.jobs:
			if !ok {
				return
			}
			k.do(r, j)
		case <-rest.C:
			if r.Rest() {
				debug.FreeOSMemory() // reading a libjvm's tables takes several times what is kept of them
			}
		}
	}
}

// restEvery is how often memory is given back.
const restEvery = 2 * time.Second

// do does one job.
func (k *stacks) do(r *unwind.Resolver, j stackJob) {
	if j.do != nil {
		j.do(r)
	} else {
		st := r.Resolve(j.raw)
		k.likely.Store(r.Stats().Likely)
		k.queued.Add(-int64(len(j.raw.Mem)))
		k.mu.Lock()
		k.answers = append(k.answers, stackAnswer{j.sp, j.ticket, st})
		k.mu.Unlock()
	}
	k.busy.Add(-1)
}

// close ends the goroutine; what waits is not walked.
func (k *stacks) close() {
	if k == nil {
		return
	}
	close(k.jobs)
	for range k.jobs { // beside run: whoever takes it
	}
	<-k.done
}

// put hands over a job, and reports whether there was room.
func (k *stacks) put(j stackJob) bool {
	k.busy.Add(1)
	select {
	case k.jobs <- j:
		return true
	default:
		k.busy.Add(-1)
		return false
	}
}

// prepare reads the modules of a process before its first stack comes.
func (k *stacks) prepare(pid int) {
	if k != nil {
		// Where it fails, or finds no room, the first stack does it, and says why.
		k.put(stackJob{do: func(r *unwind.Resolver) { _ = r.Prepare(pid) }})
	}
}

// forget drops what is known of a process that has ended or executed another
// program. It waits for room: what comes later must not be named by what was.
func (k *stacks) forget(pid int) {
	if k != nil {
		k.busy.Add(1)
		k.jobs <- stackJob{do: func(r *unwind.Resolver) { r.Forget(pid) }}
	}
}

// Stack implements tracer.Handler: the copy goes to the resolver at once, since
// the process may be gone before its event is in order.
func (s *session) Stack(sp *tracer.Space, ticket uint32, raw *tracer.Stack) {
	if s.stacks == nil {
		return
	}
	returns := make([]unwind.Return, len(raw.Returns))
	for i, r := range raw.Returns {
		returns[i] = unwind.Return(r)
	}
	j := stackJob{sp: sp, ticket: ticket, raw: &unwind.Raw{PID: raw.PID, TID: raw.TID, PC: raw.PC, SP: raw.SP,
		Regs: raw.Regs, Mem: raw.Mem, Absent: raw.Absent, Limited: raw.Limited, Returns: returns}}
	n := int64(len(raw.Mem))
	if s.stacks.queued.Load()+n > maxQueued {
		s.noStack(sp, ticket, noneBehind)
		return
	}
	s.stacks.queued.Add(n)
	if !s.stacks.put(j) {
		s.stacks.queued.Add(-n)
		s.noStack(sp, ticket, noneBehind)
		return
	}
	runtime.Gosched() // what is read of the target soon passes; another thread would have to be woken first
}

// noStack settles a ticket for which there will be no stack.
func (s *session) noStack(sp *tracer.Space, ticket, number uint32) {
	s.stacks.count(sp, number)
	s.books.Resolve(ticket, number)
}

// takeStacks books the answers that have come.
func (s *session) takeStacks() {
	if s.stacks == nil {
		return
	}
	s.stacks.mu.Lock()
	answers := s.stacks.answers
	s.stacks.answers = nil
	s.stacks.mu.Unlock()
	for _, a := range answers {
		n := s.stacks.number(a.stack)
		s.stacks.count(a.sp, n)
		s.books.Resolve(a.ticket, n)
	}
}

// stacksWait is how long an export waits for stacks that are being walked.
const stacksWait = 3 * time.Second

// freshStacks waits for the stacks of what has happened, for a while; the
// document says how many are still missing.
func (s *session) freshStacks() error {
	if s.stacks == nil {
		return nil
	}
	for deadline := time.Now().Add(stacksWait); s.stacks.busy.Load() > 0 && time.Now().Before(deadline); {
		if err := s.tr.Poll(time.Now().Add(5 * time.Millisecond)); err != nil {
			return err
		}
		s.takeStacks()
	}
	s.takeStacks()
	return nil
}

// stackOf is the stack of a number for the document, nil for none.
func (s *session) stackOf(number uint32) *leak.Stack {
	if s.stacks == nil {
		return nil
	}
	return s.stacks.of(number)
}
