package symbolize

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vmaleak/symbolize/hotspot"
	"vmaleak/symbolize/jvm"
)

const (
	minInterval = 30 * time.Second // between two dumps of a target
	maxInterval = 8 * time.Minute  // between dumps that tell nothing new
	firstLook   = time.Second      // until a process that is not ready for a dump is looked at again
	dumpTimeout = 10 * time.Second
	youth       = uint64(time.Second / tick) // a thread this young may not be in the JVM's list yet
)

// Effects is what naming has cost the target, and what it could not do.
type Effects struct {
	Readings  int           // of the names in the JVM's memory, which the JVM does not notice
	Unread    int           // names that these could not read: the thread was just beginning or ending, or its objects being moved
	Dumps     int           // thread dumps taken
	DumpPause time.Duration // sum of the dumps' requests: an upper bound of the time the JVM stood still
	Attaches  int           // tries, also those that were refused
	Refused   int           // tries that brought no dump
	Ambiguous int           // names not given: the TID had two owners meanwhile
	Missed    int           // threads with events that had died before they could be looked at
	Forgotten int           // dead threads dropped to bound memory
}

// dumps is the part of a Namer that decides when to ask the JVM.
type dumps struct {
	effects  Effects
	asked    time.Time     // of the last dump; zero before the first
	wait     time.Duration // from then until the next one
	isJVM    bool
	nextLook time.Time
	lookWait time.Duration
	tickets  int // readings and dumps asked for
	fetching bool
	plan     plan // of the Fetch that runs
	never    bool // asking again would be pointless
	gone     bool // reading too
	cleaned  bool // Fetch's: what a killed vmaleak left behind was removed
	err      error
	version  string
}

// plan is what a Fetch may do.
type plan struct {
	at      time.Time
	read    bool
	dump    bool // if need be
	needful bool // it is needed in any case
}

// Result is what a Fetch has brought.
type Result struct {
	Dump *jvm.Dump // nil unless the JVM was asked
	Err  error     // why there are no names
	Took time.Duration

	read     bool // from its memory
	asked    bool // by a dump
	threads  []hotspot.Thread
	release  string
	readErr  error
	readTook time.Duration
	from, to uint64 // boot ticks between which it was made
}

// Due reports whether names should be fetched now. They are read from the JVM's memory: at the start, then when a thread
// with events is alive and without a name, at most every 200 ms and for at most a fiftieth of the time.
//
// Only if its memory does not tell them (or with AttachYes, for the threads that it does not tell) the JVM is asked for
// a thread dump: at most every 30 s, and less often while dumps tell nothing new (threads that come and go faster
// than dumps).
//
// A true answer is a ticket: Due is false until Adopt was given the result of Fetch.
func (n *Namer) Due(now time.Time) bool {
	return n.dueAfter(n.wait, false, now)
}

// DueLast is Due at the end of a trace: for every live thread, with events or not. A dump does not wait longer than 30 s
// because earlier ones told nothing new.
func (n *Namer) DueLast(now time.Time) bool {
	return n.dueAfter(min(n.wait, minInterval), true, now)
}

func (n *Namer) dueAfter(wait time.Duration, all bool, now time.Time) bool {
	if n.fetching || n.dirErr != nil {
		return false
	}
	p := plan{at: now, read: n.mayRead(all, now)}
	p.needful = n.untold() && !p.read || n.options.Attach == AttachYes
	p.dump = n.mayDump(wait, all, now)
	if p.read || p.dump && p.needful {
		n.plan, n.fetching = p, true
		n.tickets++
	}
	return n.fetching
}

// mayDump reports whether the JVM may be asked now.
func (n *Namer) mayDump(wait time.Duration, all bool, now time.Time) bool {
	if n.never || n.gone || n.options.Attach == AttachNo {
		return false
	}
	if n.options.Attach == AttachAuto && !n.becameJVM(now) {
		return false
	}
	if !n.asked.IsZero() && now.Sub(n.asked) < wait {
		return false
	}
	return n.effects.Dumps == 0 || n.anyWanted(all)
}

// becameJVM reports whether the process is a JVM. One that has just been
// started becomes one when it loads the library: it is looked at again, ever
// more rarely.
func (n *Namer) becameJVM(now time.Time) bool {
	if n.isJVM || now.Before(n.nextLook) {
		return n.isJVM
	}
	n.isJVM = jvm.IsJVM(n.pid)
	n.lookWait = min(max(2*n.lookWait, firstLook), maxInterval)
	n.nextLook = now.Add(n.lookWait)
	return n.isJVM
}

// anyWanted reports whether a dump could tell something that somebody needs:
// about threads with events, or about all.
func (n *Namer) anyWanted(all bool) bool {
	for _, e := range n.live {
		if e.wanted() || all && e.open() {
			return true
		}
	}
	return false
}

