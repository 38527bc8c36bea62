package strace

import "bytes"

// args reads the arguments of a call from the left. After an error bad is set
// and every value is 0.
type args struct {
	b       []byte
	i       int
	unknown int64 // names that bit did not know
	bad     bool
}

// number reads the next argument: decimal, hexadecimal, octal, NULL, with or
// without a comment.
func (a *args) number() uint64 { return a.next(nullName) }

// bits reads the next argument: names and numbers joined by |, as "21<<MAP_HUGE_SHIFT" too.
func (a *args) bits(bit func([]byte) (uint64, bool)) uint64 { return a.next(bit) }

// usual passes over text, the usual form of the next argument, if it is that.
func (a *args) usual(text string) bool {
	rest := a.b[min(a.i, len(a.b)):]
	if a.bad || len(rest) <= len(text) || rest[0] != ' ' || string(rest[1:len(text)+1]) != text {
		return false
	}
	a.i += len(text) + 1
	return true
}

func nullName(s []byte) (uint64, bool) { return 0, string(s) == "NULL" }

// more reports whether another argument follows.
func (a *args) more() bool {
	a.i = spaces(a.b, a.i)
	return !a.bad && a.i < len(a.b) && a.b[a.i] != ')' && a.b[a.i] != '<'
}

func (a *args) next(bit func([]byte) (uint64, bool)) (v uint64) {
	if !a.more() {
		a.bad = true
		return 0
	}
	b, i := a.b, a.i
	for {
		n, j, ok := a.term(i, bit)
		if !ok {
			a.bad = true
			return 0
		}
		v |= n
		i = remarks(b, j)
		if i >= len(b) { // a number at the very end may have been cut
			a.bad = true
			return 0
		}
		switch b[i] {
		case '|':
			i = spaces(b, i+1)
			continue
		case ',':
			a.i = i + 1
			return v
		case ')', '<', '}':
			a.i = i
			return v
		}
		a.bad = true
		return 0
	}
}

// remarks passes over what strace adds behind a value: 3</path> and
// 3</path>(deleted) of -y, where > in a path is escaped, and /* comments */.
func remarks(b []byte, i int) int {
	if i+1 < len(b) && b[i] == '<' && b[i+1] != '<' {
		end := bytes.IndexByte(b[i:], '>')
		if end < 0 {
			return len(b)
		}
		i += end + 1
		if bytes.HasPrefix(b[i:], []byte("(deleted)")) {
			i += len("(deleted)")
		}
	}
	for i = spaces(b, i); i+1 < len(b) && b[i] == '/' && b[i+1] == '*'; {
		end := bytes.Index(b[i:], []byte("*/"))
		if end < 0 {
			return len(b)
		}
		i = spaces(b, i+end+2)
	}
	return i
}

// term reads a number or a name, shifted by another with <<.
func (a *args) term(i int, bit func([]byte) (uint64, bool)) (v uint64, j int, ok bool) {
	v, j, ok = a.atom(i, bit)
	if ok && j+2 < len(a.b) && a.b[j] == '<' && a.b[j+1] == '<' {
		var shift uint64
		if shift, j, ok = a.atom(j+2, bit); ok && shift < 64 {
			v <<= shift
		}
	}
	return v, j, ok
}

func (a *args) atom(i int, bit func([]byte) (uint64, bool)) (v uint64, j int, ok bool) {
	b := a.b
	if i < len(b) && (isDigit(b[i]) || b[i] == '-') {
		return number(b, i)
	}
	for j = i; j < len(b) && isName(b[j]); j++ {
	}
	if j == i {
		return 0, i, false
	}
	v, known := bit(b[i:j])
	if !known {
		a.unknown++
	}
	return v, j, true
}

func isName(c byte) bool {
	return c == '_' || c-'0' <= 9 || c|0x20-'a' < 26 || c == '?'
}

// number reads 123, -1, 0x7f or 017 at i.
func number(b []byte, i int) (v uint64, j int, ok bool) {
	neg := i < len(b) && b[i] == '-'
	if neg {
		i++
	}
	switch {
	case i+2 < len(b) && b[i] == '0' && b[i+1]|0x20 == 'x':
		i += 2
		for j = i; j < len(b); j++ {
			c := b[j]
			switch {
			case isDigit(c):
				c -= '0'
			case c|0x20 >= 'a' && c|0x20 <= 'f':
				c = c | 0x20 - 'a' + 10
			default:
				c = 0xff
			}
			if c == 0xff {
				break
			}
			v = v<<4 | uint64(c)
		}
		ok = j > i && j-i <= 16
	case i+1 < len(b) && b[i] == '0' && isDigit(b[i+1]):
		for j = i; j < len(b) && b[j] >= '0' && b[j] <= '7'; j++ {
			v = v<<3 | uint64(b[j]-'0')
		}
		ok = j-i <= 22
	default:
		v, j = digits(b, i)
		if j-i > 18 { // up to 18446744073709551615, exactly
			v = 0
			for k := i; k < j; k++ {
				v = v*10 + uint64(b[k]-'0')
			}
		}
		ok = j > i && j-i <= 20
	}
	if neg {
		v = -v
	}
	return v, j, ok
}
