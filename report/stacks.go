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
		t.poolStacks(e, p, places(p, byID, j, t.o.FullStacks), n)
	}
}

// poolStacks writes the first places of one pool, and how much the others hold.
func (t *screen) poolStacks(e *leak.Entry, p *leak.Pool, places []place, n int) {
	text := "where " + poolName(p.Name) + " got its memory:"
	if p.Virtual {
		text = "where the virtual threads " + poolName(p.Name) + " got their memory:"
	}
	t.WriteByte('\n')
	t.line(text)
	bytes, mappings := p.Committed, p.Mappings
	for i := range places[:min(len(places), n)] {
		at := &places[i]
		if i > 0 && at.Committed < max(t.o.MinSize, p.Committed/100) && !t.o.FullStacks {
			break
		}
		bytes -= min(at.Committed, bytes)
		mappings -= min(at.Mappings, mappings)
		text := fmt.Sprintf(" %s in %s", size(at.Committed), plural(at.Mappings, "mapping"))
		if at.Committed == 0 {
			text = fmt.Sprintf(" %s reserved in %s", size(at.Outstanding), plural(at.Mappings, "mapping"))
		}
		if at.Released > 0 {
			text += fmt.Sprintf(", %s released", size(at.Released))
		}
		text += ", last " + clock(at.LastAt, cmp.Or(e.EndedAt, t.s.EndedAt))
		if at.stack == nil {
			t.line(text + ", without a stack")
			continue
		}
		if at.alike > 1 {
			text += fmt.Sprintf(", %d stacks alike", at.alike)
		}
		t.line(text)
		t.stack(at)
	}
	if bytes > 0 {
		t.line(fmt.Sprintf(" and %s in %s elsewhere", size(bytes), plural(mappings, "mapping")))
	}
}

// stack writes the frames of one stack, and how far it was walked.
func (t *screen) stack(at *place) {
	for _, p := range at.pieces {
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
	if at.stack.Status != "complete" {
		text := how(at.stack.Status)
		if at.stack.Reason != nil {
			text += ": " + cut(*at.stack.Reason, 200)
		}
		t.note(text)
	}
	if text := at.entered(); text != "" {
		t.note(text)
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
