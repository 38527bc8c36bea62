package vma

import (
	"bytes"
	"fmt"
	"strconv"
)

// ParseMaps makes a space of the text of /proc/PID/maps (or smaps: lines that
// are not rows are passed over). Rows with inode 0 and no name, or the names
// [heap] and [anon…], are anonymous and pre-existing; every other row is
// opaque, [stack] apart. A line that is no row at all ends it with an error.
func ParseMaps(text []byte, o Options) (*Space, error) {
	s := New(o)
	for n := 1; len(text) > 0; n++ {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		a, err := parseMapsRow(line)
		if err != nil {
			return nil, fmt.Errorf("maps line %d: %w", n, err)
		}
		if a.Kind == Stack {
			s.StackStart = a.End - 1 // until the caller knows better
		}
		s.rows.Load(a.Start, a.row())
	}
	return s, s.Check()
}

// parseMapsRow reads "start-end rwxp offset dev inode   name".
func parseMapsRow(line []byte) (a Area, err error) {
	bad := func(what string) (Area, error) { return a, fmt.Errorf("no %s in %.80q", what, line) }
	rest := line
	word := func(sep byte) []byte {
		i := bytes.IndexByte(rest, sep)
		if i < 0 {
			i = len(rest)
		}
		w := rest[:i]
		rest = rest[min(i+1, len(rest)):]
		return w
	}
	if a.Start, err = strconv.ParseUint(string(word('-')), 16, 64); err != nil {
		return bad("start address")
	}
	if a.End, err = strconv.ParseUint(string(word(' ')), 16, 64); err != nil {
		return bad("end address")
	}
	perms := word(' ')
	if len(perms) != 4 {
		return bad("permissions")
	}
	for i, c := range "rwx" {
		if perms[i] == byte(c) {
			a.Prot |= 1 << i
		}
	}
	word(' ')
	word(' ')
	inode := word(' ')
	name := bytes.TrimLeft(rest, " ")
	a.Kind = Opaque
	if string(inode) != "0" || perms[3] != 'p' {
		return a, nil
	}
	switch {
	case len(name) == 0 || bytes.HasPrefix(name, []byte("[anon")):
		a.Kind, a.Origin = Anon, PreExisting
	case string(name) == "[heap]":
		a.Kind, a.Origin = Heap, PreExisting
	case string(name) == "[stack]":
		a.Kind = Stack
	}
	return a, nil
}
