package hotspot

import (
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// modified encodes UTF-16 as class files do.
func modified(units ...uint16) []byte {
	var p []byte
	for _, u := range units {
		switch {
		case u != 0 && u < 0x80:
			p = append(p, byte(u))
		case u < 0x800:
			p = append(p, 0xc0|byte(u>>6), 0x80|byte(u&0x3f))
		default:
			p = append(p, 0xe0|byte(u>>12), 0x80|byte(u>>6&0x3f), 0x80|byte(u&0x3f))
		}
	}
	return p
}

func TestModifiedUTF8(t *testing.T) {
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"plain":                  {[]byte("java/lang/Object"), "java/lang/Object"},
		"empty":                  {nil, ""},
		"two and three bytes":    {[]byte("größe日"), "größe日"},
		"a zero":                 {[]byte{'a', 0xc0, 0x80, 'b'}, "a\x00b"},
		"a pair":                 {modified(0xd835, 0xdcb3, 'x'), "𝒳x"},
		"an upper half alone":    {modified(0xd835, 'x'), "\ufffdx"},
		"a lower half alone":     {modified('x', 0xdcb3), "x\ufffd"},
		"upper, upper and lower": {modified(0xd835, 0xd835, 0xdcb3), "\ufffd𝒳"},
	} {
		if got, err := decodeModified(c.text); err != nil || got != c.want {
			t.Errorf("%s: %q, %v instead of %q", name, got, err, c.want)
		}
	}
	for name, text := range map[string]string{"a bare zero": "a\x00", "cut off": "\xe6\x97", "no beginning": "\x80", "four bytes": "\xf0\x9d\x92\xb3", "broken": "\xc3x"} {
		if got, err := decodeModified([]byte(text)); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzSymbol(f *testing.F) {
	f.Add([]byte("größe\xed\xa0\xb5\xed\xb2\xb3\xc0\x80"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := decodeModified(text); err == nil && !utf8.ValidString(s) {
			t.Fatalf("%q", s)
		}
		if s := string(text); utf8.ValidString(s) {
			if got, err := decodeModified(modified(utf16.Encode([]rune(s))...)); err != nil || got != s {
				t.Fatalf("%q becomes %q, %v", s, got, err)
			}
		}
	})
}
