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
	n     int   // lines returned
	bytes int64 // read for them
	cut   int64 // lines longer than maxLine
	whole bool  // the last line ended with a newline
	err   error // of the reader, never io.EOF
}

func newLines(r io.Reader) *lines { return &lines{br: bufio.NewReaderSize(r, maxLine)} }

// peek is up to max bytes of what comes next, for a look ahead at the start.
func (l *lines) peek(max int) []byte {
	b, _ := l.br.Peek(max)
	return b
}

// next returns the next line without its end (LF or CRLF), valid until the
// call after. ok is false at the end of the stream or at its error.
func (l *lines) next() (line []byte, ok bool) {
	b, err := l.br.ReadSlice('\n')
	l.bytes += int64(len(b))
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
		l.err = err
	}
	if len(b) == 0 {
		return nil, false
	}
	l.n++
	l.whole = err == nil
	if errors.Is(err, bufio.ErrBufferFull) {
		l.cut++
		b = bytes.Clone(b) // skipping overwrites the buffer
		l.skip()
	}
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

func (l *lines) skip() {
	for {
		b, err := l.br.ReadSlice('\n')
		l.bytes += int64(len(b))
		switch {
		case err == nil || errors.Is(err, io.EOF):
			return
		case !errors.Is(err, bufio.ErrBufferFull):
			l.err = err
			return
		}
	}
}
