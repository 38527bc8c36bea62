package strace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// OutOfDirect is one refusal of direct memory in an application's log.
type OutOfDirect struct {
	Line      int
	At        time.Time // of this line, or of the nearest of the 31 before that has one; zero: none
	AtLine    int       // the line At is of
	HasZone   bool      // At's zone was in the log; else At is the log's time of day, called UTC (see In)
	Requested uint64    // bytes; 0 where the message has no numbers (JDK 8)
	Used      uint64    // bytes counted as in use
	Limit     uint64    // bytes allowed
	Counter   string    // who counts: "Netty" or "JDK"
}

// In is At in a place whose clock the log follows, if the log did not say.
func (o *OutOfDirect) In(loc *time.Location) time.Time {
	if o.HasZone || o.At.IsZero() || loc == nil {
		return o.At
	}
	t := o.At
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), loc)
}

// maxErrors is how many refusals are kept. Of more, the first are, and the last.
const maxErrors = 1 << 16

// ParseLog finds the refusals of direct memory in an application's log:
//
//	io.netty.util.internal.OutOfDirectMemoryError: failed to allocate 16777216 byte(s) of direct memory (used: 2130706439, max: 2147483648)
//	java.lang.OutOfMemoryError: Cannot reserve 16777216 bytes of direct buffer memory (allocated: 201326593, limit: 201326592)
//	java.lang.OutOfMemoryError: Direct buffer memory
//
// They are in the order of the log; the same error may be logged more than
// once. An error is one of the reader's.
func ParseLog(r io.Reader) ([]OutOfDirect, error) {
	var out []OutOfDirect
	l := newLines(r, headSize)
	var heads [32][]byte // beginnings of the latest lines, by line number
	for {
		b, ok := l.next()
		if !ok {
			break
		}
		head := &heads[l.n%len(heads)]
		*head = append((*head)[:0], b[:min(len(b), 80)]...)
		o, ok := parseOutOfDirect(b)
		if !ok {
			continue
		}
		o.Line = l.n
		for n := l.n; n > max(0, l.n-len(heads)) && o.At.IsZero(); n-- {
			if t, zone, ok := parseTimestamp(heads[n%len(heads)]); ok {
				o.At, o.HasZone, o.AtLine = t, zone, n
			}
		}
		if len(out) < maxErrors {
			out = append(out, o)
		} else {
			out[maxErrors-1] = o
		}
	}
	if l.err != nil {
		return out, fmt.Errorf("read log: %w", l.err)
	}
	return out, nil
}

// parseOutOfDirect reads one line. A number that is not there makes it none of ours.
func parseOutOfDirect(b []byte) (o OutOfDirect, ok bool) {
	i := bytes.Index(b, []byte("Error: "))
	if i < 0 {
		return o, false
	}
	rest := b[i+len("Error: "):]
	words := func(parts ...any) bool { // strings must be next, *uint64 read a number
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				if !bytes.HasPrefix(rest, []byte(p)) {
					return false
				}
				rest = rest[len(p):]
			case *uint64:
				n, j := digits(rest, 0)
				if j == 0 || n >= 1<<60 {
					return false
				}
				*p, rest = n, rest[j:]
			}
		}
		return true
	}
	name := b[:i]
	switch {
	case bytes.HasSuffix(name, []byte("OutOfDirectMemory")):
		o.Counter = "Netty"
		return o, words("failed to allocate ", &o.Requested, " byte(s) of direct memory (used: ", &o.Used, ", max: ", &o.Limit, ")")
	case bytes.HasSuffix(name, []byte("OutOfMemory")):
		o.Counter = "JDK"
		if bytes.HasPrefix(rest, []byte("Direct buffer memory")) {
			return o, true
		}
		return o, words("Cannot reserve ", &o.Requested, " bytes of direct buffer memory (allocated: ", &o.Used, ", limit: ", &o.Limit, ")")
	}
	return o, false
}

// layouts are the times that begin a line of common logging libraries. Zoned
// ones come before their beginnings.
var layouts = []struct {
	layout string
	zone   bool
}{
	{"2006-01-02T15:04:05Z07:00", true},
	{"2006-01-02T15:04:05Z0700", true},
	{"2006-01-02T15:04:05", false},
	{"2006-01-02 15:04:05Z07:00", true},
	{"2006-01-02 15:04:05 -0700", true},
	{"2006-01-02 15:04:05", false},
	{"2006/01/02 15:04:05", false},
	{"02-Jan-2006 15:04:05", false},      // Tomcat
	{"Jan 2, 2006 3:04:05 PM", false},    // java.util.logging
	{"Jan 02, 2006 3:04:05 PM", false},   // java.util.logging of JDK 8
	{"02/Jan/2006:15:04:05 -0700", true}, // access logs
	{"2006.01.02 15:04:05", false},
	{"20060102 15:04:05", false},
}

// parseTimestamp finds a time at the beginning of a line, behind a bracket or
// after one word (a level).
func parseTimestamp(b []byte) (t time.Time, zone bool, ok bool) {
	b = b[:min(len(b), 80)]
	for range 2 {
		i := 0
		for i < len(b) && (b[i] == '[' || b[i] == ' ' || b[i] == '(' || b[i] == '|') {
			i++
		}
		b = b[i:]
		if len(b) < 12 {
			return t, false, false
		}
		if isDigit(b[0]) || b[0]-'A' < 26 && len(b) > 4 && b[3] == ' ' {
			if t, zone, ok = timeAt(b); ok {
				return t, zone, true
			}
		}
		next := bytes.IndexByte(b, ' ')
		if next < 0 || next > 10 {
			return t, false, false
		}
		b = b[next:]
	}
	return t, false, false
}

func timeAt(b []byte) (t time.Time, zone bool, ok bool) {
	s := string(b)
	for _, l := range layouts {
		if t, ok := parseBeginning(l.layout, s); ok {
			return t, l.zone, true
		}
	}
	return t, false, false
}

// parseBeginning parses the longest beginning of s that has the layout.
func parseBeginning(layout, s string) (time.Time, bool) {
	t, err := time.Parse(layout, s)
	if err == nil {
		return t, true
	}
	var e *time.ParseError
	if !errors.As(err, &e) || len(e.Message) < len(": extra text: ") || e.Message[:len(": extra text: ")] != ": extra text: " {
		return t, false
	}
	extra, err := strconv.Unquote(e.Message[len(": extra text: "):])
	if err != nil || len(extra) > len(s) {
		return t, false
	}
	t, err = time.Parse(layout, s[:len(s)-len(extra)])
	return t, err == nil
}
