package strace

import (
	"bytes"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// result is what stands behind the arguments of a call.
type result struct {
	ret      int64 // -errno of a failed call
	none     bool  // "= ?": it never returned, or is restarted
	timed    bool  // <0.000012>
	duration time.Duration
}

// form is which part of a call a line holds.
type form uint8

const (
	malformed form = iota
	complete       // with a result
	started        // <unfinished ...> or <detached ...>
	moved          // <pid changed to N ...>: its end has another TID
)

// parseEnd reads what follows the arguments: ") = 0x7f… <0.000012>",
// "<unfinished ...>" or "<unfinished ...>) = ?".
func parseEnd(b []byte) (f form, r result) {
	i := spaces(b, 0)
	b = b[i:]
	if len(b) > 0 && b[0] == '<' {
		switch {
		case bytes.HasPrefix(b, []byte("<unfinished ...>")):
			b = b[len("<unfinished ...>"):]
		case bytes.HasPrefix(b, []byte("<detached ...>")):
			b = b[len("<detached ...>"):]
		case bytes.HasPrefix(b, []byte("<pid changed to ")):
			return moved, r
		default:
			return malformed, r
		}
		if len(b) == 0 || spaces(b, 0) == len(b) {
			return started, r
		}
	}
	if len(b) == 0 || b[0] != ')' {
		return malformed, r
	}
	i = spaces(b, 1)
	if i+1 >= len(b) || b[i] != '=' {
		return malformed, r
	}
	if r, ok := parseResult(b[spaces(b, i+1):]); ok {
		return complete, r
	}
	return malformed, r
}

// lastEnd is parseEnd for calls whose arguments are not read: the end is the
// last ") = " or the unfinished mark.
func lastEnd(b []byte) (f form, r result) {
	if i := bytes.LastIndex(b, []byte(" <unfinished ...>")); i >= 0 {
		if f, r = parseEnd(b[i:]); f != malformed {
			return f, r
		}
	}
	if i := bytes.LastIndex(b, []byte("<pid changed to ")); i >= 0 {
		return moved, r
	}
	for end := len(b); ; {
		i := bytes.LastIndex(b[:end], []byte("= "))
		if i <= 0 {
			return malformed, r
		}
		k := len(bytes.TrimRight(b[:i], " "))
		if k > 0 && b[k-1] == ')' {
			if f, r = parseEnd(b[k-1:]); f == complete {
				return f, r
			}
		}
		end = i
	}
}

// parseResult reads "0x7f…", "0", "-1 ENOMEM (…)", "?", with or without a
// decoration and a duration behind it.
func parseResult(b []byte) (r result, ok bool) {
	if len(b) == 0 {
		return r, false
	}
	rest := b[1:]
	if b[0] == '?' {
		r.none = true
	} else {
		v, j, good := number(b, 0)
		if !good {
			return r, false
		}
		r.ret, rest = int64(v), b[j:]
		if r.ret == -1 {
			if e, found := parseErrno(rest); found {
				r.ret = -e
			}
		}
	}
	if len(rest) > 0 && rest[0] != ' ' && rest[0] != '<' {
		return r, false
	}
	if i := spaces(rest, 0); i < len(rest) && (isDigit(rest[i]) || rest[i] == '[') { // another line
		return r, false
	}
	if n := len(rest); n > 2 && rest[n-1] == '>' {
		if k := bytes.LastIndex(rest, []byte(" <")); k >= 0 {
			r.duration, r.timed = parseDuration(rest[k+2 : n-1])
		}
	}
	return r, true
}

// parseDuration reads "0.000012" seconds, or the units of --syscall-times.
func parseDuration(b []byte) (time.Duration, bool) {
	sec, j := digits(b, 0)
	if j == 0 || sec > 1<<31 {
		return 0, false
	}
	d := time.Duration(sec) * time.Second
	if j < len(b) && b[j] == '.' {
		unit := 100 * time.Millisecond
		for j++; j < len(b) && isDigit(b[j]); j++ {
			d += time.Duration(b[j]-'0') * unit
			unit /= 10
		}
	}
	return d, j == len(b)
}

// parseErrno reads " ENOMEM (Cannot…)" or " (errno 12)".
func parseErrno(b []byte) (int64, bool) {
	i := spaces(b, 0)
	if rest, ok := bytes.CutPrefix(b[i:], []byte("(errno ")); ok {
		n, j := digits(rest, 0)
		return int64(n), j > 0 && n > 0 && n <= 4095
	}
	j := i
	for j < len(b) && isName(b[j]) {
		j++
	}
	switch name := string(b[i:j]); name {
	case "ENOMEM":
		return int64(unix.ENOMEM), true
	case "EINVAL":
		return int64(unix.EINVAL), true
	default:
		n, ok := errnoNumbers()[name]
		return n, ok
	}
}

// errnoNumbers is the errno of each name.
var errnoNumbers = sync.OnceValue(func() map[string]int64 {
	m := make(map[string]int64)
	for n := int64(1); n < 200; n++ {
		if name := unix.ErrnoName(unix.Errno(n)); name != "" {
			m[name] = n
		}
	}
	return m
})
