package strace

import (
	"bytes"
	"strconv"
	"strings"
)

// FileKind is what a file holds.
type FileKind uint8

const (
	Unknown    FileKind = iota
	StraceFile          // a log of strace: NewReader
	JstackFile          // one or more thread dumps of a JVM
	PmapFile            // a table of pmap -X or -XX: ParsePmap
	LogFile             // an application's log: ParseLog
)

// String is the kind in words.
func (k FileKind) String() string {
	return [...]string{"unknown", "strace log", "thread dump", "pmap table", "application log"}[min(k, 4)]
}

// headSize is how much of a file Open shows to Detect.
const headSize = 64 << 10

// Detect recognises a text by its beginning, of which 64 KiB are looked at:
// the first that fits of strace (at least a third of the lines have its form),
// pmap -X (its header or rows), application log (an error about direct memory
// is in it), thread dump ("Full thread dump", or threads' headers), application
// log again (lines begin with a time, or a stack trace is in it).
func Detect(head []byte) FileKind {
	head = bytes.TrimPrefix(head[:min(len(head), headSize)], []byte("\xef\xbb\xbf"))
	var lines, calls, rows, threads, times, frames int
	for line := range bytes.Lines(head) {
		line = bytes.TrimRight(line, "\r\n")
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if stack := bytes.TrimLeft(line, " "); len(stack) < len(line) && stack[0] == '>' {
			continue // strace -k
		}
		lines++
		switch {
		case isStraceLine(line):
			calls++
		case isPmapHeader(line) || isPmapRow(line):
			rows++
		case line[0] == '"' && (bytes.Contains(line, []byte(" tid=0x")) || bytes.Contains(line, []byte(" nid="))):
			threads++
		case bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("at ")) && bytes.HasSuffix(line, []byte(")")):
			frames++
		default:
			if _, _, ok := parseTimestamp(line); ok {
				times++
			}
		}
		if lines >= 2000 {
			break
		}
	}
	switch {
	case lines == 0:
		return Unknown
	case calls*3 >= lines:
		return StraceFile
	case rows > 0 && rows*2 >= lines:
		return PmapFile
	case bytes.Contains(head, []byte("OutOfDirectMemoryError")), bytes.Contains(head, []byte("of direct buffer memory (")),
		bytes.Contains(head, []byte("OutOfMemoryError: Direct buffer memory")):
		return LogFile
	case bytes.Contains(head, []byte("Full thread dump ")), threads > 0:
		return JstackFile
	case times*3 >= lines, times > 0 && frames > 0:
		return LogFile
	}
	return Unknown
}

// isStraceLine reports whether a line has the form of a call, an exit or a signal.
func isStraceLine(b []byte) bool {
	p := parsePrefix(b)
	body := b[p.body:]
	switch {
	case bytes.HasPrefix(body, []byte("<... ")):
		return bytes.Contains(body, []byte(" resumed>"))
	case bytes.HasPrefix(body, []byte("+++ ")):
		return bytes.HasSuffix(body, []byte(" +++"))
	case bytes.HasPrefix(body, []byte("--- ")):
		return bytes.HasSuffix(body, []byte(" ---"))
	case bytes.HasPrefix(body, []byte("strace: Process ")):
		return true
	}
	j := 0
	for j < len(body) && isName(body[j]) {
		j++
	}
	if j == 0 || j == len(body) || body[j] != '(' || isDigit(body[0]) {
		return false
	}
	f, _ := lastEnd(body[j:])
	return f != malformed || bytes.HasSuffix(body, []byte(" attached"))
}

func isPmapHeader(b []byte) bool {
	words := strings.Fields(string(b[:min(len(b), 1024)]))
	return len(words) > 6 && words[0] == "Address" && words[1] == "Perm" && words[2] == "Offset"
}

// isPmapRow reports whether b is "7f4674483000 rw-p 00000000 00:00 0 1575296 …" with a size in KB.
func isPmapRow(b []byte) bool {
	_, ok := parsePmapFields(b)
	return ok
}

// PIDOf is the number at the end of an -ff file's name, "trace.25900" or
// "trace.25900.gz", 0 if there is none.
func PIDOf(path string) int {
	for _, suffix := range []string{".gz", ".zst", ".zstd"} {
		path = strings.TrimSuffix(path, suffix)
	}
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return 0
	}
	n, err := strconv.ParseUint(path[i+1:], 10, 31)
	if err != nil || n > 1<<22 { // above Linux's highest PID: a date, as logrotate writes
		return 0
	}
	return int(n)
}
