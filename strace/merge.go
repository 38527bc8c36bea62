package strace

import (
	"container/heap"

	"vmaleak/vma"
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
	err     error

	last      *Reader // gave cur
	lastIndex int
	moving    int // mremaps in heads that have begun
	models    map[uint32]*vma.Space
}

// Merge orders the files of one strace -ff by time (see the package's text).
// Records of equal time keep the order of rs. Times of day without a date are
// made one sequence: a file whose first line can only belong to the day after
// the others' is moved there. The readers must be fresh and are the Merger's.
func Merge(rs ...*Reader) *Merger {
	m := &Merger{readers: rs, models: make(map[uint32]*vma.Space)}
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
		m.pull(m.last, m.lastIndex)
	}
	for m.err == nil && len(m.heads.list) > 0 {
		h := m.next()
		m.last, m.lastIndex, m.cur = h.reader, h.index, h.reader.cur
		if m.tracker.track(m.cur) {
			h.reader.count(m.cur)
			m.model(m.cur)
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
		if movesAway(r.cur) {
			at = r.cur.Start
		}
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
	list []mergeHead
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
