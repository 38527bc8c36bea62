package leak

import "slices"

// grew tells of each category how much more is held of what was acquired under trace than half-way through.
func (b *builder) grew() {
	since, now := b.s.openedAt.UnixNano(), max(b.at.UnixNano(), b.s.lastAt)
	if now-since < 2*minWatch {
		return
	}
	for i := range b.e.Categories {
		c := &b.e.Categories[i]
		var levels []*track
		for k, g := range b.s.groups {
			if k.category == c.Category {
				levels = append(levels, &g.level)
			}
		}
		held := sum(levels...)
		half := since + (now-since)/2
		then, last := int64(0), int64(0)
		if n := len(held); n > 0 {
			last = int64(held[n-1].v)
		}
		if k, _ := slices.BinarySearchFunc(held, half, func(s sample, at int64) int {
			if s.at <= at {
				return -1
			}
			return 1
		}); k > 0 {
			then = int64(held[k-1].v)
		}
		d := last - then
		c.Grew = &d
	}
}
