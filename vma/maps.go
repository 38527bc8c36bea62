package vma

import (
	"bytes"
	"fmt"
)

// ParseMaps makes a space of the text of /proc/PID/maps, or of smaps: lines
// that begin with a capital letter are passed over. Rows with inode 0 and no
// name, or the names [heap] and [anon…], are anonymous and pre-existing; every
// other row is opaque, [stack] apart. The kernel shows a row that changes
// while it is read twice, or overlapping the row before: the overlap is
// dropped. A line that is no row ends it with an error.
func ParseMaps(text []byte, o Options) (*Space, error) {
	s := New(o)
	var last uint64
	for n := 1; len(text) > 0; n++ {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		if len(line) > 0 && 'A' <= line[0] && line[0] <= 'Z' {
			continue
		}
		a, err := parseMapsRow(line)
		if err != nil {
			return nil, fmt.Errorf("maps line %d: %w", n, err)
		}
		if a.Empty() {
			return nil, fmt.Errorf("maps line %d: range %v is empty", n, a.Range)
		}
		if a.Start = max(a.Start, last); a.Empty() {
			continue
		}
		last = a.End
		if a.Kind == Stack {
			s.StackStart = a.End - 1 // until the caller knows better
		}
		s.rows.insert(s.rows.last(), &a)
	}
	return s, s.Check()
}

// parseMapsRow reads "start-end rwxp offset dev inode   name".
func parseMapsRow(line []byte) (a Area, err error) {
	fields := mapsLine{rest: line}
	a.Start = fields.hex('-', "start address")
	a.End = fields.hex(' ', "end address")
	perms := fields.word(' ')
	if len(perms) != 4 && fields.bad == "" {
		fields.bad = "permissions"
	}
	offset := fields.hex(' ', "offset")
	fields.word(' ')
	inode := fields.word(' ')
	if fields.bad != "" {
		return a, fmt.Errorf("no %s in %.80q", fields.bad, line)
	}
	for i, c := range "rwx" {
		if perms[i] == byte(c) {
			a.Prot |= 1 << i
		}
	}
	name := bytes.TrimLeft(fields.rest, " ")
	a.Kind = Opaque
	if bytes.HasPrefix(name, []byte("/SYSV")) {
		a.Owner = Owner{Op: OpShmat, At: int64(a.Start - offset)}
		for _, c := range inode { // the segment's number
			a.Call = a.Call*10 + uint64(c-'0')
		}
	}
	if string(inode) != "0" || perms[3] != 'p' {
		return a, nil
	}
	switch {
	case len(name) == 0 || bytes.HasPrefix(name, []byte("[anon")):
		a.Kind, a.Origin = Anon, PreExisting
	case string(name) == "[heap]":
		a.Kind, a.Origin = Heap, PreExisting
	case string(name) == "[stack]":
		a.Kind, a.Origin = Stack, PreExisting
	}
	return a, nil
}

// mapsLine takes fields off a row, and remembers the first that is not right.
type mapsLine struct {
	rest []byte
	bad  string
}

func (l *mapsLine) word(sep byte) []byte {
	i := bytes.IndexByte(l.rest, sep)
	if i < 0 {
		i = len(l.rest)
	}
	w := l.rest[:i]
	l.rest = l.rest[min(i+1, len(l.rest)):]
	return w
}

func (l *mapsLine) hex(sep byte, what string) (n uint64) {
	w := l.word(sep)
	ok := len(w) > 0 && len(w) <= 16
	for _, c := range w {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			ok = false
		}
	}
	if !ok && l.bad == "" {
		l.bad = what
	}
	return n
}
