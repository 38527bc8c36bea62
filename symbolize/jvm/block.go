package jvm

import (
	"slices"
	"sort"
	"strconv"
	"strings"
)

// block says which lines are the header of a thread. A name with newlines spreads it over several. What lies
// between two blocks is the former's stack.
type block struct {
	start, end int // first and last line of the header
	header     header
	rival      bool
}

// findBlocks finds the headers among the lines of one dump, in order, and counts the lines that look like one but are none.
//
// A name may hold whole headers, and after a newline even whole lines that look like one. Since JDK 10 a dump begins with
// the addresses of all Java threads, in the order in which they follow, before any name: with that list a
// header is true if its address stands at its turn, and all from the opening quote on is its name. Without the list
// (JDK 8, or a mutilated file) it must do that a true header is followed by an empty or indented line.
func findBlocks(lines []string) (blocks []block, bad int) {
	if list := threadList(lines); list != nil {
		if turns := listTurns(lines, list); len(turns) > 0 {
			return listedBlocks(lines, turns)
		}
	}
	return plainBlocks(lines)
}

// threadList reads the "Threads class SMR info". It is nil if there is none or if it lacks a part.
func threadList(lines []string) []uint64 {
	at := slices.IndexFunc(lines, func(line string) bool {
		return line == "Threads class SMR info:" || strings.HasPrefix(line, `"`)
	})
	if at < 0 || at+1 >= len(lines) || lines[at][0] == '"' {
		return nil
	}
	_, length, ok := strings.Cut(lines[at+1], ", length=")
	if !ok {
		return nil
	}
	digits, _, ok := strings.Cut(length, ", elements={")
	if !ok {
		return nil
	}
	var list []uint64
	for _, line := range lines[at+2:] {
		if line == "}" {
			break
		}
		for word := range strings.FieldsSeq(strings.ReplaceAll(line, ",", " ")) {
			ptr, err := strconv.ParseUint(strings.TrimPrefix(word, "0x"), 16, 64)
			if err != nil {
				return nil
			}
			list = append(list, ptr)
		}
	}
	if n, err := strconv.Atoi(digits); err != nil || n != len(list) {
		return nil
	}
	return list
}

// turn is a line that could end the header of the index-th thread of the list.
type turn struct {
	line, index int
	header      header
	rival       bool
}

// listTurns returns the lines that end the headers of Java threads. These come in the order of the list, so the
// longest ascending run of all lines with listed addresses is theirs. A forger who knows the address of his own
// thread, or of the one before it, can still add a line that fits; such lines are returned too, marked as rivals.
func listTurns(lines []string, list []uint64) []turn {
	index := make(map[uint64]int, len(list))
	for i, ptr := range list {
		index[ptr] = i
	}
	var all []turn
	for i, line := range lines {
		if !strings.Contains(line, "tid=0x") {
			continue
		}
		if h, ok := parseHeader(line); ok {
			if n, listed := index[h.ptr]; listed {
				all = append(all, turn{line: i, index: n, header: h})
			}
		}
	}
	run := longestAscent(all)
	turns := make([]turn, 0, len(run))
	for i, at := range run {
		from, to := 0, len(all)
		if i > 0 {
			from = run[i-1] + 1
		}
		if i+1 < len(run) {
			to = run[i+1]
		}
		first := len(turns)
		for _, t := range all[from:to] {
			if t.index == all[at].index && (len(turns) == first || t.line > turns[len(turns)-1].line) {
				turns = append(turns, t)
			}
		}
		for j := range turns[first:] {
			turns[first+j].rival = len(turns)-first > 1
		}
	}
	return turns
}

// longestAscent returns the positions of a longest run of strictly ascending indices.
func longestAscent(turns []turn) []int {
	var tops []int // tops[n]: position of the smallest end of a run of length n+1
	before := make([]int, len(turns))
	for i, t := range turns {
		n := sort.Search(len(tops), func(n int) bool { return turns[tops[n]].index >= t.index })
		before[i] = -1
		if n > 0 {
			before[i] = tops[n-1]
		}
		if n == len(tops) {
			tops = append(tops, i)
		} else {
			tops[n] = i
		}
	}
	run := make([]int, len(tops))
	if len(tops) > 0 {
		for n, i := len(tops)-1, tops[len(tops)-1]; n >= 0; n, i = n-1, before[i] {
			run[n] = i
		}
	}
	return run
}

