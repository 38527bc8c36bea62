package hotspot

import (
	"errors"
	"fmt"
	"runtime"
)

// What stops a walk, besides ErrBeyond, ErrGone and errors of reading.
var (
	// ErrArch: generated code is understood on amd64 only.
	ErrArch = errors.New("java frames on " + runtime.GOARCH + " are not supported")
	// ErrFrame: what lies on the stack is no frame of this kind of code; the text says which.
	ErrFrame = errors.New("not a frame")
)

// Words from an interpreted frame's frame pointer. Only some of them are exported, none has moved since JDK 8 but the
// bytecode's, when the mirror came before it.
const (
	senderSPWord = -1
	methodWord   = -3
	bcpWord8     = -7
	localsWord   = -7 // since 9
	bcpWord      = -8
)

const (
	word         = 8
	linkWords    = 2       // the return address, and the caller's frame pointer below it
	maxExtension = 1 << 20 // bytes that a frame can be away from its caller: 64 Ki locals, in words
)

// walkLayout is where the VM keeps what a walk needs.
type walkLayout struct {
	bcp      uint64 // from the frame pointer
	callStub uint64 // address of the variable: where calls of Java return to
}

func newWalkLayout(f *finder, v Version) walkLayout {
	l := walkLayout{
		bcp:      offsetOf(bcpWord),
		callStub: f.static("StubRoutines", "_call_stub_return_address"),
	}
	if v.Major == 8 {
		l.bcp = offsetOf(bcpWord8)
	}
	return l
}

// offsetOf is for adding to an address.
func offsetOf(words int64) uint64 { return uint64(words * word) }

// Step describes the frame at c, whose PC must lie in the code cache, and moves c to its caller: another frame of generated
// code or, when Contains denies it, of native code. The stack pointer only grows, but for a virtual thread's frames, which
// lie in the heap: there c has other Words from the return barrier to the thread's own frames. After an error c has not moved.
//
//	interpreted     fp[-3] method, fp[-8] bytecode pointer, fp[-1] caller's sp, fp[0] caller's fp, fp[1] return address
//	compiled, stub  the blob says how large the frame is; on top of it are the return address and below that the caller's fp
//	deoptimized     compiled, but the return address was replaced; the frame keeps the original
//	call stub       what native code calls Java by, like upcall stubs: fp[0], fp[1] as ever
func (vm *VM) Step(c *Cursor) (Physical, error) {
	if runtime.GOARCH != "amd64" {
		return Physical{}, ErrArch
	}
	if c.Top {
		// Generated code makes no system calls.
		return Physical{}, fmt.Errorf("%w: interrupted in generated code", ErrFrame)
	}
	next := *c
	p, err := vm.step(&next)
	if err != nil && !c.again && !errors.Is(err, ErrBeyond) && !errors.Is(err, ErrInHeap) {
		// What is remembered of the VM may be older than the stack. Once for each walk.
		vm.cache.Drop()
		c.again = true
		next = *c
		p, err = vm.step(&next)
	}
	if err != nil {
		return p, err
	}
	if heapOf(&next) == heapOf(c) && next.SP <= c.SP {
		return Physical{}, fmt.Errorf("%w: the stack does not go on upward", ErrFrame)
	}
	*c = next
	return p, nil
}

func (vm *VM) step(c *Cursor) (Physical, error) {
	b, err := vm.blobFor(c.PC)
	if err != nil {
		return Physical{}, err
	}
	if vm.atBarrier(c, b) {
		if err := vm.enterHeap(c); err != nil {
			return Physical{}, err
		}
		if b, err = vm.blobFor(c.PC); err != nil {
			return Physical{}, err
		}
	}
	switch b.kind {
	case blobInterpreter:
		return vm.stepInterpreted(c)
	case blobNmethod, blobNative:
		return vm.stepCompiled(c, b)
	case blobVtable, blobAdapter, blobMethodHandle:
		return Physical{}, fmt.Errorf("%w: in %s", ErrFrame, b.name)
	}
	c.java = false
	p := b.physical(c.PC)
	if b.frameSize == 0 || b.kind == blobUpcall { // whose size leaves out what lies on top
		return p, vm.stepLinked(c, b)
	}
	return p, vm.stepSized(c, b)
}

