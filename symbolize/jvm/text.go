package jvm

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// lineReader reads lines of any length and keeps a bounded part of each.
type lineReader struct{ r *bufio.Reader }

// next returns the next line without its newline, and its full length. Of a line longer than maxLine the middle is
// left out, since both ends matter. A last line without newline is a line.
func (l lineReader) next() (line string, size int, err error) {
	var head, tail []byte
	for {
		part, err := l.r.ReadSlice('\n')
		size += len(part)
		if take := min(len(part), maxLine-len(head)); take > 0 {
			head = append(head, part[:take]...)
			part = part[take:]
		}
		if len(part) > 0 {
			tail = append(tail, part...)
			if len(tail) > 2*lineEnd {
				tail = append(tail[:0], tail[len(tail)-lineEnd:]...)
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (size == 0 || !errors.Is(err, io.EOF)):
			return "", size, err
		}
		return strings.TrimSuffix(string(append(head, tail...)), "\n"), size, nil
	}
}

// interner keeps one copy of each string: a dump repeats the same frames many times.
type interner map[string]string

// intern returns a copy of s, in valid UTF-8, that does not hold on to the text that s is part of.
func (in interner) intern(s string) string {
	if known, ok := in[s]; ok {
		return known
	}
	key := strings.Clone(s)
	value := javaString(s)
	if len(in) < maxInterned {
		in[key] = value
	}
	return value
}

// javaString turns the JVM's own form of a string into UTF-8: HotSpot prints NUL as C0 80 and characters beyond U+FFFF as two
// surrogates of three bytes each (JVM specification, 4.4.7). Other invalid bytes become U+FFFD.
// The result does not hold on to the text that s is part of.
func javaString(s string) string {
	if utf8.ValidString(s) {
		return strings.Clone(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
			b.WriteString(s[i : i+n])
			i += n
			continue
		}
		if strings.HasPrefix(s[i:], "\xc0\x80") {
			b.WriteByte(0)
			i += 2
			continue
		}
		if r := utf16.DecodeRune(surrogate(s[i:]), surrogate(s[min(i+3, len(s)):])); r != utf8.RuneError {
			b.WriteRune(r)
			i += 6
			continue
		}
		b.WriteRune(utf8.RuneError)
		if i++; surrogate(s[i-1:]) != 0 {
			i += 2
		}
	}
	return b.String()
}

// surrogate decodes a surrogate of three bytes at the start of s, 0 if there is none.
func surrogate(s string) rune {
	if len(s) < 3 || s[0] != 0xed || s[1]&0xe0 != 0xa0 || s[2]&0xc0 != 0x80 {
		return 0
	}
	return 0xd000 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f)
}

// clip cuts s to n bytes, at the boundary of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func trimReturns(lines []string) []string {
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.TrimSuffix(line, "\r")
	}
	return trimmed
}
