package leak

import (
	"fmt"
	"slices"
)

// checkStacks holds the stacks of an entry to their rules: ids are unique,
// every one that is named is there, and no account claims bytes for a stack
// that no row has. The other way round there may be less: accounts without
// room for their stacks count to none.
func (e *Entry) checkStacks() error {
	rows := map[string]uint64{}
	for i := range e.Stacks {
		st := &e.Stacks[i]
		if _, twice := rows[st.ID]; twice || st.ID == "" {
			return fmt.Errorf("stack %d: id %q is not unique", i, st.ID)
		}
		if err := st.check(); err != nil {
			return fmt.Errorf("stack %d: %w", i, err)
		}
		rows[st.ID] = 0
	}
	known := func(id *string) bool {
		if id == nil {
			return true
		}
		_, ok := rows[*id]
		return ok
	}
	for i := range e.Mappings {
		m := &e.Mappings[i]
		if !known(m.Stack) {
			return fmt.Errorf("mapping %d: no stack %q", i, *m.Stack)
		}
		if m.Stack != nil && m.Thread != nil {
			rows[*m.Stack] += m.Length
		}
	}
	for i := range e.Suspects {
		if st := e.Suspects[i].Stack; !known(st) {
			return fmt.Errorf("suspect %d: no stack %q", i, *st)
		}
	}
	for i := range e.Pools {
		if err := e.Pools[i].checkStacks(known); err != nil {
			return fmt.Errorf("pool %q: %w", e.Pools[i].Name, err)
		}
	}
	if e.Blocks != nil {
		if err := e.Blocks.check(known, e.brief); err != nil {
			return fmt.Errorf("blocks of malloc: %w", err)
		}
	}
	accounts := map[string]uint64{}
	for i := range e.Accounts {
		a := &e.Accounts[i]
		if !known(a.Stack) {
			return fmt.Errorf("account %d: no stack %q", i, *a.Stack)
		}
		if a.Stack != nil {
			accounts[*a.Stack] += a.Acquired - a.Released
		}
	}
	for id, n := range accounts {
		if n > rows[id] {
			return fmt.Errorf("stack %q: accounts hold %d bytes, its mappings are %d", id, n, rows[id])
		}
	}
	return nil
}

// checkStacks returns an error unless p's stacks are part of its sums.
func (p *Pool) checkStacks(known func(id *string) bool) error {
	var sum PoolStack
	for i := range p.Stacks {
		st := &p.Stacks[i]
		if !known(st.Stack) {
			return fmt.Errorf("no stack %q", *st.Stack)
		}
		if st.Committed > st.Outstanding {
			return fmt.Errorf("stack %d: committed %d of outstanding %d", i, st.Committed, st.Outstanding)
		}
		sum.Outstanding += st.Outstanding
		sum.Committed += st.Committed
		sum.Mappings += st.Mappings
		sum.Released += st.Released
	}
	if sum.Outstanding > p.Outstanding || sum.Committed > p.Committed || sum.Mappings > p.Mappings || sum.Released > p.Released {
		return fmt.Errorf("its stacks are %+v, more than it holds", sum)
	}
	return nil
}

// check returns an error if st is none that a walk can make.
func (st *Stack) check() error {
	if !slices.Contains([]string{"complete", "continued", "truncated", "failed", "none"}, st.Status) {
		return fmt.Errorf("status %q", st.Status)
	}
	if st.Frames == nil {
		return fmt.Errorf("frames are null")
	}
	for i := range st.Frames {
		f := &st.Frames[i]
		if !slices.Contains([]string{"native", "java", "inlined", "stub", "kernel"}, f.Kind) {
			return fmt.Errorf("frame %d is of kind %q", i, f.Kind)
		}
		if f.Line != nil && *f.Line < 0 {
			return fmt.Errorf("frame %d: line %d", i, *f.Line)
		}
	}
	return nil
}