// listedBlocks turns the true ends of headers into blocks, and adds the GC and VM threads that follow the last
// Java thread, whose names have no newlines.
func listedBlocks(lines []string, turns []turn) (blocks []block, bad int) {
	from, next := 0, 0 // the first line not yet used, the thread whose turn it is
	for _, t := range turns {
		// If a thread is missing its header was damaged and must not become part of this one's name.
		start, skipped := openingLine(lines, from, t.line, t.index > next || t.rival)
		if start >= 0 && (start < t.line || t.header.quote > 0) {
			blocks = append(blocks, block{start, t.line, t.header, t.rival})
			bad += skipped
		} else {
			bad++
		}
		from, next = t.line+1, t.index+1
	}
	for i := from; i < len(lines); i++ {
		if !strings.HasPrefix(lines[i], `"`) {
			continue
		}
		if h, ok := parseHeader(lines[i]); ok && h.quote > 0 && h.javaID == 0 {
			blocks = append(blocks, block{i, i, h, false})
		} else {
			bad++
		}
	}
	return blocks, bad
}

// openingLine returns the line in [from, to] on which the name that ends on line to begins, -1 if there is none: the
// first that begins with a quote after a gap, or the last such if the lines before it may be another thread's.
// It also returns how many lines that look like a beginning it passed over as not part of the name.
func openingLine(lines []string, from, to int, last bool) (start, skipped int) {
	start = -1
	gap := false
	for i := from; i <= to; i++ {
		if !strings.HasPrefix(lines[i], `"`) {
			continue
		}
		free := isGap(lines, i-1)
		switch {
		case start < 0:
			start, gap = i, free
		case free && (last || !gap):
			start, gap = i, true
			skipped++
		}
	}
	return start, skipped
}

// plainBlocks finds the headers of a dump without a list of threads.
func plainBlocks(lines []string) (blocks []block, bad int) {
	follows := headerFollowers(lines)
	open := -1
	for i, line := range lines {
		if strings.HasPrefix(line, `"`) {
			switch {
			case open < 0:
				open = i
			case isGap(lines, i-1):
				open = i
				bad++
			}
		}
		if open < 0 && !strings.Contains(line, "tid=0x") {
			continue
		}
		h, ok := parseHeader(line)
		switch {
		case ok && open < 0:
			bad++ // the end of a header whose beginning is lost
		case ok && (open < i || h.quote > 0) && (isGap(lines, i+1) || h.javaID == 0 && follows[i+1]):
			blocks = append(blocks, block{open, i, h, false})
			open = -1
		case open >= 0 && i-open >= maxNameLines:
			open = -1
			bad++
		}
	}
	if open >= 0 {
		bad++
	}
	return blocks, bad
}

// headerFollowers says of each line whether it can stand directly after the header of a GC or VM thread: a gap, or
// again the header of such a thread that is followed so (JDK 11 forgets an empty line, some log collectors drop them all).
// A Java thread's header cannot, so no name can end in this way.
func headerFollowers(lines []string) []bool {
	follows := make([]bool, len(lines)+1)
	follows[len(lines)] = true
	for i := len(lines) - 1; i >= 0; i-- {
		if isGap(lines, i) {
			follows[i] = true
		} else if follows[i+1] && strings.HasPrefix(lines[i], `"`) {
			h, ok := parseHeader(lines[i])
			follows[i] = ok && h.quote > 0 && h.javaID == 0
		}
	}
	return follows
}

// isGap reports whether line i can stand between two headers: empty, or part of a stack, or beyond either end.
func isGap(lines []string, i int) bool {
	return i < 0 || i >= len(lines) || lines[i] == "" || lines[i] == "}" ||
		strings.HasPrefix(lines[i], "\t") || strings.HasPrefix(lines[i], "   ")
}
