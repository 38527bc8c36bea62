package leak

import (
	"cmp"
	"maps"
	"slices"
	"unicode/utf8"
)

// stacks collects the stacks that a document names.
type stacks struct {
	ask   func(number uint32) *Stack
	asked map[uint32]*named
}

type named struct {
	*Stack      // nil: none is known
	used   bool // the document names it
}

// of is the stack of that number.
func (k *stacks) of(number uint32) *named {
	n := k.asked[number]
	if n == nil {
		n = new(named)
		if number != 0 && k.ask != nil {
			n.Stack = k.ask(number)
		}
		k.asked[number] = n
	}
	return n
}

// id is the id of the stack of that number, nil if none is known.
func (k *stacks) id(number uint32) *string {
	n := k.of(number)
	if n.Stack == nil {
		return nil
	}
	n.used = true
	return valid(&n.ID)
}

// list is every stack that the document names, once, in order of id. Two numbers
// may have the same frames, of virtual threads of two pools.
func (k *stacks) list() []Stack {
	list := []Stack{}
	for _, n := range k.asked {
		if n.used {
			list = append(list, n.clean())
		}
	}
	slices.SortFunc(list, func(a, b Stack) int { return cmp.Compare(a.ID, b.ID) })
	once := list[:0]
	for _, st := range list {
		if n := len(once) - 1; n < 0 || once[n].ID != st.ID {
			once = append(once, st)
		} else if key(once[n].Task) != key(st.Task) {
			once[n].Task = nil
		}
	}
	return once
}

// maxPoolStacks is how many stacks a Pool lists.
const maxPoolStacks = 32

// stacksOf adds what t acquired by number of stack, 0 for what has none.
func (b *builder) stacksOf(t *thread, sums map[uint32]*PoolStack) {
	for k, a := range t.accounts {
		if b.stacks.of(k.stack).Stack == nil {
			k.stack = 0
		}
		p := sums[k.stack]
		if p == nil {
			p = &PoolStack{}
			sums[k.stack] = p
		}
		p.Outstanding += a.held
		p.Committed += a.committed
		p.memory.add(&a.memory)
		p.Mappings += a.left
		p.Released += a.released
		if at := b.unix(a.last); at != nil && (p.LastAt == nil || at.After(*p.LastAt)) {
			p.LastAt = at
		}
	}
}

// topStacks is the stacks that hold most, none where none is known.
func (b *builder) topStacks(sums map[uint32]*PoolStack) []PoolStack {
	list := []PoolStack{}
	if len(sums) == 1 && sums[0] != nil {
		return list
	}
	numbers := slices.DeleteFunc(slices.Collect(maps.Keys(sums)), func(n uint32) bool { return sums[n].Outstanding == 0 })
	slices.SortFunc(numbers, func(x, y uint32) int {
		p, q := sums[x], sums[y]
		return cmp.Or(cmp.Compare(q.Committed, p.Committed), cmp.Compare(q.Outstanding, p.Outstanding), cmp.Compare(x, y))
	})
	for _, n := range numbers[:min(len(numbers), maxPoolStacks)] {
		sums[n].Stack, sums[n].Resident = b.stacks.id(n), b.whole(&sums[n].memory)
		list = append(list, *sums[n])
	}
	return list
}

// key is a text to compare, "" for none.
func key(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// clean is st with every text valid UTF-8 and no list null.
func (st *Stack) clean() Stack {
	c := Stack{*valid(&st.ID), st.Status, valid(st.Reason), valid(st.Task), make([]Frame, len(st.Frames))}
	for i, f := range st.Frames {
		c.Frames[i] = Frame{f.Kind, valid(f.Function), valid(f.File), f.Line, valid(f.Module), valid(f.BuildID), f.Offset}
	}
	return c
}

// valid is s as valid UTF-8.
func valid(s *string) *string {
	if s == nil || utf8.ValidString(*s) {
		return s
	}
	return text(*s)
}
