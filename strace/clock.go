package strace

import "time"

const (
	second = int64(time.Second)
	day    = 86400
	// undatedBase is midnight of the day that undated times count from. It is
	// not 1970-01-01, whose midnight is 0: unknown.
	undatedBase = day
)

// clock turns the stamps of one log into nanoseconds since the epoch.
type clock struct {
	date time.Time // zero: undated
	loc  *time.Location
	days int // midnights passed, or set before the first stamp

	last    int64 // second of the day of the last wall stamp, -1 before
	key     int64 // day and second that unix belongs to
	unix    int64
	rel     int64 // sum of the relative stamps, in ns
	started bool
	stats   *Stats
}

func newClock(o Options, s *Stats) clock {
	c := clock{date: o.Date, loc: o.Location, last: -1, key: -1, stats: s}
	if c.loc == nil {
		c.loc = o.Date.Location()
	}
	return c
}

// at is the time of s, 0 if it has none.
func (c *clock) at(s *stamp) int64 {
	var t int64
	switch s.kind {
	case noStamp:
		c.stats.Untimed = true
		return 0
	case epoch:
		t = s.sec*second + int64(s.nsec)
	case relative:
		c.rel += s.sec*second + int64(s.nsec)
		t = undatedBase*second + c.rel
		if !c.date.IsZero() {
			t = c.date.UnixNano() + c.rel
		}
		c.stats.Relative = true
	case wall:
		t = c.wall(s.sec)*second + int64(s.nsec)
	}
	if s.kind != epoch && c.date.IsZero() {
		c.stats.Undated = true
	}
	c.stats.Precision = max(c.stats.Precision, time.Duration(powers[9-min(s.digits, 9)]))
	if !c.started {
		c.started, c.stats.First = true, t
	}
	if t < c.stats.Last-second {
		c.stats.Backwards++
	}
	c.stats.Last = t
	return t
}

// wall is the second since the epoch of a second of the day.
func (c *clock) wall(sec int64) int64 {
	d := c.days
	switch {
	case c.last < 0:
		c.last = sec
	case sec < c.last-3600: // no summer time ends with a longer step back
		c.days++
		c.stats.Days++
		d, c.last = c.days, sec
	case sec > c.last+day-60 && d > 0: // written just after midnight, begun just before
		d--
	default:
		c.last = sec
	}
	key := int64(d)*day + sec
	if key == c.key {
		return c.unix
	}
	before := c.unix
	c.unix = c.resolve(d, sec)
	// When summer time ends an hour comes twice: the second time if the first would be a step back.
	if c.key >= 0 && c.loc != time.UTC && c.unix < before && before-c.unix <= 7200 {
		if again := c.unix + 3600; c.secondOfDay(again) == sec {
			c.unix = again
		}
	}
	c.key = key
	return c.unix
}

func (c *clock) resolve(days int, sec int64) int64 {
	if c.date.IsZero() {
		return undatedBase + int64(days)*day + sec
	}
	y, m, d := c.date.Date()
	t := time.Date(y, m, d+days, 0, 0, int(sec), 0, time.UTC)
	if c.loc == time.UTC {
		return t.Unix()
	}
	unix := time.Date(y, m, d+days, int(sec/3600), int(sec/60%60), int(sec%60), 0, c.loc).Unix()
	if first := unix - 3600; c.secondOfDay(first) == sec { // Date may take either
		return first
	}
	return unix
}

func (c *clock) secondOfDay(unix int64) int64 {
	h, m, s := time.Unix(unix, 0).In(c.loc).Clock()
	return int64(h*3600 + m*60 + s)
}
