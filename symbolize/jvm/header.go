package jvm

import (
	"strconv"
	"strings"
)

// header is what the JVM itself writes behind a thread's name, to the end of the line.
type header struct {
	quote  int    // index in the line of the quote that ends the name
	javaID int64  // "#12"; 0 if absent, as for GC and VM threads
	ptr    uint64 // "tid=0x…", the address of the JVM's Thread object
	nid    int    // "nid=" or, where that is missing, "[…]"; 0 unknown
	daemon bool
	state  string // "waiting on condition"
}

// parseHeader reads the end of a header line. It goes by what follows the last quote, since only that is the JVM's
// own; all before it is the thread's name, or the end of it, and may look like anything.
//
//	JDK 8       " #14 daemon prio=5 os_prio=0 tid=0x00007ffbc4189800 nid=0x652d runnable [0x00007ffb9d9f6000]
//	JDK 11, 17  " #16 daemon prio=5 os_prio=0 cpu=0.06ms elapsed=0.27s tid=0x… nid=0x6590 runnable  [0x…]
//	JDK 21, 25  " #24 [26100] daemon prio=5 os_prio=0 cpu=0.07ms elapsed=0.29s tid=0x… nid=26100 runnable  [0x…]
//	carrier     " #23 [24710] daemon prio=5 os_prio=0 cpu=211.89ms elapsed=0.90s tid=0x…  [0x…]
//	GC, VM      " os_prio=0 cpu=1.29ms elapsed=0.99s tid=0x… nid=24688 runnable
func parseHeader(line string) (header, bool) {
	var h header
	h.quote = strings.LastIndexByte(line, '"')
	if h.quote < 0 {
		return h, false
	}
	rest, ok := strings.CutPrefix(line[h.quote+1:], " ")
	if !ok {
		return h, false
	}
	bracket := 0
	for h.ptr == 0 {
		var word string
		word, rest, ok = strings.Cut(rest, " ")
		if !ok && !strings.HasPrefix(word, "tid=") {
			return h, false
		}
		switch {
		case word == "daemon":
			h.daemon = true
		case strings.HasPrefix(word, "#"):
			h.javaID, ok = parseDecimal(word[1:])
			if !ok {
				return h, false
			}
		case strings.HasPrefix(word, "["):
			n, ok := parseDecimal(strings.TrimSuffix(word[1:], "]"))
			if !ok || !strings.HasSuffix(word, "]") {
				return h, false
			}
			bracket = int(n)
		case strings.HasPrefix(word, "tid="):
			// The JVM pads addresses with zeros; a shorter one is somebody's invention.
			digits, ok := strings.CutPrefix(word, "tid=0x")
			if !ok || len(digits) < 8 {
				return h, false
			}
			ptr, err := strconv.ParseUint(digits, 16, 64)
			if err != nil || ptr == 0 {
				return h, false
			}
			h.ptr = ptr
		case !isAttribute(word):
			return h, false
		}
	}
	rest, ok = h.parseNID(rest, bracket)
	if !ok {
		return h, false
	}
	h.state, ok = parseState(rest)
	return h, ok
}

// parseNID reads "nid=0x652d " or "nid=26100 " if it stands at the start of s, and returns what follows. The number
// in brackets, if there was one, is the same thread id and fills the place of a missing nid.
func (h *header) parseNID(s string, bracket int) (rest string, ok bool) {
	h.nid = bracket
	value, found := strings.CutPrefix(s, "nid=")
	if !found {
		return s, true
	}
	value, rest, _ = strings.Cut(value, " ")
	var nid int64
	if digits, hex := strings.CutPrefix(value, "0x"); hex {
		n, err := strconv.ParseUint(digits, 16, 31)
		if err != nil {
			return "", false
		}
		nid = int64(n)
	} else if nid, ok = parseDecimal(value); !ok || nid > 1<<31-1 {
		return "", false
	}
	h.nid = int(nid)
	return rest, bracket == 0 || bracket == h.nid
}

// parseState reads "waiting on condition  [0x00007f0f0511e000]", either half of which may be missing.
func parseState(s string) (state string, ok bool) {
	s = strings.TrimRight(s, " ")
	if i := strings.LastIndex(s, "[0x"); i >= 0 {
		digits, closed := strings.CutSuffix(s[i+3:], "]")
		if _, err := strconv.ParseUint(digits, 16, 64); err != nil || !closed {
			return "", false
		}
		s = s[:i]
	}
	s = strings.TrimSpace(s)
	if len(s) > 64 {
		return "", false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == ' ', c == '(', c == ')', c == '.':
		default:
			return "", false
		}
	}
	return s, true
}

// isAttribute reports whether a word is like "prio=5", "cpu=9,28ms" or "allocated=95K".
func isAttribute(word string) bool {
	key, value, ok := strings.Cut(word, "=")
	if !ok || key == "" || value == "" || len(word) > 64 {
		return false
	}
	for _, c := range []byte(key) {
		if (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}

func parseDecimal(s string) (int64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 63)
	return n, err == nil
}
