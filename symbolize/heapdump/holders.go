package heapdump

import (
	"cmp"
	"slices"
)

// Holders is who holds memory.
type Holders struct {
	Groups []Group // most bytes first within a state, states in their order
	Pool   *Pool   // of the pools whose chunks lie in the ranges; nil: none does

	Bytes    uint64 // of the ranges
	Covered  uint64 // of them: by objects whose size is known
	Dropped  uint64 // of them: by Dropped objects whose size is known
	Objects  int    // in the dump: instances and arrays of objects
	Odd      int    // of them: left out, since they do not fit their class
	Unkept   int    // lie in the ranges and are not listed: too many
	Unproven string // why it is not known who holds them; "" if it is
}

// State says how an object is held.
type State string

// The states, in the order in which they are shown.
const (
	Held      State = "held"       // by a path from a GC root
	Dropped   State = "dropped"    // no path from any GC root, and nothing frees its memory
	Garbage   State = "garbage"    // no path from any GC root; its cleaner frees the memory at a garbage collection
	ByPool    State = "pool"       // its pool has it in its books; no application need hold it
	ByCleaner State = "cleaner"    // the JVM's cleaners have it, in order to free its memory
	View      State = "view"       // shows memory of another buffer, which counts in its place
	Released  State = "released"   // given back to its pool, and not in use
	Unknown   State = "not proven" // see Holders.Unproven
)

var stateOrder = []State{Held, Dropped, Garbage, Unknown, ByPool, ByCleaner, View, Released}

// Group is the objects of one class and state, of Held ones those with the same owner.
type Group struct {
	Class string
	State State
	Count int
	Bytes uint64 // of the ranges that they cover together; 0 if their size is not known
	Owner string // of Held: the static field or the thread where the path begins
	Path  []Step // of Held: the way to one of them, a shortest one; from the owner on
}

// Step is an object on a path. Field is where it refers to the next one; "[]" is an element of an array, "" ends the path.
type Step struct {
	Class string
	Field string
	Times int // how many of its class follow one another; of more than two, Field is the first one's
}

// Pool is what Netty's pools say of their chunks in the ranges, in bytes.
type Pool struct {
	Chunks    int
	Size      uint64 // of the chunks
	Allocated uint64 // of it: handed out, or kept by threads to hand out again
	Held      uint64 // of it: by buffers that an owner holds
	Dropped   uint64 // by buffers that nobody holds but that have not been collected
}

// Lost is what is allocated and in no buffer that anybody can still release. The caches of threads are in it.
func (p *Pool) Lost() uint64 {
	if p.Held >= p.Allocated {
		return 0
	}
	return p.Allocated - p.Held
}

// holders is the result.
func (d *dump) holders() *Holders {
	h := &Holders{Bytes: total(d.ranges), Objects: d.objects, Odd: d.odd, Unkept: d.unkept, Unproven: d.tooLarge}
	if d.tooLarge != "" {
		d.groupUnproven()
	}
	var covers, dropped []Range
	for _, g := range d.groups {
		g.covers = union(g.covers)
		covers = append(covers, g.covers...)
		if g.key.state == Dropped {
			dropped = append(dropped, g.covers...)
		}
		out := Group{Class: g.key.class.name, State: g.key.state, Count: g.count, Bytes: common(d.ranges, g.covers)}
		if g.key.state == Held {
			out.Owner, out.Path = d.originName(g.key.origin), d.steps(g)
		}
		h.Groups = append(h.Groups, out)
	}
	h.Covered, h.Dropped = common(d.ranges, union(covers)), common(d.ranges, union(dropped))
	slices.SortStableFunc(h.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(slices.Index(stateOrder, a.State), slices.Index(stateOrder, b.State)),
			cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class))
	})
	h.Pool = d.pool()
	return h
}

// groupUnproven groups what was found by class alone.
func (d *dump) groupUnproven() {
	byClass := map[*class]*group{}
	d.groups = nil
	for i := range d.found {
		o := &d.found[i]
		g := byClass[o.class]
		if g == nil {
			g = &group{key: groupKey{o.class, Unknown, none}}
			byClass[o.class] = g
			d.groups = append(d.groups, g)
		}
		g.add(o)
	}
}

// steps is the sample path of a group, equal steps in one.
func (d *dump) steps(g *group) []Step {
	var steps []Step
	for _, h := range g.sample {
		s := Step{Class: "a class", Times: 1 + h.run}
		if c := d.g.class[h.node]; c != none {
			s.Class = d.order[c].name
		}
		if h.next != none {
			s.Field = d.paths[edge{d.g.ids[h.node], d.g.ids[h.next]}]
		}
		if last := len(steps) - 1; last >= 0 && s.Field != "" && steps[last].Class == s.Class && steps[last].Field == s.Field {
			steps[last].Times += s.Times
			continue
		}
		steps = append(steps, s)
	}
	return steps
}

// pool sums up the chunks in the ranges.
func (d *dump) pool() *Pool {
	if len(d.chunks) == 0 {
		return nil
	}
	p := &Pool{Chunks: len(d.chunks)}
	var chunks []Range
	for _, c := range d.chunks {
		p.Size += c.size
		p.Allocated += c.size - min(c.free, c.size)
	}
	for _, o := range d.found {
		if o.class.traits&isChunk != 0 {
			chunks = append(chunks, Range{o.addr, o.addr + o.length})
		}
	}
	chunks = union(chunks)
	var held, dropped []Range
	for _, g := range d.groups {
		if g.key.class.traits&isPooled != 0 {
			switch g.key.state {
			case Held:
				held = append(held, g.covers...)
			case Dropped:
				dropped = append(dropped, g.covers...)
			}
		}
	}
	p.Held, p.Dropped = common(chunks, union(held)), common(chunks, union(dropped))
	return p
}

// edge is one reference on a path.
type edge struct{ from, to uint64 }
