package symbolize

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

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
	Dumps     int           // thread dumps taken
	DumpPause time.Duration // sum of the dumps' requests: an upper bound of the time the JVM stood still
	Attaches  int           // tries, also those that were refused
	Refused   int           // tries that brought no dump
	Ambiguous int           // names of dumps not given: the TID had two owners meanwhile
	Missed    int           // threads with events that had died before they could be looked at
	Forgotten int           // dead threads dropped to bound memory
}

// dumps is the part of a Namer that decides when to ask the JVM.
type dumps struct {
	effects  Effects
	asked    time.Time     // of the last Fetch; zero before the first
	wait     time.Duration // from then until the next one
	isJVM    bool
	nextLook time.Time
	lookWait time.Duration
	tickets  int // dumps asked for
	fetching bool
	never    bool // asking again would be pointless
	err      error
	version  string
}

// Result is what a Fetch has brought.
type Result struct {
	Dump *jvm.Dump
	Err  error
	Took time.Duration // attach and dump together

	from, to uint64 // boot ticks between which the dump was made
}

// Due reports whether the JVM should be asked for its threads now: once at
// the start, then when a thread with events is alive and without a name, at
// most every 30 s, and less often while dumps tell nothing new (threads that
// come and go faster than dumps). A true answer is a ticket: it counts as a
// dump, and Due is false until Adopt was given the result of Fetch.
func (n *Namer) Due(now time.Time) bool {
	return n.dueAfter(n.wait, false, now)
}

// DueLast is Due at the end of a trace: for every live thread without a name,
// with events or not, and without waiting longer than 30 s because earlier
// dumps told nothing new.
func (n *Namer) DueLast(now time.Time) bool {
	return n.dueAfter(min(n.wait, minInterval), true, now)
}

func (n *Namer) dueAfter(wait time.Duration, all bool, now time.Time) bool {
	if n.fetching || n.never || n.dirErr != nil || n.options.Attach == AttachNo {
		return false
	}
	if n.options.Attach == AttachAuto && !n.becameJVM(now) {
		return false
	}
	if !n.asked.IsZero() && now.Sub(n.asked) < wait {
		return false
	}
	if n.effects.Dumps > 0 && !n.anyWanted(all) {
		return false
	}
	n.asked, n.fetching = now, true
	n.tickets++
	return true
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

// Fetch attaches to the JVM and takes a thread dump. It touches no state of
// the Namer and may run in another goroutine; the result goes to Adopt, errors
// too. It takes 10 s at most.
func (n *Namer) Fetch(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, dumpTimeout)
	defer cancel()
	begin := time.Now()
	r := Result{from: bootTicks()}
	r.Dump, r.Err = n.fetch(ctx)
	r.to = bootTicks()
	r.Took = time.Since(begin)
	return r
}

func (n *Namer) fetch(ctx context.Context) (*jvm.Dump, error) {
	if err := n.stillThere(); err != nil {
		return nil, err
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

// Adopt takes the names of a dump over. A name is given to the thread that
// had the dump's TID all the time the dump was made: one that started before
// it was asked for (known when Due said so, or started in an earlier tick) and
// was not known dead then. If another thread of that TID started meanwhile,
// none gets the name.
func (n *Namer) Adopt(r Result, now time.Time) {
	n.fetching = false
	n.err = r.Err
	n.effects.Attaches++
	if r.Err != nil || r.Dump == nil {
		n.effects.Refused++
		n.refused(r.Err)
		return
	}
	n.effects.Dumps++
	n.effects.DumpPause += r.Dump.Took
	n.version = r.Dump.JVM
	_ = n.refresh(now, math.MaxInt/2) // who has each TID now; a process that has ended keeps the names

	owners := map[int][]*entry{}
	for _, e := range n.threads {
		if e.NSTID != 0 {
			owners[e.NSTID] = append(owners[e.NSTID], e)
		}
	}
	names := r.Dump.ByNID(func(nid int) bool {
		e, ambiguous := n.ownerDuring(owners[nid], r)
		return e != nil || ambiguous
	})
	news := 0
	for nid, es := range owners {
		t := names[nid]
		e, ambiguous := n.ownerDuring(es, r)
		switch {
		case t == nil && e != nil && e.StartTicks+youth < r.from:
			e.nameless = true
		case t == nil || e == nil && !ambiguous:
		case ambiguous:
			n.effects.Ambiguous++
		default:
			if e.wanted() {
				news++
			}
			e.setName(t.Name)
		}
	}
	if news > 0 || n.effects.Dumps == 1 {
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
	for _, harmless := range []error{jvm.ErrNoSocket, jvm.ErrNoHandler, jvm.ErrStopped} {
		if errors.Is(err, harmless) { // nothing was done to the target; a young JVM is soon ready
			n.lookWait = min(max(2*n.lookWait, firstLook), minInterval)
			n.wait = n.lookWait
			return
		}
	}
	n.wait = min(2*max(n.wait, minInterval), maxInterval)
}

// Effects is what naming has cost so far.
func (n *Namer) Effects() Effects { return n.effects }

// Err is why the last try to ask the JVM brought nothing; nil after a dump.
func (n *Namer) Err() error { return n.err }

// JVM is the version line of the last dump; "" before one.
func (n *Namer) JVM() string { return n.version }
