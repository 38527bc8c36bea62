package report

import (
	"strings"
	"unicode"
)

// safe is s as it may be shown on a terminal: control characters, escape
// sequences, characters that turn or hide text, and bytes that are not UTF-8
// are replaced.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Cf, unicode.Mn, unicode.Me) {
			return unicode.ReplacementChar
		}
		if unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, s)
}

// wide are the runes that take two columns.
var wide = [...][2]rune{{0x1100, 0x115f}, {0x231a, 0x231b}, {0x23e9, 0x23f3}, {0x25fd, 0x25fe}, {0x2614, 0x2615},
	{0x2648, 0x2653}, {0x267f, 0x27bf}, {0x2b1b, 0x2b1c}, {0x2b50, 0x2b55}, {0x2e80, 0x303e}, {0x3041, 0xa4cf},
	{0xa960, 0xa97c}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe10, 0xfe19}, {0xfe30, 0xfe6f}, {0xff00, 0xff60},
	{0xffe0, 0xffe6}, {0x16fe0, 0x18aff}, {0x1b000, 0x1b2ff}, {0x1f000, 0x1faff}, {0x20000, 0x3fffd}}

// columns is how many columns r takes, two if in doubt.
func columns(r rune) int {
	for _, w := range wide {
		if w[0] <= r && r <= w[1] {
			return 2
		}
	}
	return 1
}

// width is how many columns s takes.
func width(s string) (n int) {
	for _, r := range s {
		n += columns(r)
	}
	return n
}

// cut is s, made safe, in at most n columns: what is too long loses its
// middle, since a name's end has the counter that tells it apart.
func cut(s string, n int) string {
	s = safe(s)
	if width(s) <= n {
		return s
	}
	if n < 3 {
		return strings.Repeat(".", max(n, 0))
	}
	runes := []rune(s)
	tail, room := len(runes), n/2
	for tail > 0 && columns(runes[tail-1]) <= room {
		tail--
		room -= columns(runes[tail])
	}
	head, room := 0, n-1-width(string(runes[tail:]))
	for head < tail && columns(runes[head]) <= room {
		room -= columns(runes[head])
		head++
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

// left is s in exactly n columns, at their left.
func left(s string, n int) string {
	s = cut(s, n)
	return s + strings.Repeat(" ", max(n-width(s), 0))
}

// right is s in exactly n columns, at their right.
func right(s string, n int) string {
	s = cut(s, n)
	return strings.Repeat(" ", max(n-width(s), 0)) + s
}

// wrap breaks text, made safe, into lines of at most n columns; all but the
// first are indented. It ends with a newline.
func wrap(text, indent string, n int) string {
	text = safe(text)
	if width(text) <= n {
		return text + "\n"
	}
	var b strings.Builder
	at := 0
	for i, word := range strings.Fields(text) {
		w := width(word)
		switch {
		case i == 0:
		case at+1+w > n:
			b.WriteString("\n" + indent)
			at = width(indent)
		default:
			b.WriteByte(' ')
			at++
		}
		word = cut(word, max(n-at, 8))
		b.WriteString(word)
		at += width(word)
	}
	b.WriteByte('\n')
	return b.String()
}
