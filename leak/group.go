package leak

import (
	"cmp"
	"math/bits"
	"slices"

	"vmaleak/vma"
)

// kind is what outstanding memory is grouped by.
type kind struct {
	pool, category string
	place          uint32 // 0 where it tells nothing: what malloc carves up belongs to whoever came first
	class          uint8  // sizes from 1<<(class-1) on, 0 = mixed
}

func (k kind) compare(o kind) int {
	return cmp.Or(cmp.Compare(k.pool, o.pool), cmp.Compare(k.category, o.category), cmp.Compare(k.place, o.place), cmp.Compare(k.class, o.class))
}

// rest is the place of the groups that were too many.
const rest = ^uint32(0)

// group is how much memory of one kind was held over time.
type group struct {
	level track // committed and outstanding bytes
	calls track // that hold it
	zero  int64 // since when it holds nothing, 0: it holds something
}

const (
	maxGroups   = 384          // with a track of their own, of one space
	sampleEvery = int64(250e6) // at most so often
	sampleRow   = int64(100e3) // and so long for each row: looking at it takes a four-hundredth of that
	groupAge    = int64(600e9)
)

// sums is what the rows of one kind add up to now.
type sums struct {
	committed, outstanding, calls uint64
	most, least                   uint64 // acquired in one call

	arrivals []arrival
	stacks   map[uint32]*stackSum
	threads  map[*thread]*threadSum
	first    int64
	last     int64
	memory   inMemory
}

// arrival is memory still here, and when it came.
type arrival struct {
	at    int64
	bytes uint64
	t     *thread
}

type stackSum struct {
	bytes uint64
	last  int64
}

type threadSum struct{ bytes, calls uint64 }

// sizeClass is the class of calls of n bytes.
func sizeClass(n uint64) uint8 { return uint8(bits.Len64(n)) }

// kindOf is the kind of a, which the books t hold.
func (s *Space) kindOf(a *vma.Area, t *thread, category string) kind {
	k := kind{pool: t.group, category: category}
	switch category {
	case MallocArena, BrkHeap, Metaspace, ClassSpace, CodeCache, JavaHeap, GC:
		return k
	}
	k.place = s.ledger.place(s.ledger.stackOf(a.Stack))
	if a.Op != vma.OpBrk && a.Op != vma.OpMprotect {
		k.class = sizeClass(a.Acquired)
	}
	return k
}

// rowsByKind looks at every row and sums them up by kind. With full it says
// when the rows came and who acquired them, too.
func (s *Space) rowsByKind(b *builder, full bool) map[kind]*sums {
	all := map[kind]*sums{}
	type source struct {
		t        *thread
		category string
		stack    uint32
		class    uint8
	}
	cache := map[source]*sums{}
	inside := pages{list: b.pages.list}
	rows := int64(0)
	s.rows(func(a *vma.Area, _ bool) bool {
		rows++
		if !owned(&a.Owner) {
			return true
		}
		t := s.books(&a.Owner)
		category := b.category(a)
		from := source{t, category, a.Stack, sizeClass(a.Acquired)}
		if a.Op == vma.OpBrk || a.Op == vma.OpMprotect {
			from.class = 0
		}
		g := cache[from]
		if g == nil {
			k := s.kindOf(a, t, category)
			if g = all[k]; g == nil {
				g = &sums{least: ^uint64(0)}
				if full {
					g.stacks, g.threads = map[uint32]*stackSum{}, map[*thread]*threadSum{}
				}
				all[k] = g
			}
			cache[from] = g
		}
		g.add(a, t, full)
		if full && a.Committed() > 0 {
			m := inside.of(a.Range)
			g.memory.add(&m)
		}
		return true
	})
	rows += s.sampleBlocks(all, full)
	s.sampleGap = max(sampleEvery, rows*sampleRow)
	return all
}