// Fetch reads the names, or takes a thread dump. It may run in another goroutine, since what it changes of the Namer is its
// own; the result goes to Adopt, errors too. It takes 15 s at most.
func (n *Namer) Fetch(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, dumpTimeout)
	defer cancel()
	begin := time.Now()
	r := Result{from: bootTicks(), read: n.plan.read}
	if r.read {
		r.threads, r.release, r.readErr = n.read()
		r.readTook = time.Since(begin)
		r.Err = r.readErr
	}
	failed := r.readErr != nil && !errors.Is(r.readErr, hotspot.ErrNotReady) && !errors.Is(r.readErr, ErrGone)
	if n.plan.dump && (n.plan.needful || failed) {
		r.Dump, r.Err = n.fetch(ctx)
		r.asked = true
		if r.Err != nil && failed {
			r.Err = fmt.Errorf("%w (and its memory does not tell: %w)", r.Err, r.readErr)
		}
	}
	r.to = bootTicks()
	r.Took = time.Since(begin)
	return r
}

func (n *Namer) fetch(ctx context.Context) (*jvm.Dump, error) {
	if err := n.stillThere(); err != nil {
		return nil, err
	}
	if !n.cleaned {
		// What a killed vmaleak left behind. Not to find out whether there is
		// anything is no reason to do without names.
		_ = jvm.CleanStale(n.pid)
		n.cleaned = true
	}
	c, err := jvm.Dial(ctx, n.pid, jvm.Options{Start: n.options.Named, Timeout: dumpTimeout})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	d, err := c.ThreadDump(ctx)
	if err != nil {
		return nil, err
	}
	if err := n.stillThere(); err != nil { // the dump may be another process's
		return nil, err
	}
	return d, nil
}

// stillThere checks that the PID still means the process the Namer was made for.
func (n *Namer) stillThere() error {
	st, err := readStat(n.pid)
	if err != nil {
		return err
	}
	if st.StartTicks != n.start {
		return fmt.Errorf("process %d: %w", n.pid, ErrGone)
	}
	return nil
}

// Adopt takes the names of a Fetch over. A name is given to the thread that
// had its TID all the time the names were fetched: one that started before
// they were asked for (known when Due said so, or started in an earlier tick) and
// was not known dead then. If another thread of that TID started meanwhile,
// none gets the name.
func (n *Namer) Adopt(r Result, now time.Time) {
	n.fetching = false
	n.err = r.Err
	if r.read {
		n.adoptReading(r, now)
	}
	if r.asked {
		n.adoptDump(r, now)
	}
}

func (n *Namer) adoptDump(r Result, now time.Time) {
	n.asked = n.plan.at
	n.effects.Attaches++
	if r.Err != nil || r.Dump == nil {
		n.effects.Refused++
		n.refused(r.Err)
		return
	}
	n.effects.Dumps++
	n.effects.DumpPause += r.Dump.Took
	n.version = r.Dump.JVM
	_ = n.refresh(now, forever) // who has each TID now; a process that has ended keeps the names
	owners := n.owners()
	names := map[int]string{}
	for nid, t := range r.Dump.ByNID(func(nid int) bool {
		e, ambiguous := n.ownerDuring(owners[nid], r)
		return e != nil || ambiguous
	}) {
		names[nid] = t.Name
	}
	if news := n.give(owners, names, r); news > 0 || n.effects.Dumps == 1 {
		n.wait = minInterval
	} else {
		n.wait = min(2*max(n.wait, minInterval), maxInterval)
	}
}

// ownerDuring finds the thread that had a TID from before a dump was asked
// for. It is ambiguous if a later owner started before the dump had come.
func (n *Namer) ownerDuring(es []*entry, r Result) (owner *entry, ambiguous bool) {
	for _, e := range es {
		switch {
		case e.StartTicks > r.to:
		case e.StartTicks >= r.from && e.tickets >= n.tickets:
			ambiguous = true
		case owner == nil || e.StartTicks > owner.StartTicks:
			owner = e
		}
	}
	if ambiguous || owner != nil && !owner.Alive && owner.goneTick < r.from {
		owner = nil
	}
	return owner, ambiguous
}

// refused decides when, and whether, to ask again after an error.
func (n *Namer) refused(err error) {
	for _, final := range []error{jvm.ErrNotJVM, jvm.ErrAttachDisabled, jvm.ErrNamespace, jvm.ErrGone, jvm.ErrZombie, ErrGone} {
		if errors.Is(err, final) {
			n.never = true
		}
	}
	n.gone = n.gone || errors.Is(err, jvm.ErrGone) || errors.Is(err, jvm.ErrZombie) || errors.Is(err, ErrGone)
	for _, harmless := range []error{jvm.ErrNoSocket, jvm.ErrNoHandler, jvm.ErrStopped} {
		if errors.Is(err, harmless) { // nothing was done to the target; a young JVM is soon ready
			n.wait = min(max(2*n.wait, firstLook), minInterval)
			return
		}
	}
	n.wait = min(2*max(n.wait, minInterval), maxInterval)
}

// Effects is what naming has cost so far.
func (n *Namer) Effects() Effects { return n.effects }

// Err is why the last Fetch brought nothing; nil if it brought names.
func (n *Namer) Err() error { return n.err }

// JVM is the JVM's version ("17.0.15+6-Debian-1deb12u1"; of JDK 8 the VM's own, "25.504-b01"), or the line of a dump that
// holds it in parentheses; "" as long as it is not known.
func (n *Namer) JVM() string { return n.version }
