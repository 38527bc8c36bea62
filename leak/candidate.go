package leak

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// candidate is groups that are judged together.
type candidate struct {
	kinds  []kind
	groups []*group
	sums   *sums
	level  level // whole
	extra  level // without what each living thread got first
	shape
	end *end // nil: no limit is in sight
}

// candidate puts the groups of kinds together and judges them.
func (b *builder) candidate(kinds []kind, together bool) *candidate {
	s := b.s
	c := &candidate{kinds: kinds, sums: &sums{least: ^uint64(0)}}
	var gone []*track
	seen := map[*turnover]bool{}
	for _, k := range kinds {
		c.groups = append(c.groups, s.groups[k])
		c.sums.merge(b.sums[k])
		if t := s.turnoverOf(k); t != nil && !seen[t] {
			seen[t] = true
			gone = append(gone, &t.track)
		}
	}
	now := max(b.at.UnixNano(), s.lastAt)
	c.level = levelOf(c.groups, c.sums.arrivals, gone, now)
	c.extra = c.level
	if first := b.first(c.sums.arrivals); len(first) > 0 {
		c.extra = c.level.without(first)
	}
	c.shape = judge(&c.level, &c.extra, b.demands(kinds[0], together), s.openedAt.UnixNano(), now)
	return c
}

// first is what each living thread got first, of arrivals in order. A thread
// that is gone leaves nothing that it may still need.
func (b *builder) first(arrivals []arrival) []arrival {
	var out []arrival
	had := map[*thread]bool{}
	for _, a := range arrivals {
		if !had[a.t] && b.living(a.t) {
			out = append(out, a)
		}
		had[a.t] = true
	}
	return out
}

// living reports whether a thread may live.
func (b *builder) living(t *thread) bool {
	f := b.facts[t.id]
	return f == nil && b.h.Source != SourceLive || f != nil && (f.Alive || b.h.Source != SourceLive)
}

// suspectable reports whether memory of a category can be suspected. The virtual machine
// keeps books of its own of the others, and gives them limits.
func suspectable(category string) bool {
	return category != JavaHeap && category != GC && category != CodeCache
}

const youngJVM = 2 * time.Minute // classes are still being loaded

// demands is what growth of a kind must have.
func (b *builder) demands(k kind, together bool) demands {
	// Of twenty one is what the thread got first, and the next marks the beginning.
	d := demands{rises: 18, few: 6, span: minSpan, bytes: minBytes, stairs: true}
	if together { // many things that grow once each look like one that grows for ever
		d.rises, d.few, d.span, d.bytes = 30, 0, int64(15*time.Second), 2*minBytes
	}
	switch {
	case compiler(k.pool): // what it needs at once is as much as the largest method wants
		d = demands{rises: 60, span: int64(10 * time.Minute), bytes: 32 * minBytes}
	case vmThread(k.pool):
		d = demands{rises: 40, span: int64(2 * time.Minute), bytes: 8 * minBytes}
	case k.category == Metaspace || k.category == ClassSpace:
		d.few = 0
		if start := b.s.p.StartedAt; start.IsZero() || b.s.openedAt.Sub(start) < youngJVM {
			d.span = max(d.span, int64(20*time.Second))
		}
	case k.category == ThreadStack:
		d.few = 8
	}
	return d
}

// compiler reports whether a pool is the JIT compilers', by its whole name or the kernel's 15 bytes of it.
func compiler(pool string) bool {
	return strings.HasPrefix(pool, "C#") && strings.Contains(pool, "Compile") || // C#: a counter in the name
		strings.HasPrefix(pool, "C1 Compile") || strings.HasPrefix(pool, "C2 Compile") || strings.HasPrefix(pool, "JVMCI")
}

// vmThread reports whether a pool is of threads that the virtual machine runs for itself.
func vmThread(pool string) bool {
	for _, prefix := range [...]string{"VM Thread", "VM Periodic", "G# ", "G1 ", "GC Thread", "GC task", "ParGC", "Concurrent Mark", "Shenandoah",
		"ZDirector", "ZDriver", "ZWorker", "ZStat", "ZUncommitter", "ZUnmapper", "XWorker", "Monitor Ctrl", "Monitor Deflat",
		"Service Thread", "Signal Dispatch", "Sweeper", "Reference Handl", "Notification T", "Attach Listener"} {
		if strings.HasPrefix(pool, prefix) {
			return true
		}
	}
	return false
}

