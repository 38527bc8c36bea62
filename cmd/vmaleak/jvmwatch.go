package main

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vmaleak/symbolize/hotspot"
)

// jvms reads what the JVMs among the targets say of their memory, in one
// goroutine beside the trace loop, since a VM belongs to one. Nothing is sent to them.
type jvms struct {
	mu    sync.Mutex
	added []*jvmWatch

	wanted atomic.Uint64 // the number of the last request
	kick   chan struct{}
	stop   chan struct{}
	done   chan struct{}
}

// jvmWatch is one JVM that is read.
type jvmWatch struct {
	pid      int
	ended    atomic.Bool
	answered atomic.Uint64              // the last request that a reading came after
	last     atomic.Pointer[jvmReading] // nil before the first one
	nmt      atomic.Pointer[jvmNMT]     // the last answer; nil unless it was asked for
	firstNMT atomic.Pointer[jvmNMT]     // the first that had figures
	asked    bool                       // for the first; the trace loop's own

	// The goroutine's own.
	vm   *hotspot.VM
	due  time.Time
	wait time.Duration
}

// jvmReading is what was read last; it is never changed.
type jvmReading struct {
	collector string
	tracking  string // off, summary or detail
	regions   []hotspot.Region
	heap      hotspot.Usage
	spaces    hotspot.Spaces
	direct    []hotspot.DirectMemory
	missing   error // why regions are missing
}

const (
	jvmEvery = 2 * time.Second
	jvmRest  = 20 // all readings together take at most one part in so many of a processor's time
	jvmRetry = 30 * time.Second
)

func newJVMs() *jvms {
	j := &jvms{kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go j.run()
	return j
}

// watch begins to read the JVM of a process, which must be one.
func (j *jvms) watch(pid int) *jvmWatch {
	w := &jvmWatch{pid: pid}
	j.mu.Lock()
	j.added = append(j.added, w)
	j.mu.Unlock()
	j.wake()
	return w
}

func (j *jvms) wake() {
	select {
	case j.kick <- struct{}{}:
	default:
	}
}

// ask has all JVMs read once more, and returns the request's number.
func (j *jvms) ask() uint64 {
	n := j.wanted.Add(1)
	j.wake()
	return n
}

// close ends the goroutine, after a reading that is under way.
func (j *jvms) close() {
	close(j.stop)
	<-j.done
}

func (j *jvms) run() {
	defer close(j.done)
	var list []*jvmWatch
	timer := time.NewTimer(jvmEvery)
	defer timer.Stop()
	for {
		select {
		case <-j.stop:
			return
		case <-j.kick:
		case <-timer.C:
		}
		j.mu.Lock()
		list = append(list, j.added...)
		j.added = nil
		j.mu.Unlock()
		list = slices.DeleteFunc(list, func(w *jvmWatch) bool { return w.ended.Load() })
		began, next := time.Now(), jvmEvery
		for _, w := range list {
			select {
			case <-j.stop:
				return
			default:
			}
			if wanted := j.wanted.Load(); w.answered.Load() < wanted || !time.Now().Before(w.due) {
				w.read()
				w.answered.Store(wanted)
			}
			next = min(next, time.Until(w.due))
		}
		timer.Reset(max(next, jvmRest*time.Since(began)))
	}
}

// read reads the JVM. What cannot be read stays as it was.
func (w *jvmWatch) read() {
	r, err := w.reading()
	if err != nil {
		w.vm, w.wait = nil, min(max(2*w.wait, jvmEvery), jvmRetry)
	} else {
		w.wait = jvmEvery
	}
	if !w.ended.Load() && r != nil {
		w.last.Store(r)
	}
	w.due = time.Now().Add(w.wait)
}

func (w *jvmWatch) reading() (*jvmReading, error) {
	if w.vm == nil {
		vm, err := hotspot.Attach(w.pid)
		if err != nil {
			return nil, err
		}
		w.vm = vm
	}
	defer w.vm.Rest()
	r := &jvmReading{}
	if old := w.last.Load(); old != nil {
		*r = *old
	}
	r.collector = w.vm.Collector()
	r.tracking, _ = w.vm.Flag("NativeMemoryTracking")
	regions, missing := w.vm.Regions()
	if r.missing = missing; len(regions) > 0 {
		r.regions = regions
	}
	heap, err1 := w.vm.HeapUsage()
	if err1 == nil || r.heap.Max == nil { // of a collector that is not known the most is known
		r.heap = heap
	}
	spaces, err2 := w.vm.Spaces()
	if err2 == nil {
		r.spaces = spaces
	}
	direct, err3 := w.vm.DirectMemory()
	if err3 == nil || len(direct) >= len(r.direct) { // else one was just being moved
		r.direct = direct
	}
	if missing != nil && err1 != nil && err2 != nil {
		return r, errors.Join(missing, err1, err2) // it is gone, or another program
	}
	return r, nil
}
