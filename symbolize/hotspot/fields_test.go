package hotspot

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// packed is a row of numbers as a field stream has them.
func packed(numbers ...uint32) []byte {
	var out []byte
	for _, n := range numbers {
		for i := 0; ; i++ {
			if n < 191 || i == 4 {
				out = append(out, byte(n+1))
				break
			}
			n -= 191
			out = append(out, byte(192+n&63))
			n >>= 6
		}
	}
	return out
}

func TestPackedNumbers(t *testing.T) {
	numbers := []uint32{0, 1, 190, 191, 192, 254, 255, 1 << 14, 1<<32 - 1}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 1000 {
		numbers = append(numbers, random.Uint32()>>random.IntN(32))
	}
	u := unpacker{rest: packed(numbers...)}
	for i, want := range numbers {
		if got := u.next(); got != want || u.short {
			t.Fatalf("number %d is %d, want %d (seed %d)", i, got, want, seed)
		}
	}
	if u.next(); !u.short {
		t.Error("a number behind the end")
	}
}

// usualBits are those of JDK 21 to 27.
var usualBits = fieldBits{initialized: 1, injected: 2, generic: 4, contended: 16}

func TestFieldsOfAStream(t *testing.T) {
	stream := packed(4, 1,
		10, 11, 12, 0x2, 0, // private
		20, 21, 144, 0x1a, 1|4, 99, 98, // private static final with a value and a generic signature
		30, 31, 16, 0, 16, 97, // contended
		40, 41, 20, 0, 4, 96,
		7, 8, 24, 0, 2) // injected
	got, err := parseFieldStream(append(stream, 0), usualBits)
	if err != nil {
		t.Fatal(err)
	}
	want := []fieldInfo{
		{name: 10, signature: 11, offset: 12},
		{name: 20, signature: 21, offset: 144, static: true},
		{name: 30, signature: 31, offset: 16},
		{name: 40, signature: 41, offset: 20},
		{name: 7, signature: 8, offset: 24, injected: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("fields %+v", got)
	}
	for n := range stream {
		if _, err := parseFieldStream(stream[:n], usualBits); err == nil {
			t.Errorf("%d of %d bytes are taken for a whole stream", n, len(stream))
		}
	}
}

func TestFieldsOfAnArray(t *testing.T) {
	row := func(access, name, signature uint16, offset uint32) []byte {
		packed := offset<<2 | 1
		var out []byte
		for _, n := range []uint16{access, name, signature, 0, uint16(packed), uint16(packed >> 16)} {
			out = append(out, byte(n), byte(n>>8))
		}
		return out
	}
	array := slices.Concat(row(2, 10, 11, 12), row(0x1a, 20, 21, 70000), row(0, 300, 301, 16))
	got, err := parseFieldArray(array, 3)
	if err != nil {
		t.Fatal(err)
	}
	want := []fieldInfo{
		{name: 10, signature: 11, offset: 12},
		{name: 20, signature: 21, offset: 70000, static: true},
		{name: 300, signature: 301, offset: 16},
	}
	if !slices.Equal(got, want) {
		t.Errorf("fields %+v", got)
	}
	if _, err := parseFieldArray(array, 4); err == nil {
		t.Error("four fields in the room of three")
	}
}
