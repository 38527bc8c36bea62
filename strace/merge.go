package strace

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// Merger yields the records of several logs in the order of their times. It
// reads them as it goes and holds one record of each.
type Merger struct {
	readers []*Reader // all, as given
	heads   mergeHeap
	tracker *tracker
	stats   Stats // of the tracker
	cur     *Record
	started bool
	last    *Reader // gave cur
	err     error
}

// Merge orders the files of one strace -ff by time (see the package's text).
// Records of equal time keep the order of rs. Times of day without a date are
// made one sequence: a file whose first line can only belong to the day after
// the others' is moved there. The readers must be fresh and are the Merger's.
func Merge(rs ...*Reader) *Merger {
	m := &Merger{readers: rs}
	m.tracker = newTracker(&m.stats)
	return m
}

// Scan advances to the next record. It is false at the end of all logs, or at
// the first error of an underlying reader, which Err returns.
func (m *Merger) Scan() bool {
	if !m.started {
		m.started = true
		m.startDays()
		for i, r := range m.readers {
			m.pull(r, i)
		}
	} else if m.last != nil {
		m.pull(m.last, m.heads.lastIndex)
	}
	for m.err == nil && len(m.heads.list) > 0 {
		h := heap.Pop(&m.heads).(mergeHead)
		m.last, m.heads.lastIndex, m.cur = h.reader, h.index, h.reader.cur
		if m.tracker.track(m.cur) {
			h.reader.count(m.cur)
			return true
		}
		m.pull(h.reader, h.index)
	}
	m.last, m.cur = nil, nil
	return false
}

// Record is the record that Scan came to. It belongs to the Merger and holds until the next Scan.
func (m *Merger) Record() *Record { return m.cur }

// Err is the error of the underlying reader that ended the scan.
func (m *Merger) Err() error { return m.err }

// Stats is the sum over the logs.
func (m *Merger) Stats() Stats {
	s := m.stats
	for _, r := range m.readers {
		o := r.Stats()
		s.add(&o)
	}
	return s
}

func (m *Merger) pull(r *Reader, index int) {
	if r.advance() {
		at := r.cur.Event.Time
		if at == 0 { // a line that is not understood stays behind the one before
			at = r.mergeAt
		}
		r.mergeAt = at
		heap.Push(&m.heads, mergeHead{r, index, at})
	} else if err := r.Err(); err != nil && m.err == nil {
		m.err = err
	}
}

type mergeHead struct {
	reader *Reader
	index  int
	at     int64
}

type mergeHeap struct {
	list      []mergeHead
	lastIndex int
}

func (h *mergeHeap) Len() int { return len(h.list) }
func (h *mergeHeap) Less(i, j int) bool {
	a, b := h.list[i], h.list[j]
	return a.at < b.at || a.at == b.at && a.index < b.index
}
func (h *mergeHeap) Swap(i, j int) { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *mergeHeap) Push(x any)    { h.list = append(h.list, x.(mergeHead)) }
func (h *mergeHeap) Pop() any {
	x := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	return x
}

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
	head := r.lines.peek(64 << 10)
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
