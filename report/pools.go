package report

import (
	"cmp"
	"fmt"
	"slices"

	"vmaleak/leak"
)

// The table of pools: all columns but the name have fixed widths, 58 together.
var poolHead = [...]struct {
	title string
	width int
}{{"TID", 8}, {"HELD", 6}, {"PRE", 6}, {"+/h", 6}, {"MAPS", 6}, {"REL", 6}, {"SIZE", 10}, {"LAST", 9}}

// row writes one row of the table.
func (t *screen) row(name string, cells ...string) {
	total := 0
	for _, c := range poolHead {
		total += c.width
	}
	t.WriteString(left(" "+name, t.o.Width-total-1))
	for i, c := range cells {
		t.WriteString(" " + right(c, poolHead[i].width-1))
	}
	t.WriteByte('\n')
}

// pools writes the top pools and their top threads.
func (t *screen) pools(e *leak.Entry) {
	pools := slices.Clone(e.Pools)
	slices.SortStableFunc(pools, func(a, b leak.Pool) int {
		return cmp.Or(cmp.Compare(perHour(&b), perHour(&a)), cmp.Compare(b.Committed, a.Committed))
	})
	pools = slices.DeleteFunc(pools, func(p leak.Pool) bool {
		return p.Growth.PerHour == nil && (p.Committed == 0 || p.Committed < t.o.MinSize)
	})
	if len(pools) == 0 {
		return
	}
	members := map[string][]*leak.Thread{}
	for i := range e.Threads {
		if th := &e.Threads[i]; th.Outstanding > 0 {
			members[poolOf(th)] = append(members[poolOf(th)], th)
		}
	}
	var titles []string
	for _, c := range poolHead {
		titles = append(titles, c.title)
	}
	t.row("POOL/THREAD", titles...)
	for i := range pools[:min(len(pools), t.o.Top)] {
		t.pool(e, &pools[i], members[pools[i].Name])
	}
	if more := len(pools) - t.o.Top; more > 0 {
		t.line(fmt.Sprintf("  and %s", plural(uint64(more), "pool")))
	}
}

// pool writes one pool, and its threads where there is more than one.
func (t *screen) pool(e *leak.Entry, p *leak.Pool, threads []*leak.Thread) {
	who, name := fmt.Sprintf("%d thr", p.Threads), poolName(p.Name)
	if len(threads) == 1 {
		who, name = tid(threads[0]), threadName(threads[0])
	}
	t.row(name, who, size(p.Committed), sizeOr(p.PreExisting, "?"), rate(p.Growth.PerHour), count(p.Mappings),
		size(p.Released), mainSize(p.Size), clock(p.LastAt, cmp.Or(e.EndedAt, t.s.EndedAt)))
	if len(threads) < 2 {
		return
	}
	slices.SortStableFunc(threads, func(a, b *leak.Thread) int {
		return cmp.Or(cmp.Compare(b.Committed, a.Committed), cmp.Compare(b.Outstanding, a.Outstanding))
	})
	shown := 0
	for _, th := range threads[:min(len(threads), t.o.Top)] {
		if th.Growth == nil && th.Committed < t.o.MinSize {
			continue
		}
		shown++
		t.row(" "+threadName(th), tid(th), size(th.Committed), "?", rate(th.Growth), count(th.Mappings),
			size(th.Released), mainSize(th.Size), clock(th.LastAt, cmp.Or(e.EndedAt, t.s.EndedAt)))
	}
	if more := len(threads) - shown; more > 0 && shown > 0 {
		t.line(fmt.Sprintf("  and %s", plural(uint64(more), "thread")))
	}
}

func tid(t *leak.Thread) string {
	if t.TID == nil {
		return "?"
	}
	return fmt.Sprint(*t.TID)
}

// mainSize is the length of call that is usual, exact where it fits.
func mainSize(n *uint64) string {
	switch {
	case n == nil:
		return "mixed"
	case *n < 1_000_000_000:
		return fmt.Sprint(*n)
	}
	return size(*n)
}
