package leak

import (
	"time"

	"vmaleak/vma"
)

// The strings that mappings point to.
var (
	opNames = func() (names [vma.OpVoid + 1]string) {
		for op := range names {
			names[op] = vma.Op(op).String()
		}
		return
	}()
	protNames = func() (names [8]string) {
		for p := range names {
			names[p] = vma.Prot(p).String()
		}
		return
	}()
)

// callOf tells calls apart whose rows are in pieces.
type callOf struct {
	thread int
	call   uint64
}

// mappings lists the rows and counts them by thread and in total.
func (b *builder) mappings() {
	s, tot := b.s, &b.e.Totals
	n := s.vm.Len() + len(s.floats)
	if b.h.Brief {
		n = 0
	}
	rows := make([]Mapping, 0, n)
	addrs := make([]Addr, 0, 2*n)
	var slab nullables
	pieces := map[callOf]bool{}
	for t := range s.allBooks() {
		for _, acc := range t.accounts {
			acc.left, acc.held, acc.committed, acc.last, acc.category, acc.memory = 0, 0, 0, 0, nil, inMemory{}
		}
	}
	s.rows(func(a *vma.Area, floating bool) bool {
		length, committed := a.Len(), a.Committed()
		category, memory := b.row(a, floating)
		b.regime.row(a, category)
		tot.Mapped += length
		tot.Committed += committed
		var t *thread
		switch a.Origin {
		case vma.Traced, vma.Inferred:
			tot.Outstanding += length
			t = s.books(&a.Owner)
			t.count.bytes += length
			t.count.committed += committed
			t.count.last = max(t.count.last, a.At)
			t.count.memory.add(&memory)
			calls := uint64(a.Calls)
			if length != a.Acquired {
				if k := (callOf{t.count.index, a.Call}); pieces[k] {
					calls = 0
				} else {
					pieces[k] = true
				}
			}
			t.count.calls += calls
			if acc := t.holder(s.key(&a.Owner)); acc != nil {
				acc.left += calls
				acc.held += length
				acc.committed += committed
				acc.last = max(acc.last, a.At)
				acc.memory.add(&memory)
				acc.of(category)
			}
		case vma.Inherited:
			tot.Inherited += length
		case vma.Healed:
			tot.Healed += length
		default:
			tot.PreExisting += length
		}
		if b.h.Brief {
			return true
		}
		m := Mapping{Length: length, Prot: protNames[a.Prot&7], Kind: a.Kind.String(), Origin: a.Origin.String(),
			Calls: a.Calls, Committed: committed,
			Stack: b.stacks.id(s.ledger.stackOf(a.Stack)), Category: category}
		if b.read && memory.unread == 0 && committed > 0 {
			m.Resident, m.Swap = slab.uint(memory.resident), slab.uint(memory.swap)
			if !memory.hugeUnknown {
				m.Huge = slab.uint(memory.huge)
			}
		}
		if category != nil && *category == ThreadStack && !floating {
			if r := regionOf(b.regions, a.Range); r != nil && r.Thread.TID != 0 {
				m.StackOf = slab.int(int(r.Thread.TID))
			}
		}
		if !floating {
			addrs = append(addrs, Addr(a.Start), Addr(a.End))
			m.Start, m.End = &addrs[len(addrs)-2], &addrs[len(addrs)-1]
		}
		if t != nil {
			m.Thread = slab.int(t.count.index)
		}
		if t != nil || a.Origin == vma.Inherited && a.Op != 0 {
			b.owner(&m, a, &slab)
		}
		rows = append(rows, m)
		return true
	})
	tot.Reserved = tot.Mapped - tot.Committed
	b.e.Mappings = rows
}

// owner fills in what is known of the call that acquired a.
func (b *builder) owner(m *Mapping, a *vma.Area, slab *nullables) {
	m.Op = &opNames[a.Op]
	m.Call, m.AcquiredLength = slab.uint(a.Call), slab.uint(a.Acquired)
	if a.Thread.TID != 0 {
		m.TID = slab.int(int(a.Thread.TID))
	}
	if a.Op == vma.OpMmap {
		m.Flags = put(&slab.flags, a.Flags)
	}
	if a.At != 0 && !b.h.Undated {
		m.MappedAt = slab.time(time.Unix(0, a.At).In(b.at.Location()))
	}
}

// nullables hands out pointers to values that lie together: rows have many.
type nullables struct {
	ints  []int
	uints []uint64
	times []time.Time
	flags []uint32
}

const slabSize = 512

func (s *nullables) int(v int) *int              { return put(&s.ints, v) }
func (s *nullables) uint(v uint64) *uint64       { return put(&s.uints, v) }
func (s *nullables) time(v time.Time) *time.Time { return put(&s.times, v) }

func put[T any](slab *[]T, v T) *T {
	if len(*slab) == cap(*slab) {
		*slab = make([]T, 0, slabSize)
	}
	*slab = append(*slab, v)
	return &(*slab)[len(*slab)-1]
}
