package hotspot

import (
	"strings"
	"testing"
)

func TestStringsAreDecoded(t *testing.T) {
	for _, c := range []struct{ latin1, utf16, want string }{
		{latin1: "a\x00\xe9\xff", want: "a\x00éÿ"},
		{utf16: "\x11\x00\xda\x7d\x0b\x7a", want: "\u0011線程"},
		{utf16: "\x3d\xd8\x00\xde", want: "\U0001f600"},
		{utf16: "\x3d\xd8a\x00", want: "\ufffda"}, // half a pair
		{utf16: "a\x00\x3d", want: "a"},           // cut in the middle of a unit
		{want: ""},
	} {
		got := decodeLatin1([]byte(c.latin1))
		if c.utf16 != "" {
			got = decodeUTF16([]byte(c.utf16))
		}
		if got != c.want {
			t.Errorf("%+v gives %q", c, got)
		}
	}
	if got := decodeLatin1([]byte(strings.Repeat("é", 10))); len(got) != 40 {
		t.Errorf("%q", got)
	}
}
