package main

import (
	"cmp"
	"slices"

	"vmaleak/leak"
)

// warnings counts what a reader must know before believing the numbers, by code.
type warnings map[string]*leak.Warning

// add counts; the first message of a code stands. It reports whether it is the first.
func (w warnings) add(code, message string, count uint64) bool {
	if old := w[code]; old != nil {
		old.Count += count
		return false
	}
	w[code] = &leak.Warning{Code: code, Message: message, Count: count}
	return true
}

// list is a copy in order of code.
func (w warnings) list() []leak.Warning {
	var out []leak.Warning
	for _, warning := range w {
		out = append(out, *warning)
	}
	slices.SortFunc(out, func(a, b leak.Warning) int { return cmp.Compare(a.Code, b.Code) })
	return out
}

// complain counts an error that the trace survives, and says it the first time.
func (s *session) complain(code string, err error) {
	if s.warn.add(code, err.Error(), 1) {
		s.say("%v", err)
	}
}
