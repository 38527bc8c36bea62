package strace

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxLine is how much of a line is read, in bytes; the rest is passed over.
const maxLine = 1 << 20

// lines cuts a stream into lines in constant memory.
type lines struct {
	br    *bufio.Reader
	long  []byte // a line longer than br's buffer
	n     int    // lines returned
	bytes int64  // read for them
	cut   int64  // lines longer than maxLine
	whole bool   // the last line ended with a newline
	err   error  // of the reader, never io.EOF
}

// newLines reads r in pieces of size bytes.
func newLines(r io.Reader, size int) *lines { return &lines{br: bufio.NewReaderSize(r, size)} }

// peek is what comes next, as much as a piece, for a look ahead at the start.
func (l *lines) peek() []byte {
	b, _ := l.br.Peek(l.br.Size())
	return b
}

// next returns the next line without its end (LF or CRLF), valid until the
// call after. ok is false at the end of the stream or at its error.
func (l *lines) next() (line []byte, ok bool) {
	b, err := l.piece()
	if errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long[:0], b...)
		for errors.Is(err, bufio.ErrBufferFull) {
			b, err = l.piece()
			l.long = append(l.long, b[:min(len(b), maxLine+2-len(l.long))]...)
		}
		b = l.long
		if len(bytes.TrimRight(b, "\r\n")) > maxLine {
			l.cut++
			b = b[:maxLine]
		}
	}
	if len(b) == 0 {
		return nil, false
	}
	l.n++
	l.whole = err == nil
	if l.n == 1 {
		b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	}
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b, true
}

func (l *lines) piece() ([]byte, error) {
	b, err := l.br.ReadSlice('\n')
	l.bytes += int64(len(b))
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
		l.err = err
	}
	return b, err
}
