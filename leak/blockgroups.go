package leak

import "vmaleak/vma"

// inBlocks is the category of kinds that are blocks of malloc inside arenas. It is kept apart
// from the rows', whose bytes it shares: the document calls both MallocArena.
const inBlocks = "blocks"

// ownSlack is how much more than a block its own mapping has at most: headers, alignment, whole pages.
const ownSlack = 64 << 10

// sampleBlocks adds the blocks that lie inside arenas to the groups. Those that have a mapping of their own are there
// as rows already. It returns how many it looked at.
func (s *Space) sampleBlocks(all map[kind]*sums, full bool) (looked int64) {
	if s.blocks == nil || s.vm == nil {
		return 0
	}
	nobody := &thread{}
	for _, b := range s.blocks.live {
		looked++
		if !s.inside(b) {
			continue
		}
		t := s.threads[b.thread]
		if t == nil { // it is gone, and owns no mapping
			t = nobody
		}
		k := kind{pool: t.group, category: inBlocks, place: s.ledger.place(b.stack), class: sizeClass(b.size)}
		if b.account != nil && b.account.pool != "" {
			k.pool = b.account.pool // for a virtual thread not its carrier's
		}
		g := all[k]
		if g == nil {
			g = &sums{least: ^uint64(0)}
			if full {
				g.stacks, g.threads = map[uint32]*stackSum{}, map[*thread]*threadSum{}
			}
			all[k] = g
		}
		g.add(&vma.Area{Range: vma.Range{Start: b.addr, End: b.addr + b.size}, Prot: vma.ProtRead | vma.ProtWrite,
			Owner: vma.Owner{Thread: b.thread, Stack: b.stack, Acquired: b.size, Calls: 1, At: b.at, Origin: vma.Traced}}, t, full)
	}
	return looked
}

// inside reports whether a block lies in memory that it shares with others.
func (s *Space) inside(b *block) bool {
	if !b.placed {
		b.placed = true
		for a := range s.vm.Over(vma.Range{Start: b.addr, End: b.addr + 1}) {
			b.own = (a.Op == vma.OpMmap || a.Op == vma.OpMremap) && a.Acquired >= b.size && a.Acquired < b.size+ownSlack
		}
	}
	return !b.own
}

// explained drops the arenas among the candidates whose growth the blocks inside them
// explain for the most part.
func explained(found []*candidate) []*candidate {
	var rate int64
	for _, c := range found {
		if c.kinds[0].category == inBlocks && c.growth.PerHour != nil {
			rate += *c.growth.PerHour
		}
	}
	out := found[:0]
	for _, c := range found {
		category := c.kinds[0].category
		arena := category == MallocArena || category == BrkHeap
		if arena && rate > 0 && (c.growth.PerHour == nil || *c.growth.PerHour <= 2*rate) {
			continue
		}
		out = append(out, c)
	}
	return out
}

// releasedBlocks is how many bytes of the blocks of c's kinds were freed. By whom is only known of all together.
func (b *builder) releasedBlocks(c *candidate) (total uint64) {
	kinds := map[kind]bool{}
	for _, k := range c.kinds {
		kinds[k] = true
	}
	for key, a := range b.s.blocks.accounts {
		if kinds[kind{a.pool, inBlocks, b.s.ledger.place(key.stack), sizeClass(key.size)}] {
			total += a.freedBytes
		}
	}
	return total
}
