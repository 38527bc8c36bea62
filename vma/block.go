package vma

import (
	"fmt"
	"math/bits"
)

// blockRows makes a block just less than 4 KiB, a size class of the allocator.
const blockRows = 55

// block is some rows in order of address. Ranges lie apart from the rest, so
// that a search reads few cache lines; the rest stays in its slot while rows
// come and go around it.
type block struct {
	n      int
	used   uint64 // slots of meta, one bit each
	ranges [blockRows]Range
	slots  [blockRows]uint8
	meta   [blockRows]meta
}

// meta is what a row is beside its range: an Owner, protection and kind without padding.
type meta struct {
	call, acquired, threadStart uint64
	at                          int64
	tid, stack, flags, calls    uint32
	op                          Op
	origin                      Origin
	prot                        Prot
	kind                        Kind
}

func (a *Area) meta() meta {
	return meta{a.Call, a.Acquired, a.Thread.Start, a.At, a.Thread.TID, a.Stack, a.Flags, a.Calls, a.Op, a.Origin, a.Prot, a.Kind}
}

func (b *block) area(i int) Area {
	m := &b.meta[b.slots[i]]
	return Area{
		Range: b.ranges[i],
		Owner: Owner{Call: m.call, At: m.at, Acquired: m.acquired, Thread: Thread{m.tid, m.threadStart},
			Stack: m.stack, Flags: m.flags, Calls: m.calls, Op: m.op, Origin: m.origin},
		Prot: m.prot, Kind: m.kind,
	}
}

func (b *block) set(i int, a *Area) {
	b.ranges[i] = a.Range
	b.meta[b.slots[i]] = a.meta()
}

// insert puts a before row i. The block must not be full.
func (b *block) insert(i int, a *Area) {
	b.shift(i, i+1)
	b.ranges[i] = a.Range
	*b.slot(i) = a.meta()
}

// slot gives row i a free slot.
func (b *block) slot(i int) *meta {
	free := bits.TrailingZeros64(^b.used)
	b.used |= 1 << free
	b.slots[i] = uint8(free)
	return &b.meta[free]
}

// remove takes out the rows from i up to, not with, row j.
func (b *block) remove(i, j int) {
	for _, s := range b.slots[i:j] {
		b.used &^= 1 << s
	}
	b.shift(j, i)
}

// shift makes row i row j, and the rows after it those after j.
func (b *block) shift(i, j int) {
	copy(b.ranges[j:], b.ranges[i:b.n])
	copy(b.slots[j:], b.slots[i:b.n])
	b.n += j - i
}

// give moves the rows from i on to the start of to, which has room for them.
func (b *block) give(i int, to *block) {
	k := b.n - i
	to.shift(0, k)
	to.fill(0, b, i)
	b.remove(i, b.n)
}

// take copies the rows of from, which there is room for, behind those of b.
func (b *block) take(from *block) {
	n := b.n
	b.n += from.n
	b.fill(n, from, 0)
}

// fill sets the rows from i on, which have no slots, to those of from from j on.
func (b *block) fill(i int, from *block, j int) {
	copy(b.ranges[i:], from.ranges[j:from.n])
	for _, s := range from.slots[j:from.n] {
		*b.slot(i) = from.meta[s]
		i++
	}
}

// check returns an error if the index and the blocks disagree. Order is Space.Check's.
func (t *rows) check() error {
	n := 0
	for i, b := range t.blocks {
		if b.n < 1 || b.n > blockRows || t.firsts[i] != b.ranges[0].Start {
			return fmt.Errorf("block %d: %d rows from %x, index says %x", i, b.n, b.ranges[0].Start, t.firsts[i])
		}
		var used uint64
		for _, s := range b.slots[:b.n] {
			used |= 1 << s
		}
		if used != b.used || bits.OnesCount64(used) != b.n {
			return fmt.Errorf("block %d: %d rows in slots %x, used are %x", i, b.n, used, b.used)
		}
		n += b.n
	}
	if n != t.n || len(t.firsts) != len(t.blocks) {
		return fmt.Errorf("%d rows in blocks, %d counted", n, t.n)
	}
	return nil
}
