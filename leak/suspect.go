package leak

import (
	"cmp"
	"maps"
	"slices"
)

// suspects judges what grows, and writes the verdict.
func (b *builder) suspects() {
	found := b.candidates()
	slices.SortFunc(found, rank)
	found = found[:min(len(found), maxSuspects)]
	for i, c := range found {
		s := b.suspect(c)
		s.Rank = i + 1
		b.e.Suspects = append(b.e.Suspects, s)
	}
	b.ends(found)
	for i, c := range found {
		s := &b.e.Suspects[i]
		s.Why, s.Lead = b.why(c, s), b.lead(c)
	}
	b.sums = nil
}

// maxSuspects is how many suspects are listed.
const maxSuspects = 32

// suspect is c as it is shown, but for its end and the words.
func (b *builder) suspect(c *candidate) Suspect {
	g := c.sums
	k := c.kinds[0]
	s := Suspect{Verdict: verdictNames[c.verdict], Confidence: c.confidence(), Category: categoryPointer(k.category),
		SizeClass: SizeClass{g.least, g.most}, TIDs: []int{}, Threads: []int{}, Outstanding: g.outstanding, Mappings: g.calls,
		Growth: c.growth, Steps: c.steps, FirstAt: b.unix(g.first), LastAt: b.unix(g.last)}
	s.Growth.Significant = c.verdict > suspicious
	if pool := c.pool(); pool != "" {
		s.Pool = &pool
	}
	if n, ok := b.stackFor(c); ok {
		s.Stack = b.stacks.id(n)
	}
	for t := range g.threads {
		if i, ok := b.indexOf(t); ok && !slices.Contains(s.Threads, i) {
			s.Threads = append(s.Threads, i)
		}
	}
	slices.Sort(s.Threads)
	for _, i := range s.Threads {
		if tid := int(b.ids[i].TID); tid != 0 {
			s.TIDs = append(s.TIDs, tid)
		}
	}
	s.PreExisting = b.olderOf(c)
	s.Blocks = k.category == inBlocks
	if b.read && !s.Blocks {
		s.Resident = g.memory.whole()
	}
	s.Released, _ = b.released(c)
	s.Predictions.Made, s.Predictions.Kept = c.foretold(max(b.at.UnixNano(), b.s.lastAt))
	return s
}

// foretold scores what could be foretold of c's steps.
func (c *candidate) foretold(now int64) (made, kept int) {
	if c.form != staircase {
		return 0, 0
	}
	return c.stairs.foretold(now)
}

// pool is the pool of all c's kinds, "" if they differ.
func (c *candidate) pool() string {
	pool := c.kinds[0].pool
	for _, k := range c.kinds {
		if k.pool != pool {
			return ""
		}
	}
	return pool
}

// confidence is how sure the verdict is, 0 to 1.
func (c *candidate) confidence() float64 {
	base := [...]float64{0, 0.4, 0.6, 0.85}[c.verdict]
	room := [...]float64{0, 0.2, 0.25, 0.14}[c.verdict]
	n := float64(c.shape.rises)
	if c.form == staircase {
		n *= 6 // steps that come when they should tell more
	}
	return float64(round((base+room*n/(n+40)*max(c.even, 0))*100)) / 100
}

// stackFor is the number of the stack with which most of what grew lately came.
func (b *builder) stackFor(c *candidate) (uint32, bool) {
	now := max(b.at.UnixNano(), b.s.lastAt)
	byNumber := map[uint32]uint64{}
	for _, late := range [...]int64{c.since + (now-c.since)/3, 0} {
		for k, st := range c.sums.stacks {
			if n := b.s.ledger.stackOf(k); st.last >= late && n != 0 && b.stacks.of(n).Stack != nil {
				byNumber[n] += st.bytes
			}
		}
		if len(byNumber) > 0 {
			break
		}
	}
	best, found := uint32(0), false
	for _, n := range slices.Sorted(maps.Keys(byNumber)) {
		if !found || byNumber[n] > byNumber[best] {
			best, found = n, true
		}
	}
	return best, found
}

// indexOf is the index of the thread whose books t are.
func (b *builder) indexOf(t *thread) (int, bool) {
	return slices.BinarySearchFunc(b.ids, t.id, compareThreads)
}

// olderOf is the memory of c's kind from before the trace: committed rows whose
// length is a multiple of c's size. nil where it cannot be told.
func (b *builder) olderOf(c *candidate) *uint64 {
	size := c.sums.most
	if b.h.Source != SourceLive || c.kinds[0].category == inBlocks || c.sums.least != size || size < minKind || c.kinds[0].class == 0 {
		return nil
	}
	n := new(uint64)
	b.preExisting(func(length uint64) {
		if length%size == 0 {
			*n += length
		}
	})
	return n
}

// released is how many bytes of c's kinds are released, and by which pools, most first.
func (b *builder) released(c *candidate) (total uint64, by []share) {
	if c.kinds[0].category == inBlocks {
		return b.releasedBlocks(c), nil
	}
	kinds := map[kind]bool{}
	for _, k := range c.kinds {
		k.category = ""
		kinds[k] = true
	}
	byPlace := c.kinds[0].place != 0
	folded := c.kinds[0].place == rest
	sums := map[*thread]uint64{}
	for i, t := range b.list {
		if t == nil {
			continue
		}
		for books := range t.all() {
			pool := b.poolOf(i, books)
			for key, a := range books.accounts {
				if a.released == 0 || a.category != nil && *a.category != c.kinds[0].category {
					continue
				}
				k := kind{pool: pool, place: b.s.ledger.place(key.stack)}
				if key.size != 0 {
					k.class = sizeClass(key.size)
				}
				if folded {
					k.place, k.class = rest, 0
				}
				if !byPlace {
					k.place = 0
				}
				switch c.kinds[0].category {
				case MallocArena, BrkHeap, Metaspace, ClassSpace:
					k.class = 0
				}
				if !kinds[k] {
					continue
				}
				total += a.released
				for _, s := range a.by {
					sums[s.t] += s.bytes
				}
			}
		}
	}
	for t, n := range sums {
		by = append(by, share{t, n})
	}
	slices.SortFunc(by, func(x, y share) int { return cmp.Compare(y.bytes, x.bytes) })
	return total, by
}
