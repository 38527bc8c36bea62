package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vmaleak/leak"
)

// place is where a pool got memory: the stacks that look alike once they are
// trimmed. One call has several while its callees are interpreted, compiled and inlined.
type place struct {
	leak.PoolStack
	stack  *leak.Stack // the one that holds most, nil for none
	judge  judge
	pieces []piece
	top    level
	alike  int
}

// places is those of a pool, most committed bytes first. With full, every
// stack is one, and nothing is folded.
func places(p *leak.Pool, byID map[string]*leak.Stack, j judge, full bool) []place {
	var list []place
	index := map[string]int{}
	for _, ps := range p.Stacks {
		at := place{PoolStack: ps, judge: j, alike: 1}
		key := ""
		if ps.Stack != nil && byID[*ps.Stack] != nil {
			at.stack = byID[*ps.Stack]
			at.pieces, at.top = trim(at.stack.Frames, j)
			if key = at.key(); full {
				key = at.stack.ID
				at.pieces = at.pieces[:0]
				for i := range at.stack.Frames {
					at.pieces = append(at.pieces, piece{frames: at.stack.Frames[i : i+1]})
				}
			}
		}
		i, known := index[key]
		if !known {
			index[key] = len(list)
			list = append(list, at)
			continue
		}
		list[i].add(&at)
	}
	slices.SortStableFunc(list, func(a, b place) int {
		return cmp.Or(cmp.Compare(b.Committed, a.Committed), cmp.Compare(b.Outstanding, a.Outstanding))
	})
	return list
}

// add makes o part of a.
func (a *place) add(o *place) {
	a.Outstanding += o.Outstanding
	a.Committed += o.Committed
	a.Mappings += o.Mappings
	a.Released += o.Released
	if o.LastAt != nil && (a.LastAt == nil || o.LastAt.After(*a.LastAt)) {
		a.LastAt = o.LastAt
	}
	a.alike++
}

// key is what is shown of a place.
func (a *place) key() string {
	var b strings.Builder
	b.WriteString(a.stack.Status + " " + value(a.stack.Reason))
	for _, p := range a.pieces {
		if !p.folded {
			name, where, _ := parts(&p.frames[0])
			fmt.Fprintf(&b, "\n%s%s %d", name, where, len(p.frames))
		}
	}
	return b.String()
}

// entered says where a stack without frames of the application came in, and
// whose memory that is. "" where there are such frames, or callers are missing.
func (a *place) entered() string {
	st := a.stack
	if a.top == application || len(st.Frames) == 0 || st.Status != "complete" && st.Status != "continued" {
		return ""
	}
	switch f := a.entry(); {
	case f != nil:
		name, _, _ := parts(f)
		return fmt.Sprintf("no frame of an application: every user of %s maps here; it was entered at %s", cut(origin(f), 40), cut(name, 200))
	case a.top == engine:
		return "no frame of an application: the virtual machine maps this for itself"
	}
	return "no frame of an application"
}

// entry is where the library, or the JDK, was entered; nil if none was.
func (a *place) entry() *leak.Frame {
	for i := range slices.Backward(a.stack.Frames) {
		if f := &a.stack.Frames[i]; a.top > engine && a.judge.level(f) == a.top {
			return f
		}
	}
	return nil
}

// source says in a line where a pool got most, "" where that is not known.
func (f *finding) source() string {
	byID := make(map[string]*leak.Stack, len(f.e.Stacks))
	for i := range f.e.Stacks {
		byID[f.e.Stacks[i].ID] = &f.e.Stacks[i]
	}
	all := places(f.p, byID, judgeOf(f.e), false)
	if len(all) == 0 || all[0].stack == nil {
		return ""
	}
	a := &all[0]
	share := fmt.Sprintf("%s of %s", size(a.Committed), size(f.p.Committed))
	for i := range a.stack.Frames {
		if fr := &a.stack.Frames[i]; a.judge.level(fr) == application {
			name, where, _ := parts(fr)
			return fmt.Sprintf("%s from %s%s", share, cut(name, 200), cut(where, 100))
		}
	}
	if a.entered() == "" {
		return ""
	}
	if fr := a.entry(); fr != nil {
		return fmt.Sprintf("%s from within %s, no frame of an application above", share, cut(origin(fr), 40))
	}
	return ""
}
