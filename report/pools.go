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

// topPools is the pools to show, what grows most first.
func (t *screen) topPools(e *leak.Entry) []leak.Pool {
	pools := slices.Clone(e.Pools)
	slices.SortStableFunc(pools, func(a, b leak.Pool) int {
		return cmp.Or(cmp.Compare(perHour(&b), perHour(&a)), cmp.Compare(b.Committed, a.Committed))
	})
	return slices.DeleteFunc(pools, func(p leak.Pool) bool {
		return p.Growth.PerHour == nil && (p.Committed == 0 || p.Committed < t.o.MinSize)
	})
}

// pools writes the top pools and their top threads.
func (t *screen) pools(e *leak.Entry, pools []leak.Pool) {
	if len(pools) == 0 {
		return
	}
	var titles []string
	for _, c := range poolHead {
		titles = append(titles, c.title)
	}
	t.row("POOL/THREAD", titles...)
	members := members(e)
	for i := range pools[:min(len(pools), t.o.Top)] {
		t.pool(e, &pools[i], members[pools[i].Name])
	}
	if more := len(pools) - t.o.Top; more > 0 {
		t.line(fmt.Sprintf("  and %s", plural(uint64(more), "pool")))
	}
}

// pool writes one pool, and its threads where there is more than one.
func (t *screen) pool(e *leak.Entry, p *leak.Pool, threads []member) {
	who, name := fmt.Sprintf("%d thr", p.Threads), poolName(p.Name)
	switch {
	case p.Virtual:
		who = "virtual"
	case len(threads) == 1:
		who, name = tid(threads[0].of), threadName(threads[0].of)
	}
	t.row(name, who, size(p.Committed), sizeOr(p.PreExisting), rate(p.Growth.PerHour), count(p.Mappings),
		size(p.Released), mainSize(p.Size), clock(p.LastAt, cmp.Or(e.EndedAt, t.s.EndedAt)))
	if len(threads) < 2 && !p.Virtual {
		return
	}
	shown := 0
	for _, th := range threads[:min(len(threads), t.o.Top)] {
		if th.Growth == nil && th.Committed < t.o.MinSize {
			continue
		}
		shown++
		grows, length, last := rate(th.Growth), mainSize(th.Size), clock(th.LastAt, cmp.Or(e.EndedAt, t.s.EndedAt))
		if th.part {
			grows, length, last = "?", "?", "?"
		}
		t.row(" "+threadName(th.of), tid(th.of), size(th.Committed), "?", grows, count(th.Mappings), size(th.Released), length, last)
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
