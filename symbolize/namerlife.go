package symbolize

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// add begins the life of a thread.
func (n *Namer) add(tid int, st stat) *entry {
	key := threadKey{tid, st.StartTicks}
	if e := n.threads[key]; e != nil { // counted dead too early: it lives
		if !e.Alive {
			e.Alive, e.GoneAt, e.goneTick = true, time.Time{}, 0
			n.dead--
		}
		n.live[tid] = e
		e.setComm(st.Comm)
		return e
	}
	comm := validText(st.Comm)
	e := &entry{Thread: Thread{
		TID: tid, NSTID: n.nstid(tid), StartTicks: st.StartTicks, StartedAt: timeOf(n.boot, st.StartTicks),
		Comm: comm, Pool: Pool(comm), Alive: true,
	}, tickets: n.tickets}
	n.threads[key] = e
	n.live[tid] = e
	return e
}

// bury marks a thread dead. It keeps its last name.
func (n *Namer) bury(e *entry, now time.Time, tick uint64) {
	e.Alive, e.GoneAt, e.goneTick = false, now, tick
	n.clock++
	e.used = n.clock
	n.dead++
	if n.live[e.TID] == e {
		delete(n.live, e.TID)
	}
}

// evict forgets dead threads above the bound, those first that were not asked
// for (or alive) for the longest time; an eighth at a time.
func (n *Namer) evict() {
	if n.dead <= maxDead {
		return
	}
	gone := make([]*entry, 0, n.dead)
	for _, e := range n.threads {
		if !e.Alive {
			gone = append(gone, e)
		}
	}
	slices.SortFunc(gone, func(a, b *entry) int {
		if a.used < b.used {
			return -1
		}
		return 1
	})
	for _, e := range gone[:len(gone)-maxDead*7/8] {
		delete(n.threads, e.key())
		n.dead--
		n.effects.Forgotten++
	}
}

// nstid is the TID of a thread in its own PID namespace: the last number of
// NSpid in /proc/PID/task/TID/status; 0 if the thread has gone.
func (n *Namer) nstid(tid int) int {
	if n.sameNS {
		return tid
	}
	b, err := readSmallAt(int(n.dir.Fd()), "task/"+strconv.Itoa(tid)+"/status", make([]byte, maxLine))
	if err != nil {
		return 0
	}
	return parseNSpid(b)
}

// parseNSpid is the last number of the line NSpid of a status file, 0 without one.
//
// Note: procfs.Proc.NewStatus would parse sixty lines for this one.
func parseNSpid(status []byte) int {
	_, rest, ok := bytes.Cut(status, []byte("\nNSpid:"))
	if !ok {
		return 0
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) == 0 {
		return 0
	}
	id, err := strconv.Atoi(string(fields[len(fields)-1]))
	if err != nil {
		return 0
	}
	return id
}
