package hotspot

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
)

const (
	maxJavaString = 64 << 10 // bytes read of a Java string; a longer one is cut
	maxHeaderSize = 64       // of an array
)

// stringFields are where a java.lang.String keeps its parts.
type stringFields struct {
	value, coder uint64
	chars        bool // JDK 8: an array of char
}

// findStringFields finds the parts of a java.lang.String.
func (vm *VM) findStringFields(klass uint64) (stringFields, error) {
	var s stringFields
	var err error
	if s.value, err = vm.fieldOffset(klass, "value", "[C"); err == nil {
		s.chars = true
		return s, nil
	}
	if s.value, err = vm.fieldOffset(klass, "value", "[B"); err != nil {
		return s, err
	}
	s.coder, err = vm.fieldOffset(klass, "coder", "B")
	return s, err
}

// javaString reads a java.lang.String, at most 64 KiB of it; what is no UTF-16 becomes U+FFFD.
func (vm *VM) javaString(ref uint64) (string, error) {
	h := vm.heap
	at, klass, err := vm.object(ref)
	if err != nil {
		return "", err
	}
	if klass != h.stringKlass {
		return "", fmt.Errorf("string at %#x: %w", at, errNoObject)
	}
	value, err := vm.fieldOop(at + h.stringFields.value)
	if err != nil {
		return "", fmt.Errorf("string: %w", err)
	}
	utf16 := h.stringFields.chars
	if !utf16 {
		coder, err := vm.u8(at + h.stringFields.coder)
		if err != nil || coder > 1 {
			return "", errors.Join(fmt.Errorf("string of coder %d", coder), err)
		}
		utf16 = coder == 1
	}
	text, err := vm.primitives(value)
	if err != nil {
		return "", fmt.Errorf("string: %w", err)
	}
	if utf16 {
		return decodeUTF16(text), nil
	}
	return decodeLatin1(text), nil
}

// primitives returns the elements of an array of byte or char, at most 64 KiB.
func (vm *VM) primitives(ref uint64) ([]byte, error) {
	h := vm.heap
	at, klass, err := vm.object(ref)
	if err != nil {
		return nil, err
	}
	layout, err := vm.u32(klass + h.layoutAt)
	if err != nil {
		return nil, fmt.Errorf("class of an array: %w", err)
	}
	// An array's layout helper: two tag bits (11: of primitives), its header's size, the type and size of its elements.
	header, log := uint64(layout)>>h.headerShift&h.headerMask, layout&0xff
	if layout>>30 != 3 || header > maxHeaderSize || log > 1 {
		return nil, fmt.Errorf("array at %#x: %w", at, errNoObject)
	}
	length, err := vm.u32(at + h.lengthAt)
	if err != nil {
		return nil, fmt.Errorf("array: %w", err)
	}
	if int32(length) < 0 {
		return nil, fmt.Errorf("array of %d elements: %w", int32(length), errNoObject)
	}
	return vm.bytes(at+header, int(min(uint64(length)<<log, maxJavaString)))
}

func decodeLatin1(text []byte) string {
	var s strings.Builder
	for _, b := range text {
		s.WriteRune(rune(b))
	}
	return s.String()
}

func decodeUTF16(text []byte) string {
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = le16(text[2*i:])
	}
	return string(utf16.Decode(units))
}
