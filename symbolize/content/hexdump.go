package content

import (
	"fmt"
	"strings"
)

// Hexdump is p as lines of 16 bytes with address, hexadecimal and ASCII, at most so many; equal lines are folded into one *.
// It holds no control character.
func Hexdump(addr uint64, p []byte, lines int) []string {
	var out []string
	last, folded := "", false
	for i := 0; i < len(p) && len(out) < lines; i += 16 {
		row := p[i:min(i+16, len(p))]
		if string(row) == last && len(row) == 16 {
			if !folded {
				out = append(out, "*")
			}
			folded = true
			continue
		}
		last, folded = string(row), false
		var hex, ascii strings.Builder
		for j, c := range row {
			if j == 8 {
				hex.WriteByte(' ')
			}
			fmt.Fprintf(&hex, "%02x ", c)
			if c < ' ' || c > '~' {
				c = '.'
			}
			ascii.WriteByte(c)
		}
		out = append(out, fmt.Sprintf("%012x  %-49s %s", addr+uint64(i), hex.String(), ascii.String()))
	}
	return out
}

// Lines is the lines of text in p, at most so many, each of at least 4 bytes, as valid UTF-8: control characters but for line
// ends, which are left out, end a line too.
func Lines(p []byte, lines int) (out []string) {
	eachLine(p, func(_ int, line []byte) {
		if len(out) < lines {
			out = append(out, strings.ToValidUTF8(string(line), "\uFFFD"))
		}
	})
	return out
}
