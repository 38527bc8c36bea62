package unwind

import "testing"

func TestCacheKeepsWhatIsAskedForAndIsBounded(t *testing.T) {
	c := newCache[int, int](100)
	c.put(-1, 7)
	for i := range 10_000 {
		c.put(i, i)
		if v, ok := c.get(-1); !ok || v != 7 {
			t.Fatalf("after %d: %d, %v", i, v, ok)
		}
		if n := len(c.young) + len(c.old); n > 101 {
			t.Fatalf("%d entries", n)
		}
	}
	if _, ok := c.get(0); ok {
		t.Error("the oldest is still there")
	}
	c.clear()
	if _, ok := c.get(-1); ok {
		t.Error("not cleared")
	}
}

func TestCacheIsBoundedByWeight(t *testing.T) {
	c := newCache[int, int](100)
	c.weigh = func(v int) int { return v }
	for i := range 1000 {
		c.put(i, 30)
		if n := len(c.young) + len(c.old); n > 4 { // of 50 each
			t.Fatalf("%d values of 30 in 100", n)
		}
	}
}

func TestReturnAddressesArePutBack(t *testing.T) {
	const trampoline = 0x7000
	w := wordsAt(0x100, trampoline, 1, trampoline, 3)
	w.restore([]Return{
		{SP: 0x100, PC: 0xa0},
		{SP: 0x110, PC: trampoline}, // a tail call: the outer one knows
		{SP: 0x110, PC: 0xa2},
		{SP: 0x118, PC: 0xff},  // not replaced
		{SP: 0x9999, PC: 0xee}, // not in the copy
	}, func(pc uint64) bool { return pc == trampoline })
	for i, want := range []uint64{0xa0, 1, 0xa2, 3} {
		if got, _ := w.Word(0x100 + 8*uint64(i)); got != want {
			t.Errorf("word %d is %#x, want %#x", i, got, want)
		}
	}
}

func TestIDIsOfNamesNotOfPlaces(t *testing.T) {
	id := func(s Status, f ...Frame) string { return idOf(&Stack{Status: s, Frames: pointers([][]Frame{f})}) }
	named := Frame{Kind: Native, Function: "f", Module: "/a/lib.so", BuildID: "01", Offset: 1}
	moved := Frame{Kind: Native, Function: "f", Module: "/b/lib.so", BuildID: "02", Offset: 2}
	if id(Complete, named) != id(Complete, moved) {
		t.Error("the same function elsewhere has another id")
	}
	calls := func(outer, inner Kind, more ...Frame) string {
		return id(Complete, append(more, Frame{Kind: inner, Function: "A.b()", Line: 1}, Frame{Kind: outer, Function: "A.c()", Line: 2})...)
	}
	if calls(Java, Java) != calls(Java, Inlined, Frame{Kind: Stub, Function: "I2C"}) {
		t.Error("the same calls have another id once they are compiled")
	}
	line := named
	line.Line = 7
	bare, other := named, named
	bare.Function, other.Function = "", ""
	other.Offset = 3
	seen := map[string]string{}
	for what, got := range map[string]string{"named": id(Complete, named), "another line": id(Complete, line),
		"no name": id(Complete, bare), "another place without a name": id(Complete, other),
		"two": id(Complete, named, named), "truncated": id(Truncated, named)} {
		if seen[got] != "" {
			t.Errorf("%s and %s have one id", what, seen[got])
		}
		seen[got] = what
	}
}
