package heapdump

import "slices"

// group is the objects of one class and state, of held ones those with the same origin.
type group struct {
	key    groupKey
	count  int
	covers []Range // what they cover, joined now and then
	joined int     // how many of covers are joined
	sample []hop   // of held ones: the way to one of them
}

type groupKey struct {
	class  *class
	state  State
	origin uint32
}

func (g *group) add(o *object) {
	g.count++
	if o.length == 0 {
		return
	}
	g.covers = append(g.covers, Range{o.addr, o.addr + o.length})
	if len(g.covers) > 2*g.joined+1024 {
		g.covers = union(g.covers)
		g.joined = len(g.covers)
	}
}

// group walks the graph and groups what was found by who holds it.
func (d *dump) group() {
	where := make(map[uint32][]int32, len(d.found)) // those found, by node
	for i := range d.found {
		if node, ok := d.g.find(d.found[i].id); ok {
			where[node] = append(where[node], int32(i))
		}
	}
	w, seeds := d.owners(d.reachable())
	var reached []uint32 // nearest first
	w.watch = func(node uint32) {
		if where[node] != nil {
			reached = append(reached, node)
		}
	}
	w.walk(seeds)
	d.way = w

	memory := map[uint64]bool{}
	for _, c := range d.chunks {
		memory[c.memory] = true
	}
	byKey := map[groupKey]*group{}
	add := func(node uint32) {
		for _, i := range where[node] {
			o := &d.found[i]
			o.cleaned = o.cleaned || d.endsByItself(o.session)
			key := groupKey{o.class, state(o, w.tiers[node], memory[o.id]), none}
			if key.state == Held {
				key.origin = w.origin[node]
			}
			if byKey[key] == nil && len(byKey) >= maxGroups {
				key.origin = none
			}
			g := byKey[key]
			if g == nil {
				if len(byKey) >= 2*maxGroups {
					d.unkept++
					continue
				}
				g = &group{key: key}
				if byKey[key] = g; key.origin != none {
					g.sample = w.path(node)
				}
				d.groups = append(d.groups, g)
			}
			g.add(o)
		}
		delete(where, node)
	}
	for _, node := range reached {
		add(node)
	}
	for i := range d.found { // in the order of the dump, not of a map
		if node, ok := d.g.find(d.found[i].id); ok && where[node] != nil {
			add(node)
		}
	}
	d.onPath = map[uint64][]uint64{}
	for _, g := range d.groups {
		for _, h := range g.sample {
			if h.next == none {
				continue
			}
			from, to := d.g.ids[h.node], d.g.ids[h.next]
			if len(d.onPath) < maxPaths || d.onPath[from] != nil {
				d.onPath[from] = append(d.onPath[from], to)
			}
		}
	}
}

// maxGroups bounds the groups, and twice that those without an owner of their own.
const maxGroups = 512

// maxPaths bounds the nodes whose fields are looked up, maxPath those of one path that is shown.
const (
	maxPaths = 1 << 16
	maxPath  = 48
)

// state is what an object's tier means for it. A view refers to the buffer whose memory it shows, which counts in its place. A chunk and its memory belong to the pool, although each buffer refers to its chunk.
func state(o *object, t tier, pooled bool) State {
	switch {
	case o.released:
		return Released
	case o.view:
		return View
	case t != 0 && (pooled || o.class.traits&isPool != 0):
		return ByPool
	case o.class.traits&isBookkeep != 0:
		return ByCleaner
	case t == byOwner:
		return Held
	case t == byPool:
		return ByPool
	case t == byCleaner:
		return ByCleaner
	case o.cleaned:
		return Garbage
	}
	return Dropped
}

// endsByItself reports whether a cleaner ends a session of memory segments when nobody refers to it. Only those of Arena.ofAuto do.
func (d *dump) endsByItself(session uint64) bool {
	node, ok := d.g.find(session)
	if !ok || session == 0 || d.g.class[node] == none {
		return false
	}
	return d.order[d.g.class[node]].name == "jdk.internal.foreign.ImplicitSession"
}

// hop is a node of a path, and the one that it refers to; the last refers to none.
type hop struct {
	node, next uint32
	run        int // how many nodes of its class follow it that are left out
}

// path is the way to a node, from its origin on. Of nodes of one class that follow one another, as in a linked list, the first
// and the last are kept.
func (w *walker) path(node uint32) []hop {
	var back []hop
	for next := none; node != none; node, next = w.parent[node], node {
		h := hop{node: node, next: next}
		if n := len(back); n >= 2 && w.g.class[node] == w.g.class[back[n-1].node] && w.g.class[node] == w.g.class[back[n-2].node] {
			h.run = back[n-1].run + 1
			back[n-1] = h
			continue
		}
		if len(back) == maxPath { // the origin has a name of its own: what is left out is behind it
			copy(back[maxPath/2:], back[maxPath/2+1:])
			back = back[:maxPath-1]
		}
		back = append(back, h)
	}
	slices.Reverse(back)
	return back
}
