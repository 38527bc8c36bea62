package vma

import "slices"

// rows holds the rows of a space in order of address: an index of blocks, each
// a few dozen rows.
//
// A copy shares its blocks with the original; who writes to a shared block
// first takes a copy of it, hence the two may live in different goroutines.
//
// Note: a B-tree of 80-byte rows (tidwall/btree) took 790 ns an event at
// 16,384 rows, 2.1 us and 130 MiB at a million; BenchmarkApply has this one's figures.
type rows struct {
	firsts []uint64 // where each block's first row starts: what a search reads
	blocks []ref
	n      int
}

type ref struct {
	*block
	shared bool // with another rows: copy before writing
}

// pos is a place in rows: row i of block b, or the end where b == len(blocks).
// It holds until rows change.
type pos struct{ b, i int }

// seek is the first row that ends above addr.
func (t *rows) seek(addr uint64) pos {
	if len(t.firsts) == 0 {
		return pos{}
	}
	lo, hi := 1, len(t.firsts)
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); t.firsts[mid] <= addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	b := t.blocks[lo-1].block
	i, n := 0, b.n
	for i < n {
		if mid := int(uint(i+n) / 2); b.ranges[mid].End <= addr {
			i = mid + 1
		} else {
			n = mid
		}
	}
	if i == b.n {
		return pos{lo, 0}
	}
	return pos{lo - 1, i}
}

func (t *rows) last() pos      { return pos{len(t.blocks), 0} }
func (t *rows) end(p pos) bool { return p.b >= len(t.blocks) }

func (t *rows) next(p pos) pos {
	if p.i++; p.i == t.blocks[p.b].n {
		return pos{p.b + 1, 0}
	}
	return p
}

// prev is the row before p, if there is one.
func (t *rows) prev(p pos) (pos, bool) {
	switch {
	case p.i > 0:
		return pos{p.b, p.i - 1}, true
	case p.b > 0:
		return pos{p.b - 1, t.blocks[p.b-1].n - 1}, true
	}
	return p, false
}

func (t *rows) span(p pos) Range { return t.blocks[p.b].ranges[p.i] }
func (t *rows) at(p pos) Area    { return t.blocks[p.b].area(p.i) }

// writable is block b, which nobody else reads.
func (t *rows) writable(b int) *block {
	r := &t.blocks[b]
	if r.shared {
		c := *r.block
		*r = ref{block: &c}
	}
	return r.block
}

// set replaces the row at p by a, which must stay between p's neighbours.
func (t *rows) set(p pos, a *Area) {
	b := t.writable(p.b)
	b.set(p.i, a)
	t.firsts[p.b] = b.ranges[0].Start
}

// cutStart and cutEnd shorten the row at p.
func (t *rows) cutStart(p pos, start uint64) {
	b := t.writable(p.b)
	b.ranges[p.i].Start = start
	t.firsts[p.b] = b.ranges[0].Start
}

func (t *rows) cutEnd(p pos, end uint64) { t.writable(p.b).ranges[p.i].End = end }

// stack is the stack of the row at p, and setStack sets it.
func (t *rows) stack(p pos) uint32 {
	b := t.blocks[p.b].block
	return b.meta[b.slots[p.i]].stack
}

func (t *rows) setStack(p pos, stack uint32) {
	b := t.writable(p.b)
	b.meta[b.slots[p.i]].stack = stack
}

// insert puts a before p.
func (t *rows) insert(p pos, a *Area) {
	t.n++
	if len(t.blocks) == 0 {
		t.insertBlock(0, new(block))
	}
	// The end of a block and the start of the next are one place: the emptier has it.
	if p.i == 0 && p.b > 0 && (t.end(p) || t.blocks[p.b-1].n < t.blocks[p.b].n) {
		p = pos{p.b - 1, t.blocks[p.b-1].n}
	}
	if t.blocks[p.b].n == blockRows {
		p = t.split(p)
	}
	b := t.writable(p.b)
	b.insert(p.i, a)
	t.firsts[p.b] = b.ranges[0].Start
}

// split makes room at p in a full block, and returns where p is then. A row at
// either end of the block goes into a new one by itself: addresses that only
// rise or fall leave full blocks behind them.
func (t *rows) split(p pos) pos {
	switch p.i {
	case 0:
		t.insertBlock(p.b, new(block))
		return p
	case blockRows:
		t.insertBlock(p.b+1, new(block))
		return pos{p.b + 1, 0}
	}
	left, k := t.writable(p.b), blockRows/2
	if p.b+1 < len(t.blocks) && t.blocks[p.b+1].n < blockRows*3/4 { // room there saves a block
		right := t.writable(p.b + 1)
		k = (blockRows + right.n) / 2
		left.give(k, right)
		t.firsts[p.b+1] = right.ranges[0].Start
	} else {
		right := new(block)
		left.give(k, right)
		t.insertBlock(p.b+1, right)
	}
	if p.i > k {
		return pos{p.b + 1, p.i - k}
	}
	return p
}

// remove takes out the rows of p's block from p up to, not with, row j, and
// returns the place of the row after them.
func (t *rows) remove(p pos, j int) pos {
	t.n -= j - p.i
	if p.i == 0 && j == t.blocks[p.b].n {
		t.deleteBlock(p.b)
		return p
	}
	b := t.writable(p.b)
	b.remove(p.i, j)
	if b.n < blockRows/4 && p.b+1 < len(t.blocks) && b.n+t.blocks[p.b+1].n <= blockRows*3/4 {
		b.take(t.blocks[p.b+1].block)
		t.deleteBlock(p.b + 1)
	}
	t.firsts[p.b] = b.ranges[0].Start
	if p.i == b.n {
		return pos{p.b + 1, 0}
	}
	return p
}

func (t *rows) insertBlock(i int, b *block) {
	t.firsts = slices.Insert(t.firsts, i, b.ranges[0].Start)
	t.blocks = slices.Insert(t.blocks, i, ref{block: b})
}

func (t *rows) deleteBlock(i int) {
	t.firsts = slices.Delete(t.firsts, i, i+1)
	t.blocks = slices.Delete(t.blocks, i, i+1)
}

// copy is t's rows, to be changed independently of t.
func (t *rows) copy() rows {
	for i := range t.blocks {
		t.blocks[i].shared = true
	}
	return rows{slices.Clone(t.firsts), slices.Clone(t.blocks), t.n}
}
