package hotspot

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Moment is what is soon over of what belongs to a copied stack: which virtual thread the thread carries, and its frames in
// the heap. It is read while the thread runs on, and what it says is compared with the copy.
type Moment struct {
	Virtual *Virtual // proven to be the one whose stack was copied; nil: not known

	err    error   // why there are no chunks
	chunks []chunk // that have frames, innermost first
	entry  uint64  // the ContinuationEntry on the thread's stack
	low    uint64  // address of live
	live   []byte  // the thread's stack up to the entry's end, as it was after the chunks were read
}

// errReturned: nor will another try find what was there.
var errReturned = errors.New("the thread has returned since")

// Mounts says, by the copy of its stack alone, whether a thread carries a virtual thread: whether a frame returns into the
// method that all of them are entered by, or to the barrier. That is not known until it is first met.
func (vm *VM) Mounts(stack []byte) bool {
	if !vm.cont.ok {
		return false
	}
	if vm.cont.enter == (region{}) {
		ret, err := vm.u64(vm.cont.returnPC) // the interpreter's calls have another one in that method
		if err != nil || ret == 0 {
			return false
		}
		b, err := vm.blobFor(ret)
		if err != nil {
			return false
		}
		vm.cont.enter = region{b.codeBegin, b.codeEnd}
	}
	begin, size, barrier := vm.cont.enter.begin, vm.cont.enter.size(), vm.cont.barrier
	if barrier == 0 {
		barrier = begin
	}
	for i := 0; i <= len(stack)-word; i += word {
		if w := binary.LittleEndian.Uint64(stack[i : i+word]); w-begin < size || w == barrier {
			return true
		}
	}
	return false
}

// Capture reads what belongs to the stack of a thread that was copied from sp upward: the sooner the better.
func (vm *VM) Capture(tid int, sp uint64, stack []byte) *Moment {
	k := chunk{low: sp, words: stack}
	return vm.capture(tid, sp, sp+uint64(len(stack)), &heapStack{chunks: []chunk{k}})
}

// capture is for a copy that reaches at least from low to high.
func (vm *VM) capture(tid int, low, high uint64, stack Words) *Moment {
	m := &Moment{}
	l, err := vm.threadLayout()
	if err != nil || !l.hasVirtual {
		m.err = errors.Join(err, errNoObject)
		return m
	}
	thread, ok := vm.JavaThread(tid)
	if !ok {
		m.err = fmt.Errorf("thread %d: %w", tid, errNoObject)
		return m
	}
	now := *vm
	now.cache = vm.fresh // not what was read a while ago
	now.reader = reader{vm.fresh}
	steady := now.steadily(func() {
		*m = Moment{}
		m.err = now.moment(m, l, thread, low, high, stack)
	})
	if steady {
		vm.cont.fields = now.cont.fields
	} else {
		*m = Moment{err: errors.New("objects are being moved")}
	}
	return m
}

// moment reads m: first the heap, then the thread's stack, by which it is told whether the heap was still as it was.
func (vm *VM) moment(m *Moment, l *threadLayout, thread, low, high uint64, stack Words) error {
	if vm.cont.ok {
		var err error
		if m.entry, err = vm.u64(thread + vm.cont.entry); err != nil {
			return err
		}
		if m.entry < low || m.entry > high+maxArguments {
			return errReturned
		}
		high = m.entry + vm.cont.entrySize
		low = max(low, m.entry-min(m.entry, maxBottom))
	}
	virtual, err := vm.handle(thread + l.virtual)
	if err != nil {
		return err
	}
	virtual, klass, err := vm.object(virtual)
	if err != nil {
		return err
	}
	if vm.cont.fields == nil {
		if vm.cont.fields, err = vm.findContFields(klass); err != nil {
			return err
		}
	}
	if klass != vm.cont.fields.virtualKlass { // it has stepped aside for its carrier
		return fmt.Errorf("virtual thread at %#x: %w", virtual, errNoObject)
	}
	cont, err := vm.reference(virtual + vm.cont.fields.cont)
	if err != nil {
		return err
	}
	var heapErr error
	if vm.cont.ok {
		m.chunks, heapErr = vm.chunks(cont)
	}
	m.low = low
	if m.live, err = vm.raw.bytes(low, int(high-low)); err != nil {
		return err
	}
	if !m.carries(cont, stack) {
		return errReturned
	}
	var v Virtual
	if v.Name, v.ID, err = vm.nameOf(l, virtual); err == nil {
		m.Virtual = &v
	}
	return heapErr
}

// carries says whether the copied stack is of this Continuation: its ContinuationEntry refers to it, and is where it still
// is. Where the entry is not known, whatever refers to it now must have done so then: the entry is among it.
func (m *Moment) carries(cont uint64, stack Words) bool {
	found := false
	for at := max(m.entry, m.low); at+word <= m.low+uint64(len(m.live)); at += word {
		now := le64(m.live[at-m.low:])
		if now != cont && m.entry == 0 {
			continue
		}
		then, err := stack.Word(at)
		if err != nil || then != now {
			return false
		}
		found = found || now == cont
	}
	return found
}

// chunks reads all chunks of a Continuation that have frames.
func (vm *VM) chunks(cont uint64) (chunks []chunk, err error) {
	if err = vm.cont.fields.findChunk(vm, cont); err != nil {
		return nil, err
	}
	at, err := vm.reference(cont + vm.cont.fields.tail)
	if err != nil {
		return nil, err
	}
	size := 0
	for n := 0; at != 0; n++ {
		if n == maxChunks || size > maxChunk*word {
			return nil, errors.New("too many chunks")
		}
		k, parent, err := vm.chunk(at)
		if err != nil {
			return nil, err
		}
		size += len(k.words)
		if k.sp < k.end {
			chunks = append(chunks, k)
		}
		at = parent
	}
	if len(chunks) == 0 {
		return nil, errReturned
	}
	return chunks, nil
}

// standing is nil if the frame above the barrier still waited for the call that it waited for when the stack was copied, in
// the same virtual thread, once the chunks had been read: then no frame had left them. Words that a collection has changed
// do not count as the same: which of them are references is not known.
func (m *Moment) standing(c *Cursor) error {
	if m.err != nil {
		return m.err
	}
	if c.callee == 0 || c.callee >= c.SP || c.SP-c.callee > maxBottom {
		return fmt.Errorf("%w: above the barrier", ErrFrame)
	}
	if m.entry < c.SP || m.entry > c.SP+maxArguments {
		return errReturned
	}
	same := []region{{c.callee, m.entry}} // what returns to the barrier is overwritten from the entry down
	if c.calleeRet != 0 {
		same = append(same, region{c.calleeRet, c.calleeRet + word})
	}
	end := m.low + uint64(len(m.live))
	for _, r := range same {
		if r.begin < m.low || r.end > end {
			return errReturned
		}
		for at := r.begin; at+word <= r.end; at += word {
			then, err := c.Words.Word(at)
			if err != nil {
				return err
			}
			if then != le64(m.live[at-m.low:]) {
				return errReturned
			}
		}
	}
	return nil
}
