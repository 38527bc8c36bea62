package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vmaleak/leak"
)

// How many pools have their stacks shown, and how many stacks the first and the others.
const (
	stackPools  = 3
	firstStacks = 2
	otherStacks = 1
)

// stacks writes where the top pools got their memory.
func (t *screen) stacks(e *leak.Entry, pools []leak.Pool) {
	byID := make(map[string]*leak.Stack, len(e.Stacks))
	for i := range e.Stacks {
		byID[e.Stacks[i].ID] = &e.Stacks[i]
	}
	j := judgeOf(e)
	for i := range pools {
		p, n := &pools[i], otherStacks
		switch {
		case len(p.Stacks) == 0:
			continue
		case t.o.FullStacks:
			n = len(p.Stacks)
		case i >= stackPools:
			return
		case i == 0:
			n = firstStacks
		}
		t.poolStacks(e, p, p.Stacks[:min(n, len(p.Stacks))], byID, j)
	}
}

// poolStacks writes some stacks of one pool, and how much the others hold.
func (t *screen) poolStacks(e *leak.Entry, p *leak.Pool, list []leak.PoolStack, byID map[string]*leak.Stack, j judge) {
	text := "where " + poolName(p.Name) + " got its memory:"
	if p.Virtual {
		text = "where the virtual threads " + poolName(p.Name) + " got their memory:"
	}
	t.WriteByte('\n')
	t.line(text)
	var shown leak.PoolStack
	for i := range list {
		st := &list[i]
		if i > 0 && st.Committed < max(t.o.MinSize, p.Committed/100) && !t.o.FullStacks {
			break
		}
		shown.Committed += st.Committed
		shown.Mappings += st.Mappings
		text := fmt.Sprintf("%s in %s", size(st.Committed), plural(st.Mappings, "mapping"))
		if st.Committed == 0 {
			text = fmt.Sprintf("%s reserved in %s", size(st.Outstanding), plural(st.Mappings, "mapping"))
		}
		if st.Released > 0 {
			text += fmt.Sprintf(", %s released", size(st.Released))
		}
		text += ", last " + clock(st.LastAt, cmp.Or(e.EndedAt, t.s.EndedAt))
		if st.Stack == nil || byID[*st.Stack] == nil {
			t.line(" " + text + ", without a stack")
			continue
		}
		t.line(" " + text)
		t.stack(byID[*st.Stack], j)
	}
	if rest := p.Committed - min(shown.Committed, p.Committed); rest > 0 {
		t.line(fmt.Sprintf(" and %s in %s elsewhere", size(rest), plural(p.Mappings-min(shown.Mappings, p.Mappings), "mapping")))
	}
}

// stack writes the frames of one stack, and how far it was walked.
func (t *screen) stack(st *leak.Stack, j judge) {
	pieces, top := trim(st.Frames, j)
	if t.o.FullStacks {
		pieces = pieces[:0]
		for i := range st.Frames {
			pieces = append(pieces, piece{frames: st.Frames[i : i+1]})
		}
	}
	for _, p := range pieces {
		if p.folded {
			head := fmt.Sprintf("   … %s of ", plural(uint64(len(p.frames)), "frame"))
			t.WriteString(head + origins(p.frames, t.o.Width-width(head)) + "\n")
			continue
		}
		const head = "  at "
		tail := ""
		if n := len(p.frames); n > 1 {
			tail = fmt.Sprintf(" ×%d", n)
		}
		t.WriteString(head + frame(&p.frames[0], t.o.Width-width(head)-width(tail)) + tail + "\n")
	}
	if st.Status != "complete" {
		text := how(st.Status)
		if st.Reason != nil {
			text += ": " + cut(*st.Reason, 200)
		}
		t.note(text)
	}
	if st.Status == "complete" || st.Status == "continued" {
		if text := entered(st.Frames, j, top); text != "" {
			t.note(text)
		}
	}
}

// note writes text below a stack, wrapped.
func (t *screen) note(text string) { t.WriteString("  " + wrap(text, "  ", t.o.Width-2)) }

// how says what the status of a stack means.
func how(status string) string {
	switch status {
	case "continued":
		return "continued where a virtual thread's frames lie in the heap"
	case "truncated":
		return "truncated, its callers are missing"
	case "failed":
		return "failed, the rest is missing"
	case "none":
		return "no stack"
	}
	return status
}

// entered says where a stack without frames of the application came in, and
// whose memory that is. "" where there are such frames.
func entered(frames []leak.Frame, j judge, top level) string {
	if top == application || len(frames) == 0 {
		return ""
	}
	for i := len(frames) - 1; i >= 0; i-- {
		if f := &frames[i]; top > engine && j.level(f) == top {
			name, _, _ := parts(f)
			return fmt.Sprintf("no frame of an application: every user of %s maps here; it was entered at %s", cut(origin(f), 40), cut(name, 200))
		}
	}
	if top == engine {
		return "no frame of an application: the virtual machine maps this for itself"
	}
	return "no frame of an application"
}

// source says in a line where a pool got most, "" where that is not known.
func (f *finding) source() string {
	if len(f.p.Stacks) == 0 || f.p.Stacks[0].Stack == nil {
		return ""
	}
	i := slices.IndexFunc(f.e.Stacks, func(st leak.Stack) bool { return st.ID == *f.p.Stacks[0].Stack })
	if i < 0 {
		return ""
	}
	share := fmt.Sprintf("%s of %s", size(f.p.Stacks[0].Committed), size(f.p.Committed))
	j, frames := judgeOf(f.e), f.e.Stacks[i].Frames
	for k := range frames {
		if j.level(&frames[k]) == application {
			name, where, _ := parts(&frames[k])
			return fmt.Sprintf("from %s%s, %s", cut(name, 200), cut(where, 100), share)
		}
	}
	for k := range slices.Backward(frames) {
		if j.level(&frames[k]) == library {
			return fmt.Sprintf("from within %s, %s", cut(origin(&frames[k]), 40), share)
		}
	}
	return ""
}

// walked says how far the stacks of a process were walked, "" if all were
// complete.
func walked(c *leak.StackCounts) string {
	all := c.Complete + c.Continued + c.Truncated + c.Failed + c.None + c.RateLimited + c.Pending
	if all == c.Complete {
		return ""
	}
	text := fmt.Sprintf("stacks: %s of %s complete", exact(c.Complete), exact(all))
	for _, part := range []struct {
		n    uint64
		what string
	}{{c.Continued, "continued"}, {c.Truncated, "truncated"}, {c.Failed, "failed"}, {c.None, "none"}, {c.RateLimited, "over the rate limit"}, {c.Pending, "still being walked"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %s %s", exact(part.n), part.what)
		}
	}
	reasons := slices.Sorted(maps.Keys(c.Reasons))
	slices.SortStableFunc(reasons, func(a, b string) int { return cmp.Compare(c.Reasons[b], c.Reasons[a]) })
	var why []string
	for _, r := range reasons[:min(len(reasons), 5)] {
		why = append(why, fmt.Sprintf("%s %s", cut(r, 100), exact(c.Reasons[r])))
	}
	if len(why) > 0 {
		text += "; " + strings.Join(why, ", ")
	}
	return text
}
