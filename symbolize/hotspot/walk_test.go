package hotspot

import (
	"encoding/binary"
	"errors"
	"testing"
)

// A code cache that is made up: five blobs in 4 KiB each.
const (
	compiledCode = 0x10000
	interpreter  = 0x11000
	stubCode     = 0x12000
	runtimeCode  = 0x13000
	upcallCode   = 0x14000
	codeEnd      = 0x15000

	deoptHandler = compiledCode + 0xb00
	callReturn   = stubCode + 0x10 // of the call stub
	stackBase    = 0x7f0000000000
	theMethod    = 0x20000
	bytecodes    = 0x21000
	nativeCode   = 0x500000
)

// stackWords is a copied stack from stackBase on.
type stackWords []uint64

func (s stackWords) Word(addr uint64) (uint64, error) {
	if i := (addr - stackBase) / word; addr >= stackBase && i < uint64(len(s)) && addr%word == 0 {
		return s[i], nil
	}
	return 0, ErrBeyond
}

// walkingVM is a VM that knows the code cache above, and one method.
func walkingVM(tb testing.TB) *VM {
	tb.Helper()
	memory := fakeMemory{}
	memory.put64(0x1000, callReturn)
	memory.put64(0x1008, compiledCode+0x800) // where the outermost frame of a virtual thread returns to
	vm := fakeVM(memory, 25, "")
	vm.code = &codeCache{heaps: []codeHeap{{low: compiledCode, high: codeEnd}}}
	vm.walk = walkLayout{bcp: offsetOf(bcpWord), callStub: 0x1000}
	vm.cont = contLayout{ok: true, entrySize: 64, returnPC: 0x1008}
	vm.methods = map[uint64]*method{theMethod: {code: bytecodes, codeSize: 100, check: 7}}
	vm.blobs = map[uint64]*blob{}
	for _, b := range []*blob{
		{kind: blobNative, addr: compiledCode, frameSize: 4, compileID: 5, deopt: deoptHandler, origPC: 8, name: "native nmethod"},
		{kind: blobInterpreter, addr: interpreter, name: "Interpreter"},
		{kind: blobStub, addr: stubCode, name: "StubRoutines (1)"},
		{kind: blobRuntimeStub, addr: runtimeCode, frameSize: 2, name: "a runtime stub"},
		{kind: blobUpcall, addr: upcallCode, frameSize: 100, name: "upcall_stub"},
	} {
		b.codeBegin, b.codeEnd = b.addr, b.addr+0xc00 // all fit in the cache
		for pc := b.codeBegin; pc < b.codeEnd; pc++ {
			vm.blobs[pc] = b
		}
	}
	vm.methodsOf, vm.blobsOf = vm.cache.generation(), vm.cache.generation()
	return vm
}

func at(words int) uint64 { return stackBase + uint64(words)*word }

