package leak

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// why gives the reasons for a verdict, the strongest first.
func (b *builder) why(c *candidate, s *Suspect) []string {
	now := max(b.at.UnixNano(), b.s.lastAt)
	released := "0 released"
	if s.Released > 0 {
		share := 100 * float64(s.Released) / float64(s.Released+s.Outstanding)
		released = fmt.Sprintf("%s (%.0f %%) released", inWords(s.Released), share)
	}
	how := "mapped"
	if s.Blocks {
		how = "blocks inside malloc's arenas"
	}
	why := []string{fmt.Sprintf("%d %s, %s%s", s.Mappings, how, released, c.shares())}
	switch c.form {
	case staircase:
		line := fmt.Sprintf("%d steps of %s, one every %s", c.steps.Count, inWords(c.steps.Bytes), age(c.steps.PeriodNS))
		if s.Predictions.Made > 0 {
			line += fmt.Sprintf("; %d of %d steps foretold", s.Predictions.Kept, s.Predictions.Made)
		}
		early, late, size := c.stairs.next()
		why = append(why, line, fmt.Sprintf("the next step, of %s, is due between %s and %s", inWords(size), b.clock(early), b.clock(late)))
	case sawtooth:
		why = append(why, fmt.Sprintf("it falls again and again, but %d times never as low as before", c.teeth))
	default:
		why = append(why, fmt.Sprintf("it rose %d times in %s and does not slow down", c.rises, age(now-c.since)))
	}
	why = append(why, b.survival(c, now)...)
	if s.PreExisting != nil && *s.PreExisting > 0 {
		why = append(why, fmt.Sprintf("%s of the same size were there before the trace", inWords(*s.PreExisting)))
	}
	switch k := c.kinds[0]; k.category {
	case MallocArena, BrkHeap:
		why = append(why, "arena reuse: growth is seen late, as malloc uses again without a system call what was freed inside")
	case Metaspace, ClassSpace:
		why = append(why, "classes are loaded and not unloaded: a class loader is held")
	case ThreadStack:
		why = append(why, "threads are created and do not end, or their stacks are not reused")
	}
	if c.verdict == suspicious {
		why = append(why, "it may be noise: too few, or too short to tell")
	}
	if c.end != nil {
		why = append(why, b.ending(c.end))
	}
	return why
}

// shares says how the calls of c are spread over threads.
func (c *candidate) shares() string {
	n := len(c.sums.threads)
	if n < 2 {
		return ""
	}
	each := uint64(0)
	for _, t := range c.sums.threads {
		if each != 0 && each != t.calls {
			return fmt.Sprintf(", by %d threads", n)
		}
		each = t.calls
	}
	return fmt.Sprintf(", %d by each of %d threads", each, n)
}

// survival says how much of what was held half the time ago is still here.
func (b *builder) survival(c *candidate, now int64) []string {
	then := c.since + (now-c.since)/2
	held := c.level.before(then)
	var here uint64
	for _, a := range c.sums.arrivals {
		if a.at <= then {
			here += a.bytes
		}
	}
	if held < minBytes || len(c.sums.arrivals) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("of %s held %s ago, %.0f %% are still here", inWords(held), age(now-then), min(100*float64(here)/float64(held), 100))}
}

// ending says when a limit is hit.
func (b *builder) ending(e *end) string {
	line := fmt.Sprintf("%s, %s of %s used, is reached about %s", e.limit.Name, inWords(*e.limit.Used), inWords(e.limit.Bytes), b.clock(e.at))
	if strings.Contains(e.limit.Counter, "max_map_count") {
		line = fmt.Sprintf("%s, %d of %d used, is reached about %s", e.limit.Name, *e.limit.Used, e.limit.Bytes, b.clock(e.at))
	}
	if e.earliest != e.latest {
		line += fmt.Sprintf(" (%s to %s)", b.clock(e.earliest), b.clock(e.latest))
	}
	switch {
	case e.step == 1:
		line += ", at the next step"
	case e.step > 1:
		line += fmt.Sprintf(", %d steps from now", e.step)
	}
	if e.untouched {
		line += "; most of the growth is not touched yet and does not count"
	}
	if e.withoutCounter {
		line += "; from what was seen alone: older memory of the kind makes it sooner"
	}
	return line
}