// candidates are those that a verdict stands for: single groups that grow,
// those of one place or pool together, and what is left together.
func (b *builder) candidates() []*candidate {
	var left []kind
	var found []*candidate
	done := map[kind]bool{}
	for _, k := range slices.SortedFunc(maps.Keys(b.sums), kind.compare) {
		if !suspectable(k.category) || b.sums[k].committed == 0 || done[k] {
			continue
		}
		if b.sums[k].committed >= minBytes {
			kinds := b.withMain(k)
			if c := b.candidate(kinds, false); c.verdict > healthy {
				found = append(found, c)
				for _, k := range kinds {
					done[k] = true
				}
				continue
			}
		}
		left = append(left, k)
	}
	left = slices.DeleteFunc(left, func(k kind) bool { return done[k] })
	found = b.unite(found, func(k kind) kind { return kind{k.pool, k.category, k.place, 0} }, 2)
	found = b.unite(found, func(k kind) kind { return kind{k.pool, k.category, 0, 0} }, 4)
	found = b.unite(found, func(k kind) kind { return kind{"", k.category, 0, 0} }, 8)
	for _, of := range [...]func(k kind) kind{
		func(k kind) kind { return kind{k.pool, k.category, k.place, 0} },
		func(k kind) kind { return kind{k.pool, k.category, 0, 0} },
		func(k kind) kind { return kind{"", k.category, k.place, 0} },
		func(k kind) kind { return kind{"", k.category, 0, 0} },
	} {
		var more []*candidate
		more, left = b.together(left, of)
		found = append(found, more...)
	}
	return explained(slices.DeleteFunc(found, func(c *candidate) bool { return b.retention(c) }))
}

// withMain is k, and of an arena's kind the main arena's as well: the threads of a
// pool get one or the other. What holds more comes first.
func (b *builder) withMain(k kind) []kind {
	other := k
	switch k.category {
	case MallocArena:
		other.category = BrkHeap
	case BrkHeap:
		other.category = MallocArena
	default:
		return []kind{k}
	}
	switch o := b.sums[other]; {
	case o == nil || o.committed < minBytes:
		return []kind{k}
	case o.committed > b.sums[k].committed:
		return []kind{other, k}
	}
	return []kind{k, other}
}

// unite puts candidates together that differ by what of leaves out, where there
// are so many and they still grow together.
func (b *builder) unite(found []*candidate, of func(kind) kind, least int) []*candidate {
	byKind := map[kind][]*candidate{}
	var order []kind
	for _, c := range found {
		k := of(c.kinds[0])
		if byKind[k] == nil {
			order = append(order, k)
		}
		byKind[k] = append(byKind[k], c)
	}
	var out []*candidate
	for _, k := range order {
		list := byKind[k]
		if len(list) >= least {
			var kinds []kind
			most := healthy
			for _, c := range list {
				kinds, most = append(kinds, c.kinds...), max(most, c.verdict)
			}
			if c := b.candidate(kinds, false); c.verdict > healthy {
				c.verdict = max(c.verdict, most)
				list = []*candidate{c}
			}
		}
		out = append(out, list...)
	}
	return out
}

// together judges kinds that no verdict stands for alone.
func (b *builder) together(kinds []kind, of func(kind) kind) (found []*candidate, left []kind) {
	byKind := map[kind][]kind{}
	var order []kind
	for _, k := range kinds {
		if compiler(k.pool) || vmThread(k.pool) {
			continue
		}
		if byKind[of(k)] == nil {
			order = append(order, of(k))
		}
		byKind[of(k)] = append(byKind[of(k)], k)
	}
	for _, k := range order {
		if list := byKind[k]; len(list) > 1 {
			if c := b.candidate(list, true); c.verdict > healthy {
				found = append(found, c)
				continue
			}
		}
		left = append(left, byKind[k]...)
	}
	return found, left
}

// retention reports whether an arena grew because what was freed inside it is
// kept: what malloc holds free grew by half as much, or more.
func (b *builder) retention(c *candidate) bool {
	kept := b.s.free[c.kinds[0].category]
	if kept == nil {
		return false
	}
	free := level{}
	for _, s := range sum(kept) {
		free.at, free.v = append(free.at, s.at), append(free.v, s.v)
	}
	if len(free.at) < 2 {
		return false
	}
	now := c.level.at[len(c.level.at)-1]
	if free.at[0] > c.since+(now-c.since)/3 {
		return false // it was not looked at early enough
	}
	from := max(c.since, free.at[0])
	grew := c.level.v[len(c.level.v)-1] - min(c.level.before(from), c.level.v[len(c.level.v)-1])
	freed := free.v[len(free.v)-1] - min(free.before(from), free.v[len(free.v)-1])
	return grew > 0 && 2*freed >= grew
}

// rank orders candidates: the surest first, then what grows fastest.
func rank(x, y *candidate) int {
	rate := func(c *candidate) int64 {
		if c.growth.PerHour == nil {
			return 0
		}
		return *c.growth.PerHour
	}
	return cmp.Or(cmp.Compare(y.verdict, x.verdict), cmp.Compare(rate(y), rate(x)), cmp.Compare(y.sums.committed, x.sums.committed), x.kinds[0].compare(y.kinds[0]))
}
