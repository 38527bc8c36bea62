package hotspot

import (
	"encoding/binary"
	"errors"
	"testing"
)

// bytes is the stack as it is in memory.
func (s stackWords) bytes() (b []byte) {
	for _, w := range s {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

func TestAThreadThatHasReturnedIsSeen(t *testing.T) {
	stack := stackWords{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d}
	frame := Cursor{SP: at(4), Words: stack, callee: at(2), calleeRet: at(0)}
	for _, tc := range []struct {
		name    string
		changed int // a word of the live stack; -1 none
		from    Cursor
		want    error
	}{
		{"nothing has changed", -1, frame, nil},
		{"below the frame", 1, frame, nil},
		{"where the frame returns into it", 0, frame, errReturned},
		{"in the frame", 2, frame, errReturned},
		{"in the frame's return address", 3, frame, errReturned},
		{"in its arguments", 4, frame, errReturned},
		{"above them", 12, frame, nil},
		{"a native caller", -1, Cursor{SP: at(4), Words: stack}, ErrFrame},
		{"more than was read", -1, Cursor{SP: at(4), Words: stack, callee: at(-1)}, errReturned},
		{"the entry is below", -1, Cursor{SP: at(6), Words: stack, callee: at(2)}, errReturned},
		{"the entry is far above", -1, Cursor{SP: at(5) - maxArguments - word, Words: stack, callee: at(4) - maxArguments - word}, errReturned},
	} {
		t.Run(tc.name, func(t *testing.T) {
			live := append(stackWords{}, stack...)
			if tc.changed >= 0 {
				live[tc.changed]++
			}
			m := &Moment{entry: at(5), low: stackBase, live: live.bytes()}
			if err := m.standing(&tc.from); !errors.Is(err, tc.want) {
				t.Errorf("error %v and not %v", err, tc.want)
			}
		})
	}
}

func TestAContinuationIsTheOneOfTheCopiedStack(t *testing.T) {
	const cont, other, entry = 0x3000, 0x3100, 3
	for _, tc := range []struct {
		name       string
		copy, live stackWords
		at21, want bool // where the entry is not known
	}{
		{"the same", stackWords{1, 2, 3, cont, 7}, stackWords{1, 2, 3, cont, 7}, true, true},
		{"it has run on", stackWords{1, 2, 3, cont, 7}, stackWords{8, 9, 3, cont, 7}, true, true},
		{"another one runs now", stackWords{1, 2, 3, other, 7}, stackWords{1, 2, 3, cont, 7}, false, false},
		{"the entry refers to another one", stackWords{1, 2, 3, other, 7}, stackWords{1, 2, 3, other, 7}, false, false},
		{"the entry has changed", stackWords{1, 2, 3, cont, 7}, stackWords{1, 2, 3, cont, 8}, true, false},
		{"a left-over of it in the copy", stackWords{1, cont, 3, other, 7}, stackWords{1, cont, 3, cont, 7}, false, false},
		{"the copy ends", stackWords{1, 2, 3, cont}, stackWords{1, 2, 3, cont, 7}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := &Moment{entry: at(entry), low: stackBase, live: tc.live.bytes()}
			if got := m.carries(cont, tc.copy); got != tc.want {
				t.Errorf("%v", got)
			}
			m.entry = 0
			if got := m.carries(cont, tc.copy); got != tc.at21 {
				t.Errorf("%v without the entry", got)
			}
		})
	}
}

func TestAStackShowsThatItsThreadCarriesAnother(t *testing.T) {
	const outermost, barrier = compiledCode + 0x7f0, stubCode + 0x20
	vm := walkingVM(t)
	for _, tc := range []struct {
		name           string
		stack          stackWords
		before, after  bool // the barrier is known
		notInThisTable bool
	}{
		{"no", stackWords{1, 2, compiledCode - 8}, false, false, false},
		{"all its frames are on the stack", stackWords{1, outermost, 3}, true, true, false},
		{"some are in the heap", stackWords{1, 2, barrier}, false, true, false},
		{"this VM does not tell", stackWords{1, outermost, barrier}, false, false, true},
		{"nothing", nil, false, false, false},
	} {
		vm.cont.ok, vm.cont.barrier = !tc.notInThisTable, 0
		before := vm.Mounts(tc.stack.bytes())
		vm.cont.barrier = barrier
		if after := vm.Mounts(tc.stack.bytes()); before != tc.before || after != tc.after {
			t.Errorf("%s: %v, then %v", tc.name, before, after)
		}
	}
}

func TestChunksThatNeverEnd(t *testing.T) {
	const at, klass = 0x400000, 0x600000
	vm, memory := walkingVM(t), fakeMemory{}
	memory.write(at, make([]byte, 4096))
	memory.put64(at+8, klass)
	memory.put32(at+28, at/8) // its own parent
	memory.put32(at+16, 40)
	memory.put32(at+20, 40) // empty: no frames add up
	memory.put32(at+24, 40)
	memory.put64(0x3100+8, 0x700000) // the Continuation
	memory.put32(0x3100+16, at/8)
	vm.reader = reader{memory}
	vm.heap = &heap{klassAt: 8, narrow: true, shift: 3}
	vm.cont.fields = &contFields{tail: 16, parent: 28, size: 16, sp: 20, bottom: 24, chunkKlass: klass, stack: 32}
	_, err := vm.chunks(0x3100)
	if err == nil || err.Error() != "too many chunks" {
		t.Errorf("error %v", err)
	}
}
