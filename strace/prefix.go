package strace

import "bytes"

// stampKind is what a line's time stamp is.
type stampKind uint8

const (
	noStamp  stampKind = iota
	wall               // -t, -tt: seconds of the day
	epoch              // -ttt: seconds since 1970
	relative           // -r: seconds since the line before
)

// stamp is a time as a line writes it.
type stamp struct {
	sec    int64
	nsec   int32
	digits uint8 // of the fraction
	kind   stampKind
}

// prefix is what stands before the call in a line.
type prefix struct {
	tid     uint32 // 0: none
	stamp   stamp
	bracket bool // "[pid N]", the form of a terminal
	body    int  // where the rest begins
}

// maxPID is above every Linux PID and below every time since 2001.
const maxPID = 1e8

// parsePrefix reads "[pid N] ", "N ", "N<comm> ", a time, "(+ relative) ",
// "[syscall number] " and "[instruction pointer] ", each of which may be
// missing. The line does not begin with a space unless it is one of -r.
func parsePrefix(b []byte) (p prefix) {
	i := spaces(b, 0)
	switch {
	case bytes.HasPrefix(b[i:], []byte("[pid ")):
		j := spaces(b, i+5)
		n, j := digits(b, j)
		j = comm(b, j)
		if j >= len(b) || b[j] != ']' || n > 1<<32-1 {
			p.body = i
			return p
		}
		p.tid, p.bracket = uint32(n), true
		i = spaces(b, j+1)
	case i < len(b) && isDigit(b[i]):
		n, j := digits(b, i)
		next := byte(0)
		if j < len(b) {
			next = b[j]
		}
		isRelative := i > 0 && next == ' ' && (j+1 >= len(b) || !isDigit(b[spaces1(b, j)]))
		if (next == ' ' || next == '<') && n < maxPID && !isRelative {
			p.tid = uint32(n)
			i = spaces(b, comm(b, j))
		}
	}
	i = parseStamp(b, i, &p.stamp)
	if i+1 < len(b) && b[i] == '(' && b[i+1] == '+' {
		if end := bytes.IndexByte(b[i:min(len(b), i+32)], ')'); end > 0 {
			i = spaces(b, i+end+1)
		}
	}
	for i < len(b) && b[i] == '[' {
		end := bytes.IndexByte(b[i:min(len(b), i+32)], ']')
		if end < 0 || bytes.HasPrefix(b[i:], []byte("[ Process ")) {
			break
		}
		i = spaces(b, i+end+1)
	}
	p.body = i
	return p
}

// parseStamp reads a time and the spaces behind it, if there is one at i.
func parseStamp(b []byte, i int, s *stamp) int {
	if i >= len(b) || !isDigit(b[i]) {
		return i
	}
	n, j := digits(b, i)
	if j >= len(b) {
		return i
	}
	switch b[j] {
	case ':':
		if j+5 >= len(b) || b[j+3] != ':' || n > 23 {
			return i
		}
		m, ok1 := two(b[j+1], b[j+2])
		sec, ok2 := two(b[j+4], b[j+5])
		if !ok1 || !ok2 || m > 59 || sec > 60 || j+6 < len(b) && isDigit(b[j+6]) {
			return i
		}
		s.kind, s.sec = wall, int64(n)*3600+m*60+sec
		j += 6
	case '.':
		s.kind, s.sec = relative, int64(n)
		if n >= maxPID {
			s.kind = epoch
		}
	case ' ':
		s.kind, s.sec = relative, int64(n)
		if n >= maxPID {
			s.kind = epoch
		}
	default:
		return i
	}
	if s.sec < 0 || s.sec > 1<<33 {
		*s = stamp{}
		return i
	}
	if j < len(b) && (b[j] == '.' || b[j] == ',') {
		j++
		for ; j < len(b) && isDigit(b[j]); j++ {
			if s.digits < 9 {
				s.nsec = s.nsec*10 + int32(b[j]-'0')
				s.digits++
			}
		}
		s.nsec *= powers[9-s.digits]
	}
	return spaces(b, j)
}

var powers = [10]int32{1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// two is the number of two digits.
func two(a, b byte) (int64, bool) {
	return int64(a-'0')*10 + int64(b-'0'), isDigit(a) && isDigit(b)
}

// comm passes over "<name>" of strace -Y at i.
func comm(b []byte, i int) int {
	if i < len(b) && b[i] == '<' {
		if end := bytes.IndexByte(b[i:min(len(b), i+80)], '>'); end > 0 {
			return i + end + 1
		}
	}
	return i
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// digits reads a decimal number at i; j is where it ends. A number that does not fit is huge.
func digits(b []byte, i int) (n uint64, j int) {
	for j = i; j < len(b) && isDigit(b[j]); j++ {
		if n < 1<<60 {
			n = n*10 + uint64(b[j]-'0')
		}
	}
	return n, j
}

func spaces(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

// spaces1 is spaces, but stays inside b.
func spaces1(b []byte, i int) int { return min(spaces(b, i), len(b)-1) }
