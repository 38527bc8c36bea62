package hotspot

import "fmt"

// contFields are the fields of VirtualThread, Continuation and StackChunk, and their classes.
type contFields struct {
	virtualKlass     uint64
	cont             uint64
	chunkKlass       uint64 // 0 until the first chunk is there
	tail             uint64
	parent, size, sp uint64
	bottom           uint64
	arguments        bool   // bottom is how many words of arguments lie above it (21)
	stack            uint64 // where in a chunk its words begin
}

const (
	continuation = "Ljdk/internal/vm/Continuation;"
	stackChunk   = "Ljdk/internal/vm/StackChunk;"
)

// findContFields begins at the class of a virtual thread.
func (vm *VM) findContFields(klass uint64) (*contFields, error) {
	f := &contFields{virtualKlass: klass}
	var err error
	if f.cont, err = vm.fieldOffset(klass, "cont", continuation); err != nil {
		return nil, err
	}
	return f, nil
}

// findChunk goes on at a Continuation; it has no chunk until its thread has been unmounted once.
func (f *contFields) findChunk(vm *VM, cont uint64) error {
	if f.chunkKlass != 0 {
		return nil
	}
	cont, klass, err := vm.object(cont)
	if err != nil {
		return err
	}
	if f.tail == 0 {
		if f.tail, err = vm.fieldOffset(klass, "tail", stackChunk); err != nil {
			return err
		}
	}
	tail, err := vm.fieldOop(cont + f.tail)
	if err != nil {
		return err
	}
	if _, klass, err = vm.object(tail); err != nil {
		return err
	}
	for _, field := range []struct {
		to              *uint64
		name, signature string
	}{{&f.parent, "parent", stackChunk}, {&f.size, "size", "I"}, {&f.sp, "sp", "I"}} {
		if *field.to, err = vm.fieldOffset(klass, field.name, field.signature); err != nil {
			return err
		}
	}
	if f.bottom, err = vm.fieldOffset(klass, "bottom", "I"); err != nil {
		if f.bottom, err = vm.fieldOffset(klass, "argsize", "I"); err != nil {
			return err
		}
		f.arguments = true
	}
	size, err := vm.u32(klass + vm.cont.layoutAt)
	if err != nil {
		return err
	}
	f.stack = uint64(size) &^ (word - 1)
	if f.stack > maxOffset {
		return fmt.Errorf("chunks begin with %d bytes", f.stack)
	}
	f.chunkKlass = klass
	return nil
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
