package malloc

import "time"

// together is how many lists are walked at once: each step of them all is one system call. More would hardly be faster
// (a system call costs less than each of its reads), and the more there are, the longer each list has to change between two steps.
const together = 4

// walker walks lists.
type walker struct {
	v     *view
	clock *clock
	left  int // blocks that may still be read
	spare [][]byte
}

// walk walks the lists to their ends, or until the time is over.
func (w *walker) walk(lists []*list, until time.Duration) error {
	var active []*list
	for len(lists) > 0 || len(active) > 0 {
		for len(active) < together && len(lists) > 0 {
			active, lists = append(active, lists[0]), lists[1:]
		}
		if w.clock.used() > until {
			giveUp(active, tooLong)
			giveUp(lists, tooLong)
			return nil
		}
		var err error
		if active, err = w.step(active); err != nil {
			return err
		}
		if w.left <= 0 {
			giveUp(active, tooMany)
			giveUp(lists, tooMany)
			return nil
		}
	}
	return nil
}

func giveUp(lists []*list, why string) {
	for _, l := range lists {
		if !l.done() {
			l.why = why
		}
	}
}

// step reads what the lists need next, and goes on as far as that leads. It returns those that are not done.
func (w *walker) step(active []*list) ([]*list, error) {
	var requests []request
	var asked, rest []*list
	for _, l := range active {
		if l.anew {
			if err := w.reread(l); err != nil {
				return nil, err
			}
		}
		if l.done() {
			continue
		}
		from, n := l.window()
		in, err := w.v.resident(from)
		if in && err == nil {
			in, err = w.v.resident(from + n - 1)
		}
		if err != nil {
			return nil, err
		}
		if !in {
			w.v.forget(from, from+n-1)
			if l.absent++; l.absent > tries {
				l.why = swapped
			} else {
				l.back()
			}
			if !l.done() {
				rest = append(rest, l)
			}
			continue
		}
		l.base, l.page = from, w.buffer()[:n]
		requests, asked = append(requests, request{addr: from, buf: l.page}), append(asked, l)
	}
	if err := w.v.readAll(requests); err != nil {
		return nil, err
	}
	for i, l := range asked {
		n := len(l.blocks)
		if requests[i].ok {
			l.advance()
		} else {
			l.back()
		}
		w.left -= max(len(l.blocks)-n, 0)
		w.spare = append(w.spare, requests[i].buf[:cap(requests[i].buf)])
		l.page = nil
		if !l.done() {
			rest = append(rest, l)
		}
	}
	return rest, nil
}

// reread begins a list anew with what its first block is now.
func (w *walker) reread(l *list) error {
	link, ok, err := w.v.bytesAt(l.anchor(), 8)
	if err != nil || !ok {
		l.why = changing
		return err
	}
	l.anew = false
	if l.at = le64(link); l.at != l.head && !l.a.owns(block{l.at, minBlock}) {
		l.why = changing
	}
	return nil
}

// buffer is a page that no list uses.
func (w *walker) buffer() []byte {
	if n := len(w.spare); n > 0 {
		b := w.spare[n-1]
		w.spare = w.spare[:n-1]
		return b
	}
	return make([]byte, pageSize)
}
