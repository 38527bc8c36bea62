package content

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"
)

// String is text that was found Count times: with other digits, where Varies.
type String struct {
	Text   string `json:"text"` // the first of them, cut at 160 bytes; valid UTF-8
	Count  int    `json:"count"`
	Varies bool   `json:"varies"`
	Wide   bool   `json:"wide"` // as UTF-16
}

const (
	minString   = 8
	maxString   = 160
	maxPatterns = 1 << 15
	topStrings  = 12
)

// stringFinder counts strings by their pattern: digits do not tell them apart.
type stringFinder struct {
	found   map[string]*String
	Dropped int // strings that were not counted since there were too many patterns
}

func (f *stringFinder) text(p []byte) {
	eachLine(p, func(_ int, line []byte) { f.add(line, false) })
	for i := 0; i+2*minString <= len(p); i++ {
		for order := range 2 { // the byte that is not zero comes first, or second
			if run := wideRun(p[i:], order); len(run) >= minString {
				f.add(run, true)
				i += 2*len(run) - 1
				break
			}
		}
	}
}

// wideRun is the ASCII that p begins with as UTF-16.
func wideRun(p []byte, order int) (run []byte) {
	for i := 0; i+1 < len(p) && len(run) < maxLine; i += 2 {
		c := p[i+order]
		if p[i+1-order] != 0 || !isASCII(c) || c < ' ' {
			break
		}
		run = append(run, c)
	}
	return run
}

func (f *stringFinder) add(line []byte, wide bool) {
	line = bytes.TrimSpace(line)
	if len(line) < minString || !telling(line) {
		return
	}
	line = line[:min(len(line), maxString)]
	key := pattern(line)
	if wide {
		key = "\x00" + key
	}
	s := f.found[key]
	if s == nil {
		if len(f.found) >= maxPatterns {
			f.Dropped++
			return
		}
		s = &String{Text: string(bytes.ToValidUTF8(line, []byte("\uFFFD"))), Wide: wide}
		f.found[key] = s
	}
	s.Count++
	s.Varies = s.Varies || s.Count > 1 && s.Text != string(line)
}

// telling keeps out what is no text: bytes that are not UTF-8, or one character again and again.
func telling(line []byte) bool {
	if !utf8.Valid(line) && len(line) < maxString {
		return false
	}
	var seen [256]bool
	different, letters := 0, 0
	for _, c := range line {
		if !seen[c] {
			seen[c] = true
			different++
		}
		if 'a' <= c|0x20 && c|0x20 <= 'z' || isDigit(c) || c >= 0x80 || c == ' ' {
			letters++
		}
	}
	return different >= 4 && letters*2 >= len(line)
}

// pattern is a string with each run of digits as one #.
func pattern(line []byte) string {
	out := make([]byte, 0, len(line))
	for _, c := range line {
		switch n := len(out); {
		case !isDigit(c):
			out = append(out, c)
		case n == 0 || out[n-1] != '#':
			out = append(out, '#')
		}
	}
	return string(out)
}

// top is the strings that fill most of the memory.
func (f *stringFinder) top() []String {
	out := make([]String, 0, len(f.found))
	for _, s := range f.found {
		out = append(out, *s)
	}
	weight := func(s *String) int { return s.Count * min(len(s.Text), 64) }
	slices.SortFunc(out, func(a, b String) int {
		return cmp.Or(cmp.Compare(weight(&b), weight(&a)), cmp.Compare(a.Text, b.Text))
	})
	return out[:min(len(out), topStrings)]
}
