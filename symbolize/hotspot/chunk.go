package hotspot

import "fmt"

// contFields are the fields of VirtualThread, Continuation and StackChunk, and the class of the latter.
type contFields struct {
	cont, tail       uint64
	parent, size, sp uint64
	bottom           uint64
	arguments        bool // bottom is how many words of arguments lie above it (21)
	chunkKlass       uint64
	stack            uint64 // where in a chunk its words begin
}

// findContFields begins at a virtual thread that has frames in the heap.
func (vm *VM) findContFields(virtual, klass uint64) (*contFields, error) {
	const (
		continuation = "Ljdk/internal/vm/Continuation;"
		stackChunk   = "Ljdk/internal/vm/StackChunk;"
	)
	f := &contFields{}
	var err error
	if f.cont, err = vm.fieldOffset(klass, "cont", continuation); err != nil {
		return nil, err
	}
	cont, err := vm.fieldOop(virtual + f.cont)
	if err != nil {
		return nil, err
	}
	if cont, klass, err = vm.object(cont); err != nil {
		return nil, err
	}
	if f.tail, err = vm.fieldOffset(klass, "tail", stackChunk); err != nil {
		return nil, err
	}
	tail, err := vm.fieldOop(cont + f.tail)
	if err != nil {
		return nil, err
	}
	if _, klass, err = vm.object(tail); err != nil {
		return nil, err
	}
	for _, field := range []struct {
		to              *uint64
		name, signature string
	}{{&f.parent, "parent", stackChunk}, {&f.size, "size", "I"}, {&f.sp, "sp", "I"}} {
		if *field.to, err = vm.fieldOffset(klass, field.name, field.signature); err != nil {
			return nil, err
		}
	}
	if f.bottom, err = vm.fieldOffset(klass, "bottom", "I"); err != nil {
		if f.bottom, err = vm.fieldOffset(klass, "argsize", "I"); err != nil {
			return nil, err
		}
		f.arguments = true
	}
	size, err := vm.u32(klass + vm.cont.layoutAt)
	if err != nil {
		return nil, err
	}
	f.chunkKlass, f.stack = klass, uint64(size)&^(word-1)
	if f.stack > maxOffset {
		return nil, fmt.Errorf("chunks begin with %d bytes", f.stack)
	}
	return f, nil
}

// chunk reads a StackChunk and where its parent is, 0 if it has none.
func (vm *VM) chunk(at uint64) (k chunk, parent uint64, err error) {
	f := vm.cont.fields
	_, klass, err := vm.object(at)
	if err != nil {
		return k, 0, err
	}
	if klass != f.chunkKlass {
		return k, 0, fmt.Errorf("chunk at %#x: %w", at, errNoObject)
	}
	var n [3]uint32 // size, sp, bottom
	for i, offset := range []uint64{f.size, f.sp, f.bottom} {
		if n[i], err = vm.u32(at + offset); err != nil {
			return k, 0, err
		}
	}
	if f.arguments {
		n[2] = n[0] - n[2]
	}
	size, sp, bottom := n[0], n[1], n[2]
	if size > maxChunk || sp > size || bottom > size || sp < bottom && sp < linkWords {
		return k, 0, fmt.Errorf("chunk of %d words: frames from %d to %d", size, sp, bottom)
	}
	stack := at + f.stack
	k = chunk{at: at, sp: stack + uint64(sp)*word, end: stack + uint64(bottom)*word}
	if sp < bottom {
		k.low = k.sp - linkWords*word
		if k.words, err = vm.bytes(k.low, int(size-sp+linkWords)*word); err != nil {
			return k, 0, err
		}
	}
	parent, err = vm.reference(at + f.parent)
	return k, parent, err
}
