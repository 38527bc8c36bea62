package malloc

import (
	"cmp"
	"slices"
)

// merge returns the free blocks of an arena but for its top, in order, neighbours made one as a trim does it; and the
// top with those that it would be merged with. A block that moved from list to list while they were read was met
// twice: it counts once.
func merge(a *arena) (runs []block, top block) {
	var all []block
	for _, l := range a.lists {
		if l.why != "" && len(l.best) > len(l.blocks) {
			l.blocks = l.best
		}
		all = append(all, l.blocks...)
	}
	slices.SortFunc(all, func(x, y block) int {
		return cmp.Or(cmp.Compare(x.addr, y.addr), cmp.Compare(y.size, x.size))
	})
	for _, b := range all {
		if b.addr < a.top.end() && b.end() > a.top.addr { // it became part of the top
			continue
		}
		if n := len(runs); n > 0 && b.addr <= runs[n-1].end() {
			runs[n-1].size = max(runs[n-1].end(), b.end()) - runs[n-1].addr
			continue
		}
		runs = append(runs, b)
	}
	top = a.top
	if n := len(runs); n > 0 && runs[n-1].end() == top.addr {
		top = block{runs[n-1].addr, runs[n-1].size + top.size}
		runs = runs[:n-1]
	}
	return runs, top
}

// trimmed returns the whole pages inside of free blocks that malloc_trim gives back: a block's header stays.
func trimmed(runs []block) []Range {
	const header = 48 // of a block in a bin for large ones
	var pages []Range
	for _, b := range runs {
		if b.size <= pageSize-1+header {
			continue
		}
		p := Range{(b.addr + header + pageSize - 1) &^ (pageSize - 1), b.end() &^ (pageSize - 1)}
		if p.Start < p.End {
			pages = append(pages, p)
		}
	}
	return pages
}

// topPages returns the whole pages of the top that a trim leaves, and those that it gives back: of the main arena's, if
// nobody else has moved the break.
func (a *arena) topPages(top block) (kept, given Range) {
	const least = 33 // what stays at least
	inside := Range{(top.addr + 16 + pageSize - 1) &^ (pageSize - 1), top.end() &^ (pageSize - 1)}
	if top.size == 0 || !a.main || top.end() != a.brk.End || top.size < least {
		return inside, Range{}
	}
	cut := top.end() - (top.size-least)&^(pageSize-1)
	return Range{inside.Start, min(cut, inside.End)}, Range{cut, top.end()}
}
