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
	queued atomic.Int64 // bytes of copies in jobs
	busy   atomic.Int64 // jobs not answered yet
	done   chan struct{}

	mu      sync.Mutex
	answers []stackAnswer

	// The trace loop's own.
	numbers map[stackKey]uint32
	known   []*unwind.Stack // by number
	kept    int             // frames of known
	frames  map[*unwind.Frame]leak.Frame
	counts  map[*tracer.Space]*leak.StackCounts
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

// stackKey tells stacks apart that the document must tell apart.
type stackKey struct {
	id, task string
}

const (
	maxQueued = 32 << 20 // bytes of copies that wait
	maxJobs   = 1 << 14
	maxStacks = 1 << 16 // different ones
	maxFrames = 1 << 19 // of all of them
)

// The reasons of calls without a stack.
const (
	reasonLimited = "rate-limited"
	reasonRing    = "the ring of stacks was full"
	reasonCopy    = "the stack could not be copied"
	reasonBehind  = "more stacks came than could be walked"
	reasonMany    = "too many different stacks"
)

// newStacks numbers the stacks that are none first, as the tracer numbers them.
func newStacks() *stacks {
	k := &stacks{jobs: make(chan stackJob, maxJobs), done: make(chan struct{}),
		numbers: map[stackKey]uint32{}, frames: map[*unwind.Frame]leak.Frame{},
		counts: map[*tracer.Space]*leak.StackCounts{}}
	k.known = make([]*unwind.Stack, 1)
	for _, reason := range []string{tracer.StackLimited: reasonLimited, tracer.StackDropped: reasonRing,
		tracer.StackFailed: reasonCopy, noneBehind: reasonBehind, noneMany: reasonMany}[1:] {
		k.number(&unwind.Stack{ID: "none: " + reason, Status: unwind.None, Reason: reason})
	}
	go k.run()
	return k
}

// The numbers that follow the tracer's.
const (
	noneBehind = tracer.StackFailed + 1 + iota
	noneMany
)

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

// open begins to count the stacks of a space.
func (k *stacks) open(sp *tracer.Space) {
	if k != nil {
		k.counts[sp] = &leak.StackCounts{Reasons: map[string]uint64{}}
	}
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

// number is the ledger's number of a stack.
func (k *stacks) number(st *unwind.Stack) uint32 {
	key := stackKey{st.ID, st.Task}
	n, ok := k.numbers[key]
	if !ok {
		if len(k.known) >= maxStacks || k.kept+len(st.Frames) > maxFrames {
			return noneMany
		}
		k.kept += len(st.Frames)
		n = uint32(len(k.known))
		k.numbers[key] = n
		k.known = append(k.known, st)
	}
	return n
}

// of is the stack of a number for the document, nil for none.
func (k *stacks) of(number uint32) *leak.Stack {
	if k == nil || int(number) >= len(k.known) || number == 0 {
		return nil
	}
	st := k.known[number]
	doc := &leak.Stack{ID: st.ID, Status: string(st.Status), Reason: str(st.Reason), Task: str(st.Task),
		Frames: make([]leak.Frame, len(st.Frames))}
	for i, f := range st.Frames {
		doc.Frames[i] = k.frame(f)
	}
	return doc
}

// frame is f for the document: the same frames share their texts.
func (k *stacks) frame(f *unwind.Frame) leak.Frame {
	d, ok := k.frames[f]
	if !ok {
		d = leak.Frame{Kind: string(f.Kind), Function: str(f.Function), File: str(f.File), Module: str(f.Module), BuildID: str(f.BuildID)}
		if f.Line > 0 {
			d.Line = &f.Line
		}
		if f.Module != "" {
			offset := leak.Addr(f.Offset)
			d.Offset = &offset
		}
		k.frames[f] = d
	}
	return d
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

// count counts a stack of sp, unless it has ended and nobody asks any more.
func (k *stacks) count(sp *tracer.Space, number uint32) {
	c := k.counts[sp]
	if c == nil {
		return
	}
	st := k.known[number]
	switch st.Status {
	case unwind.Complete:
		c.Complete++
	case unwind.Continued:
		c.Continued++
	case unwind.Truncated:
		c.Truncated++
	case unwind.Failed:
		c.Failed++
	default:
		c.None++
	}
	if st.Reason != "" {
		c.Reasons[st.Reason]++
	}
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

// countsOf is what became of the stacks of sp's calls.
func (k *stacks) countsOf(sp *tracer.Space) leak.StackCounts {
	c := leak.StackCounts{}
	if k == nil {
		return c
	}
	if known := k.counts[sp]; known != nil {
		c.Add(known)
	}
	e := sp.Events.Stacks
	kernel := leak.StackCounts{RateLimited: e.RateLimited, None: e.Dropped + e.Failed, Reasons: map[string]uint64{}}
	for reason, n := range map[string]uint64{reasonLimited: e.RateLimited, reasonRing: e.Dropped, reasonCopy: e.Failed} {
		if n > 0 {
			kernel.Reasons[reason] = n
		}
	}
	c.Add(&kernel)
	return c
}

// drop forgets the counts of a space that has ended.
func (k *stacks) drop(sp *tracer.Space) {
	if k != nil {
		delete(k.counts, sp)
	}
}
