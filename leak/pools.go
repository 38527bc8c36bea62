package leak

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"
)

// growth judges threads, pools and the whole, and says what could not have
// been seen where nothing grows.
func (b *builder) growth() {
	s, e := b.s, b.e
	since, now := s.openedAt.UnixNano(), max(b.at.UnixNano(), s.lastAt)
	warmup := s.ledger.opt.Warmup
	grows := false
	judge := func(samples []sample) (Growth, *Steps) {
		g, st := growth(samples, since, now, warmup)
		grows = grows || g.Significant
		return g, st
	}
	e.Growth, e.Steps = judge(sum(&s.all))
	for i, t := range b.list {
		if d := &e.Threads[i]; t != nil && d.Committed > 0 {
			g, st := judge(sum(t.tracks()...))
			d.Growth, d.Steps = g.PerHour, st
			for k := range d.Carried {
				g, _ := judge(sum(&t.carried[d.Carried[k].Pool].track))
				d.Carried[k].Growth = g.PerHour
			}
		}
	}
	b.pools()
	for i := range e.Pools {
		e.Pools[i].Growth, e.Pools[i].Steps = judge(b.poolSamples(e.Pools[i].Name))
	}
	if !grows {
		e.Floor = b.floor()
	}
}

// poolSamples is what a pool held over time, its folded threads included.
func (b *builder) poolSamples(name string) []sample {
	var tracks []*track
	if past := b.s.poolsGone[name]; past != nil {
		tracks = append(tracks, past)
	}
	for _, t := range b.parts(name) {
		tracks = append(tracks, &t.track)
	}
	return sum(tracks...)
}

// parts yields the books that count to a pool, with the index of their thread.
func (b *builder) parts(name string) iter.Seq2[int, *thread] {
	return func(yield func(int, *thread) bool) {
		for i, t := range b.list {
			if t == nil {
				continue
			}
			for c := range t.all() {
				if b.poolOf(i, c) == name && !yield(i, c) {
					return
				}
			}
		}
	}
}

// poolOf is the name of the pool that books of thread i count to.
func (b *builder) poolOf(i int, t *thread) string {
	if t.task {
		return t.pool
	}
	return b.group(i)
}

// tracks are those of t and of its tasks.
func (t *thread) tracks() (list []*track) {
	for c := range t.all() {
		list = append(list, &c.track)
	}
	return list
}

// group is the name of the pool that thread i counts to.
func (b *builder) group(i int) string {
	if !b.nameless(i) {
		return clean(b.facts[b.ids[i]].group())
	}
	if t := b.list[i]; t != nil {
		if size := t.mainSize(); size != nil {
			return b.likely[*size]
		}
	}
	return ""
}

// nameless reports whether nothing at all names thread i.
func (b *builder) nameless(i int) bool {
	f := b.facts[b.ids[i]]
	return f == nil || f.Name == nil && f.Pool == "" && f.Comm == ""
}

// likelyPools finds the sizes of which one named pool only holds mappings.
func (b *builder) likelyPools() {
	b.likely = map[uint64]string{}
	shared := map[uint64]bool{}
	for i, t := range b.list {
		if t == nil || b.nameless(i) {
			continue
		}
		size, name := t.mainSize(), clean(b.facts[b.ids[i]].group())
		if size == nil || *size < minKind {
			continue
		}
		if other, ok := b.likely[*size]; ok && other != name {
			shared[*size] = true
		}
		b.likely[*size] = name
	}
	for size := range shared {
		delete(b.likely, size)
	}
}

// minKind is the least length of call that tells a kind of memory.
const minKind = 1 << 20

// poolSums are the sums of one pool in the making.
type poolSums struct {
	Pool
	held   sizes
	last   int64
	memory inMemory
	stacks map[uint32]*PoolStack
}

// pools sums the threads by pool: those that acquired anything, largest first.
func (b *builder) pools() {
	byName := map[string]*poolSums{}
	for i, t := range b.list {
		if t == nil {
			continue
		}
		for c := range t.all() {
			if c.acquired == 0 {
				continue
			}
			name := b.poolOf(i, c)
			p := byName[name]
			if p == nil {
				p = &poolSums{Pool: Pool{Name: name}, held: sizes{}, stacks: map[uint32]*PoolStack{}}
				byName[name] = p
			}
			if c.count.bytes > 0 && !c.task && name != "" && b.nameless(i) {
				p.Unnamed++
			}
			p.add(b, c)
		}
	}
	for _, p := range byName {
		p.Size, p.LastAt = p.held.main(), b.unix(p.last)
		p.Resident = b.whole(&p.memory)
		p.Stacks = b.topStacks(p.stacks)
		b.e.Pools = append(b.e.Pools, p.Pool)
	}
	slices.SortFunc(b.e.Pools, func(x, y Pool) int {
		return cmp.Or(cmp.Compare(y.Committed, x.Committed), cmp.Compare(y.Outstanding, x.Outstanding), cmp.Compare(x.Name, y.Name))
	})
	b.before()
}

// add adds what t holds.
func (p *poolSums) add(b *builder, t *thread) {
	if t.count.bytes > 0 {
		p.Threads++
	}
	p.Virtual = p.Virtual || t.task
	p.Outstanding += t.count.bytes
	p.Committed += t.count.committed
	p.Mappings += t.count.calls
	p.Acquired += t.acquired
	p.Released += t.released
	p.Freed += t.freed
	p.last = max(p.last, t.count.last)
	p.held.add(t)
	p.memory.add(&t.count.memory)
	b.stacksOf(t, p.stacks)
}

// before tells what there was of each pool's kind before the trace: committed
// rows whose length is a multiple of the pool's size, as the kernel merges
// neighbours. It cannot be told for small sizes, nor where two pools share one.
func (b *builder) before() {
	if b.h.Source != SourceLive {
		return // a log does not show it
	}
	owner := map[uint64]*Pool{}
	for i := range b.e.Pools {
		p := &b.e.Pools[i]
		if p.Size == nil || *p.Size < minKind || p.Committed == 0 {
			continue
		}
		if other, taken := owner[*p.Size]; taken {
			if other != nil {
				other.PreExisting = nil
			}
			owner[*p.Size] = nil
			continue
		}
		owner[*p.Size] = p
		p.PreExisting = new(uint64)
	}
	sizes := slices.Sorted(maps.Keys(owner))
	if len(sizes) == 0 {
		return
	}
	b.preExisting(func(length uint64) {
		for i := len(sizes) - 1; i >= 0; i-- {
			if p := owner[sizes[i]]; p != nil && length%sizes[i] == 0 {
				*p.PreExisting += length
				return
			}
		}
	})
}

// floor is the growth that could hide in the time watched: what a pool got and
// kept may be one step of many that come no more often, and one mapping of the
// usual size, 16 MiB at least, may have come just before or after.
func (b *builder) floor() *Floor {
	size := uint64(16 << 20)
	for _, p := range b.e.Pools {
		if p.Size != nil && p.Committed > 0 {
			size = max(size, *p.Size)
			break
		}
	}
	for _, p := range b.e.Pools {
		size = max(size, p.Committed)
	}
	watched := max(b.e.WatchedNS, int64(time.Second)) // of less no rate can be told
	f := &Floor{GrowthPerHour: round(perHour(size, watched)), WatchedNS: b.e.WatchedNS}
	f.Why = fmt.Sprintf("%d bytes may come as seldom as once in the time watched", size)
	if watched < int64(b.s.ledger.opt.Warmup) {
		f.Why = fmt.Sprintf("too short to judge: watched for less than %v", b.s.ledger.opt.Warmup)
	}
	return f
}
