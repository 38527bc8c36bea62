package leak

import (
	"strings"
	"time"
)

// end is when a limit will be hit at the growth that is seen.
type end struct {
	limit                     Limit
	at, earliest, latest      int64
	step                      int  // at which step, 0: at a rate
	untouched, withoutCounter bool // most of the growth is not counted; what is used is our own sum
}

const (
	farAway     = 10 * 365 * 24 * time.Hour // who knows
	minMeasured = int64(20 * time.Second)
)

// ends finds, for every suspect, the limit that will be hit first.
func (b *builder) ends(found []*candidate) {
	s := b.s
	now := max(b.at.UnixNano(), s.lastAt)
	for _, l := range b.limits {
		if l.Used == nil {
			continue
		}
		if s.limits == nil {
			s.limits = map[string]*track{}
		}
		t := s.limits[l.Counter]
		if t == nil && len(s.limits) < 64 {
			t = &track{}
			s.limits[l.Counter] = t
		}
		if t != nil {
			t.add(max(now, t.lastAt()), int64(*l.Used), 0)
		}
	}
	for i, c := range found {
		var first *end
		for _, l := range b.limits {
			if e := b.endOf(l, found, c, now); e != nil && (first == nil || e.at < first.at) {
				first = e
			}
		}
		for _, n := range b.counters {
			if e := b.counterEnd(n, found, c, now); e != nil && (first == nil || e.at < first.at) {
				first = e
			}
		}
		if first == nil {
			continue
		}
		c.end = first
		d := &b.e.Suspects[i]
		d.Limit = &first.limit
		d.ExhaustedAt, d.ExhaustedEarliest, d.ExhaustedLatest = b.unix(first.at), b.unix(first.earliest), b.unix(first.latest)
	}
}

// lastAt is when t changed last.
func (t *track) lastAt() int64 {
	if n := len(t.cells); n > 0 {
		return t.cells[n-1].last
	}
	return 0
}

// endOf is when the growth of all suspects hits l.
func (b *builder) endOf(l Limit, found []*candidate, c *candidate, now int64) *end {
	if l.Used == nil || l.Bytes == 0 {
		return nil
	}
	measured, watched := b.measured(l.Counter, c.since, now)
	if strings.Contains(l.Counter, "max_map_count") { // of mappings, not of bytes
		if watched < minMeasured || measured <= 0 {
			return nil
		}
		return until(l, Growth{ptr(round(measured)), ptr(round(measured * 0.8)), ptr(round(measured * 1.2)), true}, now)
	}
	all := together(found)
	if all.PerHour == nil {
		return nil
	}
	if watched >= minMeasured && measured < float64(*all.PerHour)/2 { // what is not touched is not counted
		if measured <= 0 {
			return nil
		}
		e := until(l, Growth{ptr(round(measured)), ptr(round(measured / 2)), all.High, true}, now)
		if e != nil {
			e.untouched = true
		}
		return e
	}
	if only(found, c) && c.form == staircase {
		return atStep(l, c.stairs, now)
	}
	return until(l, all, now)
}

// counterEnd is when the growth of direct buffers hits the target's own limit.
func (b *builder) counterEnd(n Counter, found []*candidate, c *candidate, now int64) *end {
	if n.Limit == nil || *n.Limit == 0 || !b.counts(n, c) {
		return nil
	}
	var list []*candidate
	var held uint64
	for _, o := range found {
		if b.counts(n, o) {
			list = append(list, o)
			held += o.sums.committed
			if older := b.olderOf(o); older != nil {
				held += *older
			}
		}
	}
	l := Limit{Name: n.Name, Counter: n.Counter, Used: n.Used, Bytes: *n.Limit}
	if l.Used == nil {
		l.Used = &held
	}
	var e *end
	if len(list) == 1 && c.form == staircase {
		e = atStep(l, c.stairs, now)
	} else {
		e = until(l, together(list), now)
	}
	if e != nil {
		e.withoutCounter = n.Used == nil
	}
	return e
}

