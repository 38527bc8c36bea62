package report

import (
	"cmp"
	"slices"

	"vmaleak/leak"
)

// member is what one thread holds of a pool: its own, or what it mapped for the
// virtual threads that it carried.
type member struct {
	leak.Carried
	of   *leak.Thread
	part bool // what is known of the whole thread only is not of this
}

// members is the threads of every pool that own bytes of it, most first.
func members(e *leak.Entry) map[string][]member {
	of := map[string][]member{}
	for i := range e.Threads {
		t := &e.Threads[i]
		own := leak.Carried{Pool: poolOf(t), Outstanding: t.Outstanding, Committed: t.Committed, Mappings: t.Mappings,
			Acquired: t.Acquired, Released: t.Released, Growth: t.Growth, Size: t.Size, LastAt: t.LastAt}
		for _, c := range t.Carried {
			own.Outstanding -= c.Outstanding
			own.Committed -= c.Committed
			own.Mappings -= c.Mappings
			own.Acquired -= c.Acquired
			own.Released -= c.Released
			if c.Outstanding > 0 {
				of[c.Pool] = append(of[c.Pool], member{c, t, false})
			}
		}
		if own.Outstanding > 0 {
			of[own.Pool] = append(of[own.Pool], member{own, t, len(t.Carried) > 0})
		}
	}
	for _, list := range of {
		slices.SortStableFunc(list, func(a, b member) int {
			return cmp.Or(cmp.Compare(b.Committed, a.Committed), cmp.Compare(b.Outstanding, a.Outstanding))
		})
	}
	return of
}
