package leak

import (
	"fmt"
	"slices"
)

// CheckValid returns an error if the document breaks one of its rules: the sum
// rules, mappings disjoint and in order, indexes in range, and names out of
// the closed lists. A snapshot without mappings (Header.Brief) is checked for
// the rest.
func (s *Snapshot) CheckValid() error {
	if s.Schema != Schema {
		return fmt.Errorf("schema is %q, want %q", s.Schema, Schema)
	}
	if s.Source != SourceLive && s.Source != SourceStrace {
		return fmt.Errorf("source is %q", s.Source)
	}
	if s.Processes == nil || s.Warnings == nil {
		return fmt.Errorf("a list is null")
	}
	spaces := map[string]bool{}
	var events Events
	for i, e := range s.Processes {
		if spaces[e.Space] || e.Space == "" {
			return fmt.Errorf("process %d: space %q is not unique", i, e.Space)
		}
		spaces[e.Space] = true
		if err := e.check(); err != nil {
			return fmt.Errorf("process %d, space %s: %w", i, e.Space, err)
		}
		events.Add(&e.Events)
	}
	if events.Received != s.Events.Received || events.Applied != s.Events.Applied || events.Failed != s.Events.Failed ||
		events.Lost != s.Events.Lost || events.Gaps != s.Events.Gaps || events.Resyncs != s.Events.Resyncs ||
		events.Audits != s.Events.Audits || events.DriftBytes != s.Events.DriftBytes || !events.Stacks.equal(&s.Events.Stacks) {
		return fmt.Errorf("events %+v are not the sum over the processes, %+v", s.Events, events)
	}
	return nil
}

func (e *Entry) check() error {
	t := &e.Totals
	if t.Mapped != t.Committed+t.Reserved {
		return fmt.Errorf("mapped %d is not committed %d + reserved %d", t.Mapped, t.Committed, t.Reserved)
	}
	if sum := t.Outstanding + t.Inherited + t.PreExisting + t.Healed; t.Mapped != sum {
		return fmt.Errorf("mapped %d is not outstanding + inherited + pre-existing + healed = %d", t.Mapped, sum)
	}
	if e.Exited != (e.EndedBy != nil) {
		return fmt.Errorf("exited %v, ended by %v", e.Exited, e.EndedBy)
	}
	if e.EndedBy != nil && !slices.Contains([]string{EndedExit, EndedSignal, EndedOOM, EndedExec}, *e.EndedBy) {
		return fmt.Errorf("ended by %q", *e.EndedBy)
	}
	if e.Verified && e.UnverifiedBecause != nil {
		return fmt.Errorf("verified, and unverified because %q", *e.UnverifiedBecause)
	}
	if !slices.Contains([]string{"lock-sequence", "enter-exit", "none"}, e.Backend.Mode) {
		return fmt.Errorf("backend mode %q", e.Backend.Mode)
	}
	for name, null := range map[string]bool{"pids": e.PIDs == nil, "cmdline": e.Cmdline == nil, "pools": e.Pools == nil,
		"threads": e.Threads == nil, "stacks": e.Stacks == nil, "mappings": e.Mappings == nil, "accounts": e.Accounts == nil,
		"suspects": e.Suspects == nil, "retained": e.Retained == nil, "categories": e.Categories == nil, "limits": e.Limits == nil, "series": e.Series == nil} {
		if null {
			return fmt.Errorf("%s is null", name)
		}
	}
	if err := e.Malloc.check(); err != nil {
		return err
	}
	if err := e.checkThreads(); err != nil {
		return err
	}
	if err := e.checkCategories(); err != nil {
		return err
	}
	if err := e.checkStacks(); err != nil {
		return err
	}
	if err := e.checkSuspects(); err != nil {
		return err
	}
	if e.brief {
		return nil
	}
	if err := e.checkMappings(); err != nil {
		return err
	}
	return e.checkAccounts()
}