// record adds what each group holds to its track.
func (s *Space) record(at int64, all map[kind]*sums) {
	s.sampledAt, s.sampleNext = at, at+s.sampleGap
	for k, g := range s.groups {
		var held sums
		if sum := all[k]; sum != nil {
			held = *sum
		}
		g.level.add(at, int64(held.committed), held.outstanding)
		g.calls.add(at, int64(held.calls), 0)
		switch {
		case held.outstanding > 0:
			g.zero = 0
		case g.zero == 0:
			g.zero = at
		case at-g.zero > groupAge && len(s.groups) > maxGroups/2:
			delete(s.groups, k)
		}
	}
}

// add counts the row a, which t acquired.
func (g *sums) add(a *vma.Area, t *thread, full bool) {
	committed := a.Committed()
	g.committed += committed
	g.outstanding += a.Len()
	g.calls += uint64(a.Calls)
	if !full || committed == 0 {
		return
	}
	size := a.Acquired / uint64(max(a.Calls, 1))
	g.most, g.least = max(g.most, size), min(g.least, size)
	if g.first == 0 || a.At < g.first {
		g.first = a.At
	}
	g.last = max(g.last, a.At)
	if a.Calls <= 1 { // a merged row has the time of its earliest call only
		g.arrivals = append(g.arrivals, arrival{a.At, committed, t})
	}
	st := g.stacks[a.Stack]
	if st == nil {
		st = &stackSum{}
		g.stacks[a.Stack] = st
	}
	st.bytes += committed
	st.last = max(st.last, a.At)
	th := g.threads[t]
	if th == nil {
		th = &threadSum{}
		g.threads[t] = th
	}
	th.bytes += committed
	th.calls += uint64(a.Calls)
}

// merge adds o to g.
func (g *sums) merge(o *sums) {
	g.committed += o.committed
	g.outstanding += o.outstanding
	g.calls += o.calls
	g.memory.add(&o.memory)
	g.most, g.least = max(g.most, o.most), min(g.least, o.least)
	if g.first == 0 || o.first != 0 && o.first < g.first {
		g.first = o.first
	}
	g.last = max(g.last, o.last)
	g.arrivals = append(g.arrivals, o.arrivals...)
	if o.stacks != nil && g.stacks == nil {
		g.stacks, g.threads = map[uint32]*stackSum{}, map[*thread]*threadSum{}
	}
	for k, st := range o.stacks {
		mine := g.stacks[k]
		if mine == nil {
			mine = &stackSum{}
			g.stacks[k] = mine
		}
		mine.bytes += st.bytes
		mine.last = max(mine.last, st.last)
	}
	for k, th := range o.threads {
		mine := g.threads[k]
		if mine == nil {
			mine = &threadSum{}
			g.threads[k] = mine
		}
		mine.bytes += th.bytes
		mine.calls += th.calls
	}
}

// fold gives the kinds that are new a group, those that hold most first, and
// the rest of them one by pool and category, or at last by category.
func (s *Space) fold(all map[kind]*sums) {
	var fresh []kind
	for k := range all {
		if s.groups[k] == nil {
			fresh = append(fresh, k)
		}
	}
	slices.SortFunc(fresh, func(x, y kind) int {
		if a, b := all[x].committed, all[y].committed; a != b {
			if a > b {
				return -1
			}
			return 1
		}
		return x.compare(y)
	})
	if s.groups == nil {
		s.groups = map[kind]*group{}
	}
	for _, k := range fresh {
		into := k
		for _, o := range [...]kind{k, {k.pool, k.category, rest, 0}, {"", k.category, rest, 0}} {
			into = o
			if most := maxGroups; s.groups[o] != nil || len(s.groups) < most || o.place == rest && (o.pool == "" || len(s.groups) < 2*most) {
				break
			}
		}
		if s.groups[into] == nil {
			s.groups[into] = &group{}
		}
		if into == k {
			continue
		}
		sum := all[k]
		delete(all, k)
		if all[into] == nil {
			all[into] = sum
		} else {
			all[into].merge(sum)
		}
	}
}
