package strace

import (
	"bytes"
	"slices"
)

// terminal tells whose the lines without "[pid N]" are: strace writes the
// number to a terminal (not with -o) only while it traces more than one thread.
type terminal struct {
	first uint32          // the thread that the log began with, 0 unknown
	live  map[uint32]bool // threads seen in brackets and not gone
}

// learn looks ahead for the first thread's number: the first in brackets that
// no "Process N attached" and no clone has announced.
func (t *terminal) learn(r *Reader) {
	if r.o.PID != 0 {
		t.first = uint32(r.o.PID)
		return
	}
	head := r.lines.peek()
	if i := bytes.IndexByte(head, '\n'); i < 0 || parsePrefix(bytes.TrimPrefix(head[:i], []byte("\xef\xbb\xbf"))).tid != 0 {
		return
	}
	announced := make(map[uint32]bool)
	for line := range bytes.Lines(head) {
		p := parsePrefix(line)
		if p.bracket && !announced[p.tid] {
			t.first = p.tid
			return
		}
		if i := bytes.LastIndex(line, []byte("Process ")); i >= 0 {
			n, _ := digits(line, i+len("Process "))
			announced[uint32(n)] = true
		} else if bytes.Contains(line, []byte("clone")) || bytes.Contains(line, []byte("fork")) {
			if i := bytes.LastIndex(line, []byte(") = ")); i >= 0 {
				n, _ := digits(line, i+len(") = "))
				announced[uint32(n)] = true
			}
		}
	}
}

// tid is the thread of a line.
func (t *terminal) tid(p *prefix) uint32 {
	if p.tid != 0 {
		if p.bracket && len(t.live) < maxTracked && !t.live[p.tid] {
			if t.live == nil {
				t.live = make(map[uint32]bool)
			}
			t.live[p.tid] = true
		}
		return p.tid
	}
	if len(t.live) == 1 { // the only one left
		for tid := range t.live {
			return tid
		}
	}
	return t.first
}

func (t *terminal) exit(tid uint32) { delete(t.live, tid) }

func sortedKeys[V any](m map[uint32]V) []uint32 {
	keys := make([]uint32, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
