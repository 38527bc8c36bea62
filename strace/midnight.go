package strace

import (
	"cmp"
	"slices"
	"time"
)

// startDays finds the files that begin after midnight. Times of day go round:
// if the first times leave a gap of 16 hours or more, the trace began behind
// it. Otherwise the file of the lowest PID began first, and a file that seems
// to begin an hour or more before it began a day later.
func (m *Merger) startDays() {
	type first struct {
		r   *Reader
		sec int64
	}
	var list []first
	var date time.Time
	for i, r := range m.readers {
		if i == 0 {
			date = r.o.Date
		}
		if !r.o.Date.Equal(date) {
			return // the caller knows
		}
		if sec, ok := r.firstSecond(); ok {
			list = append(list, first{r, sec})
		}
	}
	if len(list) < 2 {
		return
	}
	slices.SortStableFunc(list, func(a, b first) int { return cmp.Compare(a.sec, b.sec) })
	start, widest := int64(0), list[0].sec+day-list[len(list)-1].sec
	if widest >= 16*3600 {
		start = list[0].sec
	}
	for i := 1; i < len(list); i++ {
		if gap := list[i].sec - list[i-1].sec; gap > widest {
			if widest = gap; gap >= 16*3600 {
				start = list[i].sec
			}
		}
	}
	if widest < 16*3600 {
		lowest := slices.MinFunc(list, func(a, b first) int { return cmp.Compare(a.r.o.PID, b.r.o.PID) })
		start = lowest.sec - 3600
	}
	for _, f := range list {
		if f.sec < start {
			f.r.clock.days = 1
		}
	}
}

// firstSecond is the time of day of the first line that has one.
func (r *Reader) firstSecond() (int64, bool) {
	head := r.lines.peek()
	for len(head) > 0 {
		line := head
		if i := slices.Index(head, '\n'); i >= 0 {
			line, head = head[:i], head[i+1:]
		} else {
			head = nil
		}
		if p := parsePrefix(line); p.stamp.kind == wall {
			return p.stamp.sec, true
		}
	}
	return 0, false
}
