package hotspot

import (
	"encoding/binary"
	"errors"
	"testing"
)

// chunkOf makes a chunk in the heap at an address, of words from its innermost frame's link on.
func chunkOf(low uint64, words ...uint64) chunk {
	k := chunk{low: low, sp: low + linkWords*word, end: low + uint64(len(words))*word}
	for _, w := range words {
		k.words = binary.LittleEndian.AppendUint64(k.words, w)
	}
	return k
}

func TestAWalkGoesOnFromChunkToChunkAndBackToTheThread(t *testing.T) {
	vm := walkingVM(t)
	const heapA, heapB = 0x400000, 0x480000
	h := &heapStack{thread: stackWords{0, 0, 0xf, compiledCode + 0x99}, entry: at(0), chunks: []chunk{
		// link, pc, then two compiled frames, of which the outer one is the chunk's last
		chunkOf(heapA, 1, compiledCode+1, 0, 0, 2, compiledCode+2, 0, 0, 0, 0),
		// link of an interpreted frame that is 10 words up, pc; bytecode pointer, locals, method, its link and pc, its one local
		chunkOf(heapB, 10, interpreter+1, bytecodes+3, 2, 0, 0, 0, theMethod, 0, 3, 0, 0, 0),
	}}
	c := Cursor{Words: h, again: true, Continued: true}
	if err := vm.enterChunk(&c, h); err != nil {
		t.Fatal(err)
	}
	for i, want := range []Physical{
		{Compiled, compiledCode, 1, 5}, {Compiled, compiledCode, 2, 5}, {Interpreted, theMethod, 3, 7}, {Compiled, compiledCode, 0x800, 5},
	} {
		got, err := vm.Step(&c)
		if err != nil || got != want {
			t.Fatalf("frame %d is %+v and not %+v: %v", i, got, want, err)
		}
	}
	if c.PC != compiledCode+0x99 || c.SP != at(4) || c.FP != 0xf || heapOf(&c) != nil || !c.Continued {
		t.Errorf("it came back to %+v", c)
	}
}

func TestAFrameThatReachesOutOfItsChunkIsNone(t *testing.T) {
	vm := walkingVM(t)
	h := &heapStack{thread: stackWords{}, chunks: []chunk{chunkOf(0x400000, 1, interpreter+1, 0, 0)}}
	c := Cursor{Words: h, again: true}
	if err := vm.enterChunk(&c, h); err != nil {
		t.Fatal(err)
	}
	if _, err := vm.Step(&c); !errors.Is(err, ErrFrame) {
		t.Errorf("error %v", err)
	}
}

func TestChunksThatLie(t *testing.T) {
	const at, klass, stack = 0x400000, 0x600000, 32
	fields := &contFields{parent: 12, size: 16, sp: 20, bottom: 24, chunkKlass: klass, stack: stack}
	for _, tc := range []struct {
		name             string
		size, sp, bottom uint32
		klass            uint64
		ok               bool
		words            int
	}{
		{"frames between its stack pointer and its bottom", 40, 10, 38, klass, true, 32},
		{"an empty one has its stack pointer at the bottom", 40, 38, 38, klass, true, 0},
		{"no room for the innermost frame's link", 40, 1, 38, klass, false, 0},
		{"larger than any", maxChunk + 1, 10, 38, klass, false, 0},
		{"negative", 1<<32 - 8, 10, 38, klass, false, 0},
		{"its stack pointer outside", 40, 41, 38, klass, false, 0},
		{"its bottom outside", 40, 10, 41, klass, false, 0},
		{"another class", 40, 10, 38, klass + 8, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			memory := fakeMemory{}
			memory.write(at, make([]byte, 4096))
			memory.put64(at+8, tc.klass)
			memory.put32(at+16, tc.size)
			memory.put32(at+20, tc.sp)
			memory.put32(at+24, tc.bottom)
			vm := walkingVM(t)
			vm.reader, vm.raw = reader{memory}, reader{memory}
			vm.heap = &heap{klassAt: 8, narrow: true}
			vm.cont.fields = fields
			k, parent, err := vm.chunk(at)
			if (err == nil) != tc.ok || len(k.words) != tc.words*word || parent != 0 {
				t.Errorf("%d words, parent %#x, error %v", len(k.words)/word, parent, err)
			}
		})
	}
}

// JDK 21 has virtual threads, but does not export where their callers are: the walk must not go past the barrier.
func TestABarrierThatCannotBePassedEndsTheWalk(t *testing.T) {
	vm := walkingVM(t)
	vm.cont = contLayout{}
	for pc := uint64(stubCode); pc < stubCode+0xc00; pc++ {
		vm.blobs[pc] = &blob{kind: blobStub, addr: stubCode, codeBegin: stubCode, codeEnd: stubCode + 0xc00, frameSize: 2,
			name: "StubRoutines (continuation stubs)"}
	}
	c := Cursor{PC: stubCode + 0x20, SP: stackBase, FP: at(4), Words: stackWords{1, 2, at(8), compiledCode + 4, 0, 0}}
	if _, err := vm.Step(&c); !errors.Is(err, ErrInHeap) {
		t.Errorf("at the barrier: %v, cursor at %#x", err, c.PC)
	}
}
