package content

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// The kinds of pages, each page being of one. Others are the names of magics.
const (
	Zero       = "zeros"
	Mail       = "mail text"
	Session    = "SMTP or IMAP session"
	HTTP       = "HTTP"
	XML        = "XML or HTML"
	JSON       = "JSON"
	Base64     = "base64 text"
	Text       = "text"
	UTF16      = "UTF-16 text"
	Compressed = "compressed or encrypted"
	Pointers   = "pointers"
	Sparse     = "mostly zeros"
	Binary     = "binary data"
)

// measure is the bytes of one page, counted.
type measure struct {
	size, nonzero, printable int     // printable: ASCII and valid UTF-8
	entropy                  float64 // bits per byte
	pointers, words          int     // 8-byte words that look like addresses, and that are not zero
	wideLE, wideBE           int     // pairs of bytes that are ASCII in UTF-16
}

func measurePage(p []byte) measure {
	var m measure
	var count [256]int
	for _, c := range p {
		count[c]++
	}
	m.size, m.nonzero = len(p), len(p)-count[0]
	for _, n := range count {
		if n > 0 {
			share := float64(n) / float64(len(p))
			m.entropy -= share * math.Log2(share)
		}
	}
	for i := 0; i < len(p); {
		r, size := utf8.DecodeRune(p[i:])
		if size > 1 || r != utf8.RuneError && isASCII(p[i]) {
			m.printable += size
		}
		i += size
	}
	for i := 0; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		if w != 0 {
			m.words++
		}
		if w>>47 == 0 && w>>40 >= 0x50 { // where Linux maps libraries and programs; stacks too
			m.pointers++
		}
	}
	for i := 0; i+1 < len(p); i += 2 {
		switch {
		case p[i+1] == 0 && isASCII(p[i]):
			m.wideLE++
		case p[i] == 0 && isASCII(p[i+1]):
			m.wideBE++
		}
	}
	return m
}

func isASCII(c byte) bool { return ' ' <= c && c < 0x7f || c == '\t' || c == '\n' || c == '\r' }

// isText also holds for the bytes of UTF-8 sequences.
func isText(c byte) bool { return isASCII(c) || c >= 0x80 && c <= 0xf4 && c != 0xc0 && c != 0xc1 }

// minText is how many bytes make text.
const minText = 32

// kindOf is what a page is.
func kindOf(p []byte) string {
	m := measurePage(p)
	if m.nonzero == 0 {
		return Zero
	}
	share := float64(m.printable) / float64(m.nonzero)
	if m.nonzero >= minText && share >= 0.3 {
		if kind := textKind(p, m.nonzero, share >= 0.85); kind != "" {
			return kind
		}
	}
	if kind := firstMagic(p); kind != "" {
		return kind
	}
	switch most := max(m.wideLE, m.wideBE); {
	case m.nonzero >= minText && most*2 >= m.nonzero && most*10 >= 8*m.nonzero:
		return UTF16
	case m.entropy >= 7.2 && m.size >= 2048:
		return Compressed
	case m.words >= 8 && m.pointers*5 >= m.words*2:
		return Pointers
	case m.nonzero*16 < m.size:
		return Sparse
	}
	return Binary
}