// stepInterpreted leaves a frame of the interpreter.
func (vm *VM) stepInterpreted(c *Cursor) (Physical, error) {
	fp, heap := c.FP, heapOf(c)
	var words [4]uint64
	for i, at := range []uint64{offsetOf(methodWord), vm.walk.bcp, offsetOf(senderSPWord), offsetOf(localsWord)} {
		var err error
		if words[i], err = c.Words.Word(fp + at); err != nil {
			return Physical{}, err
		}
	}
	p, err := vm.interpreted(words[0], words[1])
	if err != nil {
		return Physical{}, err
	}
	c.java = true
	sender, top := words[2], fp+linkWords*word
	if heap != nil {
		sender = fp + sender*word // in words from the frame pointer there, like the locals
		if heap.ends(fp + (words[3]+1)*word) {
			return p, vm.leaveChunk(c, heap)
		}
	}
	// Method handles take an argument off an interpreted caller's stack, whose pointer then lies below top.
	if fp < c.SP || sender <= fp || sender > top+maxExtension {
		return Physical{}, fmt.Errorf("%w: an interpreted frame's pointers", ErrFrame)
	}
	return p, vm.leave(c, top, sender, false)
}

// stepCompiled leaves the frame of an nmethod.
func (vm *VM) stepCompiled(c *Cursor, b *blob) (Physical, error) {
	pc, called := c.PC, c.java
	if pc == b.deopt || pc == b.deoptMH {
		var err error
		if pc, err = c.Words.Word(c.SP + uint64(b.origPC)); err != nil {
			return Physical{}, err
		}
		if pc < b.codeBegin || pc >= b.codeEnd {
			return Physical{}, fmt.Errorf("%w: a deoptimized frame's original pc", ErrFrame)
		}
	}
	p := b.physical(pc)
	if called && b.kind == blobNmethod {
		// A call of Java is always described: else this is other code, that took the place of what was called from.
		if _, near, err := vm.pcDesc(b.debug.pcs, p.Pos); err != nil || near || b.debugErr != nil {
			return Physical{}, fmt.Errorf("%w: no call of %s at %#x", ErrGone, b.name, pc)
		}
	}
	c.java = true
	return p, vm.stepSized(c, b)
}

// stepSized leaves a frame whose size the blob tells.
func (vm *VM) stepSized(c *Cursor, b *blob) error {
	if b.frameSize < linkWords {
		return fmt.Errorf("%w: %s has a frame of %d words", ErrFrame, b.name, b.frameSize)
	}
	top := c.SP + uint64(b.frameSize)*word
	if heap := heapOf(c); heap != nil && heap.ends(top+linkWords*word) {
		return vm.leaveChunk(c, heap)
	}
	return vm.leave(c, top, top, false)
}

// stepLinked leaves a stub's frame that the frame pointer points to.
func (vm *VM) stepLinked(c *Cursor, b *blob) error {
	ret, err := vm.u64(vm.walk.callStub)
	if err != nil {
		return fmt.Errorf("return address of the call stub: %w", err)
	}
	toNative := b.kind == blobUpcall || c.PC == ret
	top := c.FP + linkWords*word
	if c.FP < c.SP || top > c.SP+maxExtension {
		return fmt.Errorf("%w: %s keeps no frame pointer", ErrFrame, b.name)
	}
	return vm.leave(c, top, top, toNative)
}

// leave moves c to the caller of a frame whose return address and saved frame pointer end at top. sp is the caller's stack
// pointer. Only stubs that native code calls return to it.
func (vm *VM) leave(c *Cursor, top, sp uint64, toNative bool) error {
	pc, err := c.Words.Word(top - word)
	if err != nil {
		return err
	}
	link := top - linkWords*word
	fp, err := c.Words.Word(link)
	if err != nil {
		return err
	}
	if pc == 0 || vm.Contains(pc) == toNative {
		return fmt.Errorf("%w: it does not return to what can have called it", ErrFrame)
	}
	if heapOf(c) != nil {
		if fp, err = vm.unrelative(pc, link, fp); err != nil {
			return err
		}
	}
	c.callee, c.calleeRet, c.ret = c.SP, c.ret, top-word
	c.PC, c.SP, c.FP = pc, sp, fp
	return nil
}
