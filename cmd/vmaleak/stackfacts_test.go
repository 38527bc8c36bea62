package main

import (
	"testing"

	"vmaleak/leak"
	"vmaleak/vma"
)

func TestAStackHasAGuardBelow(t *testing.T) {
	vm, err := vma.ParseMaps([]byte(`c000000000-c000400000 rw-p 00000000 00:00 0
c000400000-c004000000 ---p 00000000 00:00 0
7f0000000000-7f0000001000 ---p 00000000 00:00 0
7f0000001000-7f0000803000 rw-p 00000000 00:00 0
7f0000900000-7f0000901000 ---p 00000000 00:00 0
7f0000901000-7f0000981000 rw-p 00000000 00:00 0
7f0001000000-7f0009000000 ---p 00000000 00:00 0
7f0009000000-7f0009100000 rw-p 00000000 00:00 0
7f0010000000-7f0010001000 r-xp 00000000 08:01 99 /usr/bin/a
`), vma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		sp   uint64
		want vma.Range
	}{
		{"a thread's", 0x7f00007ff000, vma.Range{Start: 0x7f0000000000, End: 0x7f0000801000}}, // not what was joined with it
		{"a small", 0x7f0000980000, vma.Range{Start: 0x7f0000900000, End: 0x7f0000981000}},
		{"a goroutine's", 0xc000100000, vma.Range{}},
		{"one above a reservation", 0x7f0009000010, vma.Range{}},
		{"one in a file", 0x7f0010000010, vma.Range{}},
		{"one in a guard", 0x7f0000000010, vma.Range{}},
		{"one nowhere", 0x7f0020000010, vma.Range{}},
		{"none", 0, vma.Range{}},
	} {
		if got := stackAt(vm, c.sp); got != c.want {
			t.Errorf("%s stack is %v, want %v", c.what, got, c.want)
		}
	}
}

func TestWhatTheJVMSaysComesBeforeAStackPointer(t *testing.T) {
	r := vma.Range{Start: 0x1000, End: 0x9000}
	for _, c := range []struct{ region, want vma.Range }{
		{vma.Range{Start: 0x9000, End: 0xa000}, r},
		{vma.Range{Start: 0x5000, End: 0xa000}, vma.Range{Start: 0x1000, End: 0x5000}},
		{vma.Range{Start: 0x0, End: 0x2000}, vma.Range{Start: 0x1000, End: 0x1000}},
	} {
		if got := untold(r, []leak.Region{{Range: c.region}}); got != c.want {
			t.Errorf("beside %v it is %v, want %v", c.region, got, c.want)
		}
	}
}