// maxLeads bounds the application's frames that are named.
const maxLeads = 6

// lead says what is known beyond the place, which is not always the culprit.
func (b *builder) lead(c *candidate) []string {
	lead := []string{}
	number, known := b.stackFor(c)
	if known {
		if names := b.applications(b.stacks.of(number).Stack); len(names) > 0 {
			lead = append(lead, "called by "+strings.Join(names, ", "))
		}
	}
	if len(c.sums.threads) > 1 || len(c.sums.stacks) > 1 {
		lead = append(lead, "the stack is the place: others of its pool may map there for the one that keeps")
	}
	if _, by := b.released(c); len(by) > 0 {
		pools := []string{}
		own := 0
		for _, sh := range by {
			if i, ok := b.index[sh.t]; ok && sh.t != nil {
				if pool := b.group(i); pool != "" && pool != c.pool() {
					if !slices.Contains(pools, pool) {
						pools = append(pools, pool)
					}
					continue
				}
			}
			own++
		}
		if len(pools) > 0 && own == 0 {
			lead = append(lead, "what was released, was released by "+strings.Join(pools[:min(len(pools), 3)], ", "))
		} else if len(pools) > 0 {
			lead = append(lead, "some of it was released by "+strings.Join(pools[:min(len(pools), 3)], ", "))
		}
	}
	gone := 0
	for t := range c.sums.threads {
		if !b.living(t) {
			gone++
		}
	}
	if gone > 0 {
		lead = append(lead, fmt.Sprintf("%d of %d threads have ended, what they acquired has not", gone, len(c.sums.threads)))
	}
	return append(lead, b.stopped(c)...)
}

// applications names the methods of the application on a stack, innermost first.
func (b *builder) applications(st *Stack) []string {
	var names []string
	for i := range st.Frames {
		f := &st.Frames[i]
		name := methodOf(f)
		if name == "" || f.Kind != "java" && (f.Kind != "inlined" || f.Module != nil) || ofJDK(name) || strings.HasPrefix(name, "io.netty.") ||
			len(names) > 0 && names[len(names)-1] == name {
			continue
		}
		if names = append(names, clean(name)); len(names) == maxLeads {
			break
		}
	}
	return names
}

// stopped names other pools that map at the same place and stopped growing.
func (b *builder) stopped(c *candidate) []string {
	var out []string
	k := c.kinds[0]
	if k.place == 0 || k.place == rest {
		return nil
	}
	for o, sum := range b.sums {
		if o.place == k.place && o.pool != k.pool && o.pool != "" && o.category == k.category && sum.committed >= minBytes && sum.last < c.since+(c.sums.last-c.since)/2 {
			out = append(out, fmt.Sprintf("the same place by pool %s stopped growing at %s", o.pool, inWords(sum.committed)))
		}
	}
	slices.Sort(out)
	return out[:min(len(out), 3)]
}

// clock is a time of day, with the date if it is another day than the snapshot's.
func (b *builder) clock(ns int64) string {
	t := time.Unix(0, ns).In(b.at.Location())
	if y, m, d := t.Date(); !b.h.Undated {
		if y2, m2, d2 := b.at.Date(); y != y2 || m != m2 || d != d2 {
			return t.Format("2006-01-02 15:04")
		}
	}
	if t.Sub(b.at).Abs() < 10*time.Minute {
		return t.Format("15:04:05")
	}
	return t.Format("15:04")
}

// age is a duration in words.
func age(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 3*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// inWords is n bytes in binary units.
func inWords(n uint64) string {
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 || v >= 100 || v == float64(int64(v)) {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