// counts reports whether the target counts c's memory by n.
func (b *builder) counts(n Counter, c *candidate) bool {
	category := c.kinds[0].category
	number, known := b.stackFor(c)
	if !known {
		return category == DirectBuffer || b.h.Source == SourceStrace && (category == MallocChunk || category == Other)
	}
	netty, nio := false, false
	for _, f := range b.stacks.of(number).Frames {
		if f.Kind == "java" || f.Kind == "inlined" {
			name := key(f.Function)
			netty = netty || strings.Contains(name, "NoCleaner") || strings.Contains(name, ".util.internal.PlatformDependent")
			nio = nio || strings.HasPrefix(name, "java.nio.DirectByteBuffer.") || strings.HasPrefix(name, "java.nio.Bits.")
		}
	}
	nio = nio && !strings.Contains(n.Name, "Netty")
	switch {
	case strings.Contains(n.Name, "Netty"):
		return netty
	case strings.Contains(n.Name, "NIO"):
		return nio
	}
	return category == DirectBuffer
}

// measured is by how much an hour what a limit counts has grown since, and how long that was seen.
func (b *builder) measured(counter string, since, now int64) (perHour float64, watched int64) {
	t := b.s.limits[counter]
	if t == nil || len(t.cells) == 0 {
		return 0, 0
	}
	samples := sum(t)
	first := samples[0]
	for _, p := range samples {
		if p.at <= since {
			first = p
		}
	}
	watched = now - max(first.at, min(since, now))
	if watched <= 0 {
		return 0, 0
	}
	return (float64(samples[len(samples)-1].v) - float64(first.v)) / float64(watched) * float64(time.Hour), watched
}

// together is the growth of all candidates.
func together(list []*candidate) (g Growth) {
	var per, low, high int64
	for _, c := range list {
		if c.growth.PerHour == nil {
			continue
		}
		per, low, high = per+*c.growth.PerHour, low+*c.growth.Low, high+*c.growth.High
	}
	if per <= 0 {
		return Growth{}
	}
	return Growth{&per, &low, &high, true}
}

// only reports whether nearly all growth is c's.
func only(list []*candidate, c *candidate) bool {
	all := together(list)
	return all.PerHour != nil && c.growth.PerHour != nil && float64(*c.growth.PerHour) >= 0.9*float64(*all.PerHour)
}

// until is when l is hit at the rate g, nil if that is not to be foreseen.
func until(l Limit, g Growth, now int64) *end {
	if g.PerHour == nil || *g.PerHour <= 0 {
		return nil
	}
	room := float64(l.Bytes - min(*l.Used, l.Bytes))
	at := func(rate int64) int64 {
		ns := room / max(float64(rate), 1) * float64(time.Hour)
		return now + int64(min(ns, float64(farAway)))
	}
	e := &end{limit: l, at: at(*g.PerHour), earliest: at(*g.High), latest: at(*g.Low)}
	if e.at >= now+int64(farAway) {
		return nil
	}
	return e
}

// atStep is when l is hit by steps as they came so far.
func atStep(l Limit, st stairs, now int64) *end {
	room := l.Bytes - min(*l.Used, l.Bytes)
	last, size := st[len(st)-1], max(st.size(), 1)
	step := room/size + 1
	if room > 0 && room%size == 0 {
		step--
	}
	gaps := st.gaps()
	var least, most, all int64 = gaps[0], gaps[0], 0
	for _, g := range gaps {
		least, most, all = min(least, g), max(most, g), all+g
	}
	mean := all / int64(len(gaps))
	if mean <= 0 || float64(step)*float64(most) >= float64(farAway) {
		return nil
	}
	inside := int64(float64(last.end-last.start) * float64(room-min((step-1)*size, room)) / float64(size))
	at := func(gap int64) int64 { return max(last.start+int64(step)*gap+inside, now) }
	k := int64(step)
	// The steps' own mean is known better than one gap is: the range narrows with their number.
	spread := func(gap int64) int64 {
		return mean + (gap-mean)/max(min(int64(len(gaps)), k), 1)
	}
	return &end{limit: l, at: at(mean), earliest: at(spread(least)), latest: at(spread(most)), step: int(step)}
}

func ptr[T any](v T) *T { return &v }
