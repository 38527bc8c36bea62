package content

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
)

// magic recognizes a binary format at the start of a record.
type magic struct {
	name  string
	match func(p []byte) bool
}

func prefix(s string) func([]byte) bool {
	return func(p []byte) bool { return len(p) >= len(s) && string(p[:len(s)]) == s }
}

// magics are in order of certainty. Short ones are checked by what must follow.
var magics = [...]magic{
	{"PNG", prefix("\x89PNG\r\n\x1a\n")},
	{"PDF", prefix("%PDF-1")},
	{"SQLite", prefix("SQLite format 3\x00")},
	{"ELF", func(p []byte) bool { return prefix("\x7fELF")(p) && len(p) > 6 && p[4]-1 < 2 && p[5]-1 < 2 }},
	{"Java class", func(p []byte) bool {
		return prefix("\xca\xfe\xba\xbe")(p) && len(p) > 8 && p[6] == 0 && 45 <= p[7] && p[7] < 100
	}},
	{"Java serialization", func(p []byte) bool {
		return prefix("\xac\xed\x00\x05")(p) && len(p) > 4 && 0x70 <= p[4] && p[4] <= 0x7e
	}},
	{"ZIP or JAR", func(p []byte) bool { return prefix("PK\x03\x04")(p) && len(p) > 5 && p[4] < 64 && p[5] == 0 }},
	{"zstd", prefix("\x28\xb5\x2f\xfd")},
	{"LZ4", func(p []byte) bool { return prefix("\x04\x22\x4d\x18")(p) && len(p) > 4 && p[4]>>6 == 1 }},
	{"JPEG", func(p []byte) bool { return prefix("\xff\xd8\xff")(p) && len(p) > 3 && p[3]>>4 == 0xe }},
	{"gzip", func(p []byte) bool { return prefix("\x1f\x8b\x08")(p) && len(p) >= 18 && p[3]&0xe0 == 0 }},
	{"zlib", func(p []byte) bool {
		return len(p) > 8 && p[0] == 0x78 && p[1]&0x20 == 0 && binary.BigEndian.Uint16(p)%31 == 0
	}},
	{"TLS", isTLS},
}

// isTLS: a record's type, version 3.1 to 3.4, a length that is allowed; of a handshake its type and length, and of what is
// encrypted that it looks so.
func isTLS(p []byte) bool {
	if len(p) < 9 || p[0] < 20 || p[0] > 23 || p[1] != 3 || p[2] == 0 || p[2] > 4 {
		return false
	}
	length := int(p[3])<<8 | int(p[4])
	switch {
	case p[0] == 20:
		return length == 1 && p[5] == 1
	case p[0] == 21 && length == 2:
		return p[5]-1 < 2
	case p[0] == 22 && p[5] != 0 && p[5] <= 24 && length >= 4 && length <= 16640:
		if inner := int(p[6])<<16 | int(p[7])<<8 | int(p[8]); inner+4 == length {
			return true
		}
	}
	return length > 16 && length <= 16640 && isEncrypted(p[5:])
}

// isEncrypted: of 32 bytes most differ, and few are zero.
func isEncrypted(p []byte) bool {
	const enough = 32
	if len(p) < enough {
		return false
	}
	var seen [256]bool
	different := 0
	for _, c := range p[:enough] {
		if !seen[c] {
			seen[c] = true
			different++
		}
	}
	return different >= 24 && bytes.Count(p[:enough], []byte{0}) <= 2
}

// prober looks for formats in one page. Its budget bounds what a page costs that is made to be expensive.
type prober struct{ budget int }

func newProber() *prober { return &prober{budget: 32} }

// at is the format that begins with p, or "".
func (b *prober) at(p []byte) string {
	if len(p) < 4 {
		return ""
	}
	switch p[0] { // most bytes begin nothing
	case 0x89, '%', 'S', 0x7f, 0xca, 0xac, 'P', 0x28, 0x04, 0xff, 0x1f, 0x78, 20, 21, 22, 23:
	default:
		return ""
	}
	for i := range magics {
		m := &magics[i]
		if !m.match(p) {
			continue
		}
		switch {
		case m.name == "zlib" && !b.inflates(p[2:]), m.name == "gzip" && p[3] == 0 && !b.inflates(p[10:]):
			return ""
		}
		return m.name
	}
	return ""
}

// inflates tries: what is not compressed is refused within a few bytes.
func (b *prober) inflates(p []byte) bool {
	if b.budget--; b.budget < 0 {
		return false
	}
	var out [64]byte
	n, err := io.ReadFull(flate.NewReader(bytes.NewReader(p[:min(len(p), 1024)])), out[:])
	return err == nil || n >= 16 && errors.Is(err, io.ErrUnexpectedEOF)
}

// eachMagic calls f with the formats at the starts of records: places that are aligned as allocators align.
func eachMagic(p []byte, f func(offset int, name string)) {
	b := newProber()
	for i := 0; i+4 <= len(p); i += 8 {
		if name := b.at(p[i:]); name != "" {
			f(i, name)
		}
	}
}

// firstMagic is the format that a page begins with, or "": zeros and an allocator's header may come before.
func firstMagic(p []byte) string {
	b := newProber()
	first := 0
	for first < len(p) && p[first] == 0 {
		first++
	}
	for i := first &^ 7; i+4 <= len(p) && i < first+64; i += 8 {
		if name := b.at(p[i:]); name != "" {
			return name
		}
	}
	return ""
}
