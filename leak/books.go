package leak

import (
	"cmp"
	"maps"
	"slices"
)

// books writes the threads and their accounts.
func (b *builder) books() {
	b.e.Threads = make([]Thread, 0, len(b.ids))
	for i, id := range b.ids {
		f := b.facts[id]
		d := Thread{Alive: b.alive(f), Carried: []Carried{}, Resident: b.whole(&inMemory{})}
		if id.TID != 0 {
			tid := int(id.TID)
			d.TID = &tid
		}
		if id.Start != 0 {
			start := id.Start
			d.StartTicks = &start
		}
		if f != nil {
			d.NSTID, d.StartedAt, d.Comm, d.Pool = positive(f.NSTID), date(f.StartedAt), text(f.Comm), text(f.poolOf())
			if f.Name != nil {
				name := clean(*f.Name)
				d.Name = &name
			}
		}
		if t := b.list[i]; t != nil {
			held := sizes{}
			var last int64
			var memory inMemory
			for c := range t.all() {
				memory.add(&c.count.memory)
				d.Outstanding += c.count.bytes
				d.Committed += c.count.committed
				d.Mappings += c.count.calls
				d.Acquired += c.acquired
				d.Released += c.released
				last = max(last, c.count.last)
				held.add(c)
				if !b.h.Brief {
					b.accounts(i, c)
				}
			}
			d.Resident = b.whole(&memory)
			d.Freed, d.LastAt, d.Size, d.Carried = t.freed, b.unix(last), held.main(), b.carried(t)
			if b.nameless(i) {
				d.LikelyPool = text(b.group(i))
			}
		}
		b.e.Threads = append(b.e.Threads, d)
	}
}

// whole is what is resident of some rows, nil if something was not read.
func (b *builder) whole(m *inMemory) *uint64 {
	if !b.read {
		return nil
	}
	return m.whole()
}

// keys is the keys of t's accounts in order.
func (t *thread) keys() []sizeKey {
	return slices.SortedFunc(maps.Keys(t.accounts), func(x, y sizeKey) int {
		return cmp.Or(cmp.Compare(x.stack, y.stack), cmp.Compare(x.size, y.size))
	})
}

// mainSize is the length of call that holds most of what t has committed, nil
// if none does.
func (t *thread) mainSize() *uint64 {
	sizes := sizes{}
	sizes.add(t)
	return sizes.main()
}

// sizes is committed bytes by length of call, 0 for mixed.
type sizes map[uint64]uint64

// add adds what t holds, as the rows last counted.
func (s sizes) add(t *thread) {
	for k, a := range t.accounts {
		if a.committed > 0 {
			s[k.size] += a.committed
		}
	}
}

// main is the size with most bytes, the larger of two with equally many; nil
// if that is mixed.
func (s sizes) main() *uint64 {
	var size, most uint64
	for k, n := range s {
		if n > most || n == most && k > size {
			size, most = k, n
		}
	}
	if size == 0 {
		return nil
	}
	return &size
}

func (b *builder) accounts(i int, t *thread) {
	for _, k := range t.keys() {
		a := t.accounts[k]
		d := Account{Thread: i, Stack: b.stacks.id(k.stack), Acquired: a.acquired, AcquiredCount: a.calls,
			Released: a.released, ReleasedCount: a.calls - min(a.left, a.calls), ReleasedBy: []ReleasedBy{}}
		if k.size != 0 {
			d.Size = &k.size
		}
		if t.task {
			d.Task = &t.pool
		}
		if a.category != &mixed {
			d.Category = a.category
		}
		var nobody uint64
		for _, s := range a.by {
			if j, ok := b.index[s.t]; ok && s.t != nil {
				d.ReleasedBy = append(d.ReleasedBy, ReleasedBy{&j, s.bytes})
			} else {
				nobody += s.bytes
			}
		}
		slices.SortFunc(d.ReleasedBy, func(x, y ReleasedBy) int { return cmp.Compare(*x.Thread, *y.Thread) })
		if nobody > 0 {
			d.ReleasedBy = append(d.ReleasedBy, ReleasedBy{nil, nobody})
		}
		b.e.Accounts = append(b.e.Accounts, d)
	}
}