func (e *Entry) checkThreads() error {
	var outstanding, acquired uint64
	for i := range e.Threads {
		t := &e.Threads[i]
		switch {
		case t.Acquired-t.Released != t.Outstanding:
			return fmt.Errorf("thread %d: acquired %d - released %d is not outstanding %d", i, t.Acquired, t.Released, t.Outstanding)
		case !t.carries():
			return fmt.Errorf("thread %d carried more than it acquired", i)
		case t.Committed > t.Outstanding:
			return fmt.Errorf("thread %d: committed %d of outstanding %d", i, t.Committed, t.Outstanding)
		case (t.Mappings == 0) != (t.Outstanding == 0):
			return fmt.Errorf("thread %d: %d mappings hold %d bytes", i, t.Mappings, t.Outstanding)
		}
		if i > 0 {
			p := &e.Threads[i-1]
			if tid, before := number(t.TID), number(p.TID); tid < before || tid == before && start(t) <= start(p) {
				return fmt.Errorf("thread %d is not in order of tid and start", i)
			}
		}
		outstanding += t.Outstanding
		acquired += t.Acquired
	}
	if outstanding != e.Totals.Outstanding {
		return fmt.Errorf("threads hold %d bytes, outstanding is %d", outstanding, e.Totals.Outstanding)
	}
	if g := &e.ThreadsGone; g.Acquired != g.Released {
		return fmt.Errorf("threads gone acquired %d and released %d", g.Acquired, g.Released)
	}
	var pooled, got uint64
	for i := range e.Pools {
		p := &e.Pools[i]
		pooled, got = pooled+p.Outstanding, got+p.Acquired
		if p.Acquired-p.Released != p.Outstanding {
			return fmt.Errorf("pool %q: acquired %d - released %d is not outstanding %d", p.Name, p.Acquired, p.Released, p.Outstanding)
		}
	}
	if pooled != outstanding || got != acquired {
		return fmt.Errorf("pools hold %d of %d bytes, threads %d of %d", pooled, got, outstanding, acquired)
	}
	return nil
}

