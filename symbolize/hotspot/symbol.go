package hotspot

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var errEncoding = errors.New("not modified UTF-8")

type symbolLayout struct{ length, body uint64 }

func newSymbolLayout(f *finder) symbolLayout {
	l := symbolLayout{body: f.offset("Symbol", "_body")}
	if both, ok := f.table.offset("Symbol", "_length_and_refcount"); ok { // 12 to 16: the upper half of 4 bytes
		l.length = both + 2
	} else {
		l.length = f.offset("Symbol", "_length")
	}
	return l
}

// symbol returns the VM's string at addr, of at most 65,535 bytes.
func (vm *VM) symbol(addr uint64) (string, error) {
	n, err := vm.u16(addr + vm.symbols.length)
	if err != nil {
		return "", fmt.Errorf("symbol: %w", err)
	}
	text, err := vm.bytes(addr+vm.symbols.body, int(n))
	if err != nil {
		return "", fmt.Errorf("symbol: %w", err)
	}
	s, err := decodeModified(text)
	if err != nil {
		return "", fmt.Errorf("symbol at %#x: %w", addr, err)
	}
	return s, nil
}

// decodeModified turns the UTF-8 of class files into everyone else's: there zero has two bytes, and a character beyond the
// first 65,536 is a pair of surrogates of three bytes each. A surrogate without its other half becomes U+FFFD.
func decodeModified(text []byte) (string, error) {
	plain := true
	for _, b := range text {
		if b == 0 {
			return "", errEncoding
		}
		plain = plain && b < utf8.RuneSelf
	}
	if plain {
		return string(text), nil
	}
	var s strings.Builder
	for len(text) > 0 {
		unit, n := modifiedUnit(text)
		if n == 0 {
			return "", errEncoding
		}
		text = text[n:]
		if utf16.IsSurrogate(unit) {
			low, n := modifiedUnit(text)
			if pair := utf16.DecodeRune(unit, low); n != 0 && pair != utf8.RuneError {
				unit, text = pair, text[n:]
			}
		}
		s.WriteRune(unit) // a lone surrogate is written as U+FFFD
	}
	return s.String(), nil
}

// modifiedUnit decodes the UTF-16 unit that text begins with, and tells its bytes: 0 if there is none.
func modifiedUnit(text []byte) (rune, int) {
	more := func(i int) bool { return len(text) > i && text[i]&0xc0 == 0x80 }
	switch {
	case len(text) == 0:
		return 0, 0
	case text[0] < 0x80:
		return rune(text[0]), 1
	case text[0]&0xe0 == 0xc0 && more(1):
		return rune(text[0]&0x1f)<<6 | rune(text[1]&0x3f), 2
	case text[0]&0xf0 == 0xe0 && more(1) && more(2):
		return rune(text[0]&0x0f)<<12 | rune(text[1]&0x3f)<<6 | rune(text[2]&0x3f), 3
	}
	return 0, 0
}
