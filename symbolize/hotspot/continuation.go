package hotspot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrInHeap: a virtual thread's callers lie in the heap, and cannot be read as they were when the stack was copied.
var ErrInHeap = errors.New("callers in heap")

const (
	maxChunks    = 1 << 10
	maxChunk     = 1 << 19       // words of a chunk, and of all of a virtual thread's
	maxArguments = 256*word + 16 // between the thawed frames and the entry: arguments on the stack, alignment
	maxBottom    = 64 << 10      // bytes of the frame above the barrier
	heapRetries  = 4
	heapPause    = time.Millisecond // between them: a collection moves what is read
)

// contLayout is where a VM keeps the frames of virtual threads. 21 has them, but does not export where.
type contLayout struct {
	ok        bool
	entry     uint64 // JavaThread: the entry of what is mounted on it
	entrySize uint64
	returnPC  uint64 // address of the variable: where the outermost frame of a virtual thread returns to
	enter     region // the method in which that is: it is never replaced
	barrier   uint64 // where the outermost one that was thawed returns to; 0 until it was met
	layoutAt  uint64 // Klass

	fields *contFields // found with the first one
}

func newContLayout(f *finder) contLayout {
	if _, ok := f.table.size("ContinuationEntry"); !ok {
		return contLayout{}
	}
	return contLayout{
		ok:        true,
		entry:     f.offset("JavaThread", "_cont_entry"),
		entrySize: (f.size("ContinuationEntry") + 15) &^ 15,
		returnPC:  f.static("ContinuationEntry", "_return_pc"),
		layoutAt:  f.offset("Klass", "_layout_helper"),
	}
}

// heapStack is the Words of the frames of a virtual thread that lie in the heap, as they were read at once. Its addresses are
// those of the heap; pointers from frame to frame are relative there.
type heapStack struct {
	chunks []chunk // the rest, innermost first
	thread Words   // of the thread itself
	entry  uint64  // where it goes on there
}

// chunk is a StackChunk.
type chunk struct {
	at, sp, end uint64 // of the object, of its innermost frame, of its frames
	low         uint64 // address of the first of words
	words       []byte
}

// Word implements Words.
func (h *heapStack) Word(addr uint64) (uint64, error) {
	k := &h.chunks[0]
	off := addr - k.low
	if addr < k.low || off+word > uint64(len(k.words)) {
		return 0, fmt.Errorf("%w: a frame reaches out of its chunk", ErrFrame)
	}
	return binary.LittleEndian.Uint64(k.words[off:]), nil
}

// ends says whether a frame that reaches up to addr is the outermost one of its chunk.
func (h *heapStack) ends(addr uint64) bool { return addr >= h.chunks[0].end }

// heapOf is nil while c is on the thread's own stack.
func heapOf(c *Cursor) *heapStack {
	h, _ := c.Words.(*heapStack)
	return h
}

// atBarrier says whether c has come to the return barrier: the thawed frames' outermost returns to it, as their callers are
// still in the heap.
//
//	thread's stack     innermost … thawed frames | barrier          entry frame, carrier's frames
//	heap                                          chunk | its parent …
func (vm *VM) atBarrier(c *Cursor, b *blob) bool {
	return b.kind == blobStub && strings.Contains(strings.ToLower(b.name), "continuation") && heapOf(c) == nil
}

// enterHeap moves c from the barrier to the innermost frame that is in the heap.
func (vm *VM) enterHeap(c *Cursor) error {
	if !vm.cont.ok {
		return fmt.Errorf("%w: this VM's tables do not tell where", ErrInHeap)
	}
	var err error
	for try := range heapRetries {
		if try > 1 {
			time.Sleep(heapPause)
		}
		if c.Moment == nil || try > 0 {
			low := c.callee
			if c.calleeRet != 0 {
				low = min(low, c.calleeRet)
			}
			c.Moment = vm.capture(c.TID, low, c.SP, c.Words)
		}
		if err = c.Moment.standing(c); err == nil {
			vm.cont.barrier = c.PC
			c.Words, c.Continued = &heapStack{chunks: c.Moment.chunks, thread: c.Words, entry: c.Moment.entry}, true
			return vm.enterChunk(c, heapOf(c))
		}
		if errors.Is(err, errReturned) {
			break
		}
	}
	return fmt.Errorf("%w: %w", ErrInHeap, err)
}

// reference follows a reference in an object to where that is now; 0 if there is none.
func (vm *VM) reference(at uint64) (uint64, error) {
	ref, err := vm.fieldOop(at)
	if err != nil || ref == 0 {
		return 0, err
	}
	ref, _, err = vm.object(ref)
	return ref, err
}

// enterChunk moves c to the innermost frame of the first chunk.
func (vm *VM) enterChunk(c *Cursor, h *heapStack) error {
	c.SP = h.chunks[0].sp
	pc, err := h.Word(c.SP - word)
	if err != nil {
		return err
	}
	link := c.SP - linkWords*word
	fp, err := h.Word(link)
	if err != nil {
		return err
	}
	c.PC = pc
	c.FP, err = vm.unrelative(pc, link, fp)
	return err
}

// leaveChunk moves c from the outermost frame of a chunk to the next chunk, or back to the thread's stack.
func (vm *VM) leaveChunk(c *Cursor, h *heapStack) error {
	if len(h.chunks) > 1 {
		rest := &heapStack{chunks: h.chunks[1:], thread: h.thread, entry: h.entry}
		c.Words = rest
		return vm.enterChunk(c, rest)
	}
	pc, err := vm.u64(vm.cont.returnPC)
	if err != nil {
		return fmt.Errorf("return address of the entry frame: %w", err)
	}
	c.PC, c.SP, c.FP, c.Words = pc, h.entry, h.entry+vm.cont.entrySize, h.thread
	return nil
}

// unrelative returns the frame pointer of a frame in the heap, by what is kept for it below its stack pointer.
func (vm *VM) unrelative(pc, link, value uint64) (uint64, error) {
	b, err := vm.blobFor(pc)
	if err != nil {
		return 0, err
	}
	if b.kind == blobInterpreter {
		return link + value*word, nil
	}
	return value, nil
}
