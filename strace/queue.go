package strace

// state is whether a slot's record may leave the queue.
type state uint8

const (
	ready   state = iota
	waiting       // for the end of its call
	void          // nothing here
)

type slot struct {
	rec   Record
	state state
	sys   sys
}

// queue keeps records in their order until those before them are ready. A slot
// has a number that it keeps until it leaves.
type queue struct {
	buf        []slot // a ring, length a power of two
	head, tail int64
}

func (q *queue) len() int64       { return q.tail - q.head }
func (q *queue) at(i int64) *slot { return &q.buf[i&int64(len(q.buf)-1)] }

// push adds an empty slot behind the others and returns its number.
func (q *queue) push() (int64, *slot) {
	if q.len() == int64(len(q.buf)) {
		buf := make([]slot, max(64, 2*len(q.buf)))
		for i := q.head; i < q.tail; i++ {
			buf[i&int64(len(buf)-1)] = *q.at(i)
		}
		q.buf = buf
	}
	i := q.tail
	q.tail++
	s := q.at(i)
	*s = slot{}
	return i, s
}

// pop returns the first record if it is ready. It is valid until the next push.
func (q *queue) pop() *Record {
	for q.head < q.tail {
		s := q.at(q.head)
		if s.state == waiting {
			return nil
		}
		q.head++
		if s.state == ready {
			return &s.rec
		}
	}
	return nil
}
