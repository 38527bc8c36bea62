package heapdump

// none is no node, no class, no origin.
const none = ^uint32(0)

// graph is the objects that can lead to others, and the classes, with what each refers to. Nodes are numbered by id.
type graph struct {
	index
	first []uint32 // where in refs a node's begin: their number, then each; 0: it has none
	refs  []uint32
	class []uint32 // of which class a node is, by index; none: it is itself a class, or was never seen
	open  int      // where in refs the number of the node being added stands; 0: none
}

// newGraph takes over ids. refs bounds what will be added, one more for each node counted in.
func newGraph(ids []uint64, refs uint64) *graph {
	g := &graph{index: newIndex(ids)}
	g.first = make([]uint32, len(g.ids))
	g.class = make([]uint32, len(g.ids))
	for i := range g.class {
		g.class[i] = none
	}
	g.refs = make([]uint32, 1, refs+1)
	return g
}

// begin adds a node's references, those added until the next begin. A node that comes twice keeps what it had at first.
func (g *graph) begin(id uint64, class uint32) bool {
	node, ok := g.find(id)
	g.open = 0
	if !ok || g.first[node] != 0 || len(g.refs) == cap(g.refs) {
		return false
	}
	g.class[node] = class
	g.open = len(g.refs)
	g.first[node] = uint32(g.open)
	g.refs = append(g.refs, 0)
	return true
}

// add adds one reference; to what is no node, nothing.
func (g *graph) add(id uint64) {
	if id == 0 || g.open == 0 || len(g.refs) == cap(g.refs) {
		return
	}
	if node, ok := g.find(id); ok {
		g.refs = append(g.refs, node)
		g.refs[g.open]++
	}
}

// of is what a node refers to.
func (g *graph) of(node uint32) []uint32 {
	at := g.first[node]
	if at == 0 {
		return nil
	}
	return g.refs[at+1 : at+1+g.refs[at]]
}

// tier is how strongly an object is held: the best of the paths that lead to it. 0 is not at all.
type tier byte

const (
	byOwner   tier = iota + 1
	byPool         // only by paths through the books of its own pool
	byCleaner      // only by paths through the JVM's cleaners
)

// seed is where paths begin. Origin is what they are called.
type seed struct{ node, origin uint32 }

// walker goes through the graph, breadth first, so that the path it comes by is a shortest one of its tier.
type walker struct {
	g      *graph
	bar    func(node uint32) tier     // the tier of what lies behind a node
	extra  func(node uint32) []uint32 // what a node holds beside its references; nil: nothing
	watch  func(node uint32)          // told of each node that is reached, the nearest first; nil: nobody
	tiers  []tier
	parent []uint32 // nil: not wanted
	origin []uint32
}

// walk marks all that the seeds lead to. What lies behind a barred node waits until all else is done.
func (w *walker) walk(seeds []seed) {
	w.tiers = make([]tier, len(w.g.ids))
	var queues [byCleaner + 1][]uint32
	queues[byOwner] = make([]uint32, 0, len(w.g.ids)) // it never grows: what is not used of it costs nothing
	for _, s := range seeds {
		if w.tiers[s.node] == 0 {
			w.mark(s.node, none, s.origin, byOwner)
			queues[byOwner] = append(queues[byOwner], s.node)
		}
	}
	for now := byOwner; now <= byCleaner; now++ {
		for i := 0; i < len(queues[now]); i++ {
			node := queues[now][i]
			if t := w.bar(node); t > now {
				queues[t] = append(queues[t], node)
				continue
			}
			origin := none
			if w.origin != nil {
				origin = w.origin[node]
			}
			for _, to := range w.g.of(node) {
				if w.tiers[to] == 0 {
					w.mark(to, node, origin, now)
					queues[now] = append(queues[now], to)
				}
			}
			if w.extra == nil {
				continue
			}
			for _, to := range w.extra(node) {
				if w.tiers[to] == 0 {
					w.mark(to, node, origin, now)
					queues[now] = append(queues[now], to)
				}
			}
		}
		queues[now] = nil
	}
}

func (w *walker) mark(node, parent, origin uint32, t tier) {
	w.tiers[node] = t
	if w.parent != nil {
		w.parent[node], w.origin[node] = parent, origin
	}
	if w.watch != nil {
		w.watch(node)
	}
}
