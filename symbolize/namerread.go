package symbolize

import (
	"errors"
	"fmt"
	"math"
	"time"

	"vmaleak/symbolize/hotspot"
)

const (
	minReading = 200 * time.Millisecond // between two readings of a target
	share      = 50                     // a reading may take one part in so many of the time
)

// readings is the part of a Namer that reads names out of the JVM's memory. The JVM notices nothing of it.
type readings struct {
	vm *hotspot.VM // the running Fetch's
	// read reads the threads and the JVM's version; a test may put another in its place.
	read       func() ([]hotspot.Thread, string, error)
	readAt     time.Time     // of the last reading; zero before the first
	readWait   time.Duration // from then until the next one
	unreadable error         // why the last one brought nothing
}

// mayRead reports whether names may be read now: at once at the start, then for threads with events that have no name; at
// the end (all) whatever there is, since names change.
func (n *Namer) mayRead(all bool, now time.Time) bool {
	if n.gone || !n.becameJVM(now) {
		return false
	}
	if all || n.readAt.IsZero() {
		return true
	}
	return now.Sub(n.readAt) >= n.readWait && (n.unreadable != nil || n.anyWanted(false))
}

// untold reports whether the JVM's memory has proven not to tell names; one that still starts is given time.
func (n *Namer) untold() bool {
	return n.unreadable != nil && !errors.Is(n.unreadable, hotspot.ErrNotReady)
}

// readVM is Namer.read: it belongs to Fetch.
func (n *Namer) readVM() ([]hotspot.Thread, string, error) {
	if err := n.stillThere(); err != nil {
		return nil, "", err
	}
	if n.vm == nil {
		vm, err := hotspot.Attach(n.pid)
		if err != nil {
			return nil, "", fmt.Errorf("names of process %d: %w", n.pid, err)
		}
		n.vm = vm
	}
	threads, err := n.vm.Threads()
	if err != nil {
		n.vm = nil
		return nil, "", fmt.Errorf("names of process %d: %w", n.pid, err)
	}
	return threads, n.vm.Version().Release, n.stillThere() // they may be another process's
}

// adoptReading takes the names over that were read. Which thread has a name is decided as for a dump (see Adopt), but only
// threads whose name changes are looked at again, since there are many readings.
func (n *Namer) adoptReading(r Result, now time.Time) {
	began := time.Now()
	n.readAt, n.unreadable = now, r.readErr
	if r.readErr != nil {
		n.gone = n.gone || errors.Is(r.readErr, ErrGone)
		n.readWait = min(2*max(n.readWait, minReading), maxInterval)
		if errors.Is(r.readErr, hotspot.ErrNotReady) {
			n.readWait = min(n.readWait, firstLook)
		}
		return
	}
	n.effects.Readings++
	n.version = r.release
	_ = n.refresh(now, 0) // a process that has ended keeps the names
	owners := n.owners()
	names := make(map[int]string, len(r.threads))
	for _, t := range r.threads {
		if !t.Named {
			n.effects.Unread++
			delete(owners, t.TID) // nothing is known of it, so it is not nameless either
			continue
		}
		names[t.TID] = t.Name
		if es := owners[t.TID]; len(es) > 0 && n.changes(es, t.Name) {
			owners[t.TID] = n.recheck(es, now)
		}
	}
	n.give(owners, names, r)
	n.readWait = max(minReading, share*(r.readTook+time.Since(began)))
}

// changes reports whether one of a TID's owners is not called so yet.
func (n *Namer) changes(es []*entry, name string) bool {
	for _, e := range es {
		if e.Alive && (!e.named || *e.Name != kept(name)) {
			return true
		}
	}
	return false
}

// recheck finds out whether another thread has a TID by now, and returns all its owners.
func (n *Namer) recheck(es []*entry, now time.Time) []*entry {
	for _, e := range es {
		if !e.Alive || n.dir == nil {
			continue
		}
		st, err := n.readTask(e.TID)
		switch {
		case err != nil:
			n.bury(e, now, bootTicks())
		case st.StartTicks != e.StartTicks:
			n.bury(e, now, bootTicks())
			return append(es, n.add(e.TID, st))
		}
	}
	return es
}

// owners are the threads, live and dead, by their TID inside.
func (n *Namer) owners() map[int][]*entry {
	owners := map[int][]*entry{}
	for _, e := range n.threads {
		if e.NSTID != 0 {
			owners[e.NSTID] = append(owners[e.NSTID], e)
		}
	}
	return owners
}

// give gives the names that a dump or a reading has by TID to those who had the TIDs, and returns how many were wanted.
func (n *Namer) give(owners map[int][]*entry, names map[int]string, r Result) (news int) {
	for nid, es := range owners {
		name, told := names[nid]
		e, ambiguous := n.ownerDuring(es, r)
		switch {
		case !told && e != nil && e.StartTicks+youth < r.from:
			e.nameless = e.nameless || !e.named
		case !told || e == nil && !ambiguous:
		case ambiguous:
			n.effects.Ambiguous++
		default:
			if e.wanted() {
				news++
			}
			e.setName(name)
		}
	}
	return news
}

// forever is how long a Refresh of all known threads may be.
const forever = math.MaxInt / 2