func TestStep(t *testing.T) {
	const bcp = bytecodes + 42
	for _, tc := range []struct {
		name  string
		stack stackWords
		from  Cursor
		want  Physical
		to    Cursor // of a step without error
		err   error
	}{
		{
			name: "a compiled frame's size is the blob's", stack: stackWords{0, 0, 0xf, compiledCode + 9},
			from: Cursor{PC: compiledCode + 8, SP: at(0)},
			want: Physical{Compiled, compiledCode, 8, 5}, to: Cursor{PC: compiledCode + 9, SP: at(4), FP: 0xf},
		}, {
			name: "a deoptimized frame keeps where it stood", stack: stackWords{0, compiledCode + 0x77, 0xf, compiledCode + 9},
			from: Cursor{PC: deoptHandler, SP: at(0)},
			want: Physical{Compiled, compiledCode, 0x77, 5}, to: Cursor{PC: compiledCode + 9, SP: at(4), FP: 0xf},
		}, {
			name: "a deoptimized frame that stood elsewhere is none", stack: stackWords{0, nativeCode, 0xf, compiledCode + 9},
			from: Cursor{PC: deoptHandler, SP: at(0)}, err: ErrFrame,
		}, {
			name: "an interpreted frame tells its caller's stack pointer",
			//   bcp(-8)             method(-3)  sender(-1) fp  return
			stack: stackWords{bcp, 0, 0, 0, 0, theMethod, 0, at(12), 0xf, interpreter + 1, 0, 0},
			from:  Cursor{PC: interpreter + 5, SP: at(0), FP: at(8)},
			want:  Physical{Interpreted, theMethod, 42, 7}, to: Cursor{PC: interpreter + 1, SP: at(12), FP: 0xf},
		}, {
			name:  "an interpreted frame below the stack pointer is none",
			stack: stackWords{bcp, 0, 0, 0, 0, theMethod, 0, at(12), 0xf, interpreter + 1, 0, 0},
			from:  Cursor{PC: interpreter + 5, SP: at(9), FP: at(8)}, err: ErrFrame,
		}, {
			name:  "a bytecode pointer outside of the method is none",
			stack: stackWords{bcp + 100, 0, 0, 0, 0, theMethod, 0, at(12), 0xf, interpreter + 1, 0, 0},
			from:  Cursor{PC: interpreter + 5, SP: at(0), FP: at(8)}, err: errUnreadable,
		}, {
			name: "the call stub returns to native code", stack: stackWords{0, 0, 0xf, nativeCode},
			from: Cursor{PC: callReturn, SP: at(0), FP: at(2)},
			want: Physical{Stub, stubCode, 0x10, 0}, to: Cursor{PC: nativeCode, SP: at(4), FP: 0xf},
		}, {
			name: "an upcall stub does too, and its size is not that of its frame", stack: stackWords{0, 0, 0, 0xf, nativeCode},
			from: Cursor{PC: upcallCode + 9, SP: at(0), FP: at(3)},
			want: Physical{Stub, upcallCode, 9, 0}, to: Cursor{PC: nativeCode, SP: at(5), FP: 0xf},
		}, {
			name: "no other code does", stack: stackWords{0, 0, 0xf, nativeCode},
			from: Cursor{PC: compiledCode + 8, SP: at(0)}, err: ErrFrame,
		}, {
			name: "the call stub never returns to Java", stack: stackWords{0, 0, 0xf, compiledCode},
			from: Cursor{PC: callReturn, SP: at(0), FP: at(2)}, err: ErrFrame,
		}, {
			name: "a runtime stub's frame is as large as its blob says", stack: stackWords{0xf, compiledCode + 9},
			from: Cursor{PC: runtimeCode + 3, SP: at(0)},
			want: Physical{Stub, runtimeCode, 3, 0}, to: Cursor{PC: compiledCode + 9, SP: at(2), FP: 0xf},
		}, {
			name: "what was not copied is beyond", stack: stackWords{0, 0, 0xf},
			from: Cursor{PC: compiledCode + 8, SP: at(0)}, err: ErrBeyond,
		}, {
			name: "generated code is not interrupted by its own system call", stack: stackWords{0, 0, 0xf, compiledCode},
			from: Cursor{PC: compiledCode + 8, SP: at(0), Top: true}, err: ErrFrame,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := tc.from
			c.Words, c.again = tc.stack, true
			before := c
			got, err := walkingVM(t).Step(&c)
			if tc.err != nil {
				if !errors.Is(err, tc.err) || c.PC != before.PC || c.SP != before.SP {
					t.Fatalf("error %v and not %v; moved from %#x to %#x", err, tc.err, before.PC, c.PC)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want || c.PC != tc.to.PC || c.SP != tc.to.SP || c.FP != tc.to.FP {
				t.Errorf("got %+v and pc %#x sp %#x fp %#x", got, c.PC, c.SP, c.FP)
			}
		})
	}
}

// FuzzStep walks stacks that make no sense: it ends, since the stack pointer grows, and never panics.
func FuzzStep(f *testing.F) {
	f.Add([]byte{0x10, 0, 1}, uint32(8), uint8(0))
	f.Add([]byte{0, 0x11, 2, 9}, uint32(0x1008), uint8(9))
	vm := walkingVM(f)
	f.Fuzz(func(t *testing.T, data []byte, pc uint32, fp uint8) {
		stack := make(stackWords, 64)
		for i := range stack {
			var b [8]byte
			if len(data) > 0 {
				b[0], b[1] = data[i%len(data)], data[(3*i+1)%len(data)]
			}
			switch v := binary.LittleEndian.Uint64(b[:]); v % 4 {
			case 0:
				stack[i] = compiledCode + v%(codeEnd-compiledCode)
			case 1:
				stack[i] = at(int(v % 80))
			case 2:
				stack[i] = theMethod
			default:
				stack[i] = bytecodes + v%128
			}
		}
		c := Cursor{PC: compiledCode + uint64(pc)%(codeEnd-compiledCode), SP: at(0), FP: at(int(fp)), Words: stack, again: true}
		for steps := 0; ; steps++ {
			sp := c.SP
			if _, err := vm.Step(&c); err != nil || !vm.Contains(c.PC) {
				return
			}
			if c.SP <= sp || steps > len(stack) {
				t.Fatalf("step %d from sp %#x to %#x", steps, sp, c.SP)
			}
		}
	})
}
