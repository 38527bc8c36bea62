package leak

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"vmaleak/vma"
)

// A carrier thread maps memory for the virtual threads that are mounted on it.
// What the stack says was mapped for such a task has books of its own below
// the carrier's: a thread is its own books and those of the tasks together, but
// a pool is one or the other.

// maxCarried bounds the tasks of one thread; those of others are its own.
const maxCarried = 64

// taskOf is the pool of the virtual thread that made a stack, "" for none.
func (l *Ledger) taskOf(stack uint32) string {
	if stack == 0 || l.opt.Stack == nil {
		return ""
	}
	task, asked := l.tasks[stack]
	if !asked {
		if st := l.opt.Stack(stack); st != nil && st.Task != nil {
			task = clean(*st.Task)
		}
		l.tasks[stack] = task
	}
	return task
}

// books is the books that hold what o acquired.
func (s *Space) books(o *vma.Owner) *thread {
	t := s.thread(o.Thread)
	if o.Stack == 0 {
		return t
	}
	return t.carry(s.ledger.taskOf(s.ledger.stackOf(o.Stack)))
}

// carry is t's books of a task. They stay as long as t's.
func (t *thread) carry(task string) *thread {
	if task == "" {
		return t
	}
	c := t.carried[task]
	if c == nil {
		if len(t.carried) >= maxCarried {
			return t
		}
		if t.carried == nil {
			t.carried = map[string]*thread{}
		}
		c = &thread{id: t.id, pool: task, group: task, task: true, accounts: map[sizeKey]*account{}, count: tally{index: t.count.index}}
		t.carried[task] = c
	}
	return c
}

// all yields t's own books, then those of its tasks in order of name.
func (t *thread) all() iter.Seq[*thread] {
	return func(yield func(*thread) bool) {
		if !yield(t) || len(t.carried) == 0 {
			return
		}
		for _, task := range slices.Sorted(maps.Keys(t.carried)) {
			if !yield(t.carried[task]) {
				return
			}
		}
	}
}

// allBooks yields the books of every thread and of their tasks.
func (s *Space) allBooks() iter.Seq[*thread] {
	return func(yield func(*thread) bool) {
		for _, t := range s.threads {
			for c := range t.all() {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// give moves what was acquired with one ticket to another's books of one thread.
func (t *thread) give(to *thread, p *pending) {
	t.acquired -= p.own.acquired
	t.released -= p.own.released
	t.committed -= p.committed
	to.acquired += p.own.acquired
	to.released += p.own.released
	to.committed += p.committed
	p.s.touch(t)
	p.s.touch(to)
	p.s.mark(p.s.lastAt)
}

// Carried is what a thread acquired for the virtual threads of one pool that
// were mounted on it. It is part of the Thread's numbers.
type Carried struct {
	Pool        string     `json:"pool"`
	Outstanding uint64     `json:"outstanding"`
	Committed   uint64     `json:"committed"`
	Mappings    uint64     `json:"mappings"`
	Acquired    uint64     `json:"acquired"`
	Released    uint64     `json:"released"`
	Growth      *int64     `json:"growth_per_hour"`
	Size        *uint64    `json:"size"`
	LastAt      *time.Time `json:"last_at"`
}

// carries reports whether what t carried is part of its numbers.
func (t *Thread) carries() bool {
	var sum Carried
	for _, c := range t.Carried {
		if c.Acquired-c.Released != c.Outstanding || c.Committed > c.Outstanding {
			return false
		}
		sum.Outstanding += c.Outstanding
		sum.Committed += c.Committed
		sum.Mappings += c.Mappings
		sum.Acquired += c.Acquired
		sum.Released += c.Released
	}
	return sum.Outstanding <= t.Outstanding && sum.Committed <= t.Committed && sum.Mappings <= t.Mappings &&
		sum.Acquired <= t.Acquired && sum.Released <= t.Released
}

// carried lists what thread t acquired for tasks, most first.
func (b *builder) carried(t *thread) []Carried {
	list := []Carried{}
	for c := range t.all() {
		if c != t {
			list = append(list, Carried{Pool: c.pool, Outstanding: c.count.bytes, Committed: c.count.committed, Mappings: c.count.calls,
				Acquired: c.acquired, Released: c.released, Size: c.mainSize(), LastAt: b.unix(c.count.last)})
		}
	}
	slices.SortStableFunc(list, func(x, y Carried) int { return cmp.Compare(y.Committed, x.Committed) })
	return list
}
