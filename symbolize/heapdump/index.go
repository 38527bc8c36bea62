package heapdump

import (
	"math/bits"
	"slices"
)

// index finds the number of a node by its id. Ids are addresses, more or less evenly spread: a table over
// their upper bits leaves a few to search among.
type index struct {
	ids    []uint64 // sorted, each once
	table  []uint32 // table[k]: the first node whose id is at least ids[0] + k<<shift
	shift  uint
	lowest uint64
}

// newIndex takes over ids, in any order.
func newIndex(ids []uint64) index {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	x := index{ids: ids, table: []uint32{0, uint32(len(ids))}, shift: 63}
	if len(ids) < 2 {
		return x
	}
	x.lowest = ids[0]
	span := ids[len(ids)-1] - x.lowest
	x.shift = uint(max(bits.Len64(span)-max(bits.Len(uint(len(ids)))-2, 1), 0))
	x.table = make([]uint32, span>>x.shift+2)
	k := 0
	for i, id := range ids {
		for ; uint64(k) <= (id-x.lowest)>>x.shift; k++ {
			x.table[k] = uint32(i)
		}
	}
	for ; k < len(x.table); k++ {
		x.table[k] = uint32(len(ids))
	}
	return x
}

// find returns the node of an id.
func (x *index) find(id uint64) (node uint32, ok bool) {
	if id < x.lowest {
		return 0, false
	}
	k := (id - x.lowest) >> x.shift
	if k >= uint64(len(x.table)-1) {
		return 0, false
	}
	lo, hi := x.table[k], x.table[k+1]
	for lo < hi {
		if m := (lo + hi) / 2; x.ids[m] < id {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < uint32(len(x.ids)) && x.ids[lo] == id
}