func number(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func start(t *Thread) uint64 {
	if t.StartTicks == nil {
		return 0
	}
	return *t.StartTicks
}

// held is what a thread's rows add up to.
type held struct{ bytes, committed, calls uint64 }

func (e *Entry) checkMappings() error {
	var sum, committed uint64
	byOrigin := map[string]uint64{}
	threads := make([]held, len(e.Threads))
	pieces := map[callOf]bool{}
	var end Addr
	for i := range e.Mappings {
		m := &e.Mappings[i]
		switch {
		case m.Length == 0:
			return fmt.Errorf("mapping %d is empty", i)
		case (m.Start == nil) != (m.End == nil):
			return fmt.Errorf("mapping %d has half an address", i)
		case m.Start != nil && (*m.Start < end || uint64(*m.End-*m.Start) != m.Length || *m.End <= *m.Start):
			return fmt.Errorf("mapping %d, %v-%v of %d bytes after %v", i, *m.Start, *m.End, m.Length, end)
		case m.Committed != 0 && m.Committed != m.Length || (m.Prot == "---") != (m.Committed == 0):
			return fmt.Errorf("mapping %d: %d of %d bytes committed, %s", i, m.Committed, m.Length, m.Prot)
		case m.Kind != "anon" && m.Kind != "heap":
			return fmt.Errorf("mapping %d is of kind %q", i, m.Kind)
		}
		if m.End != nil {
			end = *m.End
		}
		if err := m.checkPages(); err != nil {
			return fmt.Errorf("mapping %d: %w", i, err)
		}
		sum += m.Length
		committed += m.Committed
		byOrigin[m.Origin] += m.Length
		traced := m.Origin == "traced" || m.Origin == "inferred"
		if traced != (m.Thread != nil) {
			return fmt.Errorf("mapping %d is %s, its thread is %v", i, m.Origin, m.Thread)
		}
		if !traced {
			continue
		}
		if *m.Thread < 0 || *m.Thread >= len(e.Threads) {
			return fmt.Errorf("mapping %d: no thread %d", i, *m.Thread)
		}
		if m.Call == nil || m.AcquiredLength == nil || m.Op == nil || m.Calls == 0 {
			return fmt.Errorf("mapping %d is %s without a call", i, m.Origin)
		}
		if number(e.Threads[*m.Thread].TID) != number(m.TID) {
			return fmt.Errorf("mapping %d: tid %d, thread's tid %d", i, number(m.TID), number(e.Threads[*m.Thread].TID))
		}
		h := &threads[*m.Thread]
		h.bytes += m.Length
		h.committed += m.Committed
		calls := uint64(m.Calls)
		if m.Length != *m.AcquiredLength {
			if k := (callOf{*m.Thread, *m.Call}); pieces[k] {
				calls = 0
			} else {
				pieces[k] = true
			}
		}
		h.calls += calls
	}
	t := &e.Totals
	if sum != t.Mapped || committed != t.Committed {
		return fmt.Errorf("mappings are %d bytes, %d committed; totals %d and %d", sum, committed, t.Mapped, t.Committed)
	}
	if byOrigin["traced"]+byOrigin["inferred"] != t.Outstanding || byOrigin["inherited"] != t.Inherited ||
		byOrigin["pre-existing"] != t.PreExisting || byOrigin["healed"] != t.Healed {
		return fmt.Errorf("mappings by origin %v, totals %+v", byOrigin, *t)
	}
	for i, h := range threads {
		d := &e.Threads[i]
		if (h != held{d.Outstanding, d.Committed, d.Mappings}) {
			return fmt.Errorf("thread %d: its mappings are %+v, it says %d, %d and %d", i, h, d.Outstanding, d.Committed, d.Mappings)
		}
	}
	return nil
}

// carriedBy tells what one thread acquired for the virtual threads of one pool.
type carriedBy struct {
	thread int
	task   string
}

func (e *Entry) checkAccounts() error {
	acquired, released := make([]uint64, len(e.Threads)), make([]uint64, len(e.Threads))
	freed := make([]uint64, len(e.Threads))
	tasks := map[carriedBy]Carried{}
	for i := range e.Accounts {
		a := &e.Accounts[i]
		if a.Thread < 0 || a.Thread >= len(e.Threads) {
			return fmt.Errorf("account %d: no thread %d", i, a.Thread)
		}
		if a.Released > a.Acquired || a.ReleasedCount > a.AcquiredCount {
			return fmt.Errorf("account %d: released more than acquired", i)
		}
		if a.Task != nil {
			k := carriedBy{a.Thread, *a.Task}
			tasks[k] = Carried{Acquired: tasks[k].Acquired + a.Acquired, Released: tasks[k].Released + a.Released}
		}
		acquired[a.Thread] += a.Acquired
		released[a.Thread] += a.Released
		var by uint64
		for _, r := range a.ReleasedBy {
			by += r.Bytes
			if r.Thread != nil {
				if *r.Thread < 0 || *r.Thread >= len(e.Threads) {
					return fmt.Errorf("account %d: released by no thread %d", i, *r.Thread)
				}
				freed[*r.Thread] += r.Bytes
			}
		}
		if by != a.Released {
			return fmt.Errorf("account %d: released %d, by threads together %d", i, a.Released, by)
		}
	}
	for i := range e.Threads {
		t := &e.Threads[i]
		if acquired[i] != t.Acquired || released[i] != t.Released || freed[i] > t.Freed {
			return fmt.Errorf("thread %d: accounts acquired %d, released %d, freed %d; it says %d, %d, %d",
				i, acquired[i], released[i], freed[i], t.Acquired, t.Released, t.Freed)
		}
		for _, c := range t.Carried {
			k := carriedBy{i, c.Pool}
			if sum := tasks[k]; sum.Acquired != c.Acquired || sum.Released != c.Released {
				return fmt.Errorf("thread %d carried %q: accounts acquired %d, released %d; it says %d, %d",
					i, c.Pool, sum.Acquired, sum.Released, c.Acquired, c.Released)
			}
			delete(tasks, k)
		}
	}
	for k := range tasks {
		return fmt.Errorf("accounts of %q, which thread %d did not carry", k.task, k.thread)
	}
	return nil
}
