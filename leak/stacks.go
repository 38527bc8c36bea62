package leak

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// stacks collects the stacks that a document names.
type stacks struct {
	ask      func(number uint32) *Stack
	byNumber map[uint32]*Stack
}

// of is the stack of that number, nil if none is known.
func (k *stacks) of(number uint32) *Stack {
	if number == 0 || k.ask == nil {
		return nil
	}
	st, asked := k.byNumber[number]
	if !asked {
		st = k.ask(number)
		k.byNumber[number] = st
	}
	return st
}

// list is every stack that was asked for, once, in order of id.
func (k *stacks) list() []Stack {
	list := make([]Stack, 0, len(k.byNumber))
	for _, st := range k.byNumber {
		if st != nil {
			list = append(list, st.clean())
		}
	}
	slices.SortFunc(list, func(a, b Stack) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(list, func(a, b Stack) bool { return a.ID == b.ID })
}

// stackID is the id of the stack of that number, nil if none is known.
func (b *builder) stackID(number uint32) *string {
	if st := b.stacks.of(number); st != nil {
		return &st.ID
	}
	return nil
}

// clean is st with every text valid UTF-8 and no list null.
func (st *Stack) clean() Stack {
	c := Stack{st.ID, st.Status, valid(st.Reason), valid(st.Task), make([]Frame, len(st.Frames))}
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
