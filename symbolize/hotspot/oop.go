package hotspot

import (
	"errors"
	"fmt"
	"strings"
)

const (
	lockBits  = 3 // of a mark word
	forwarded = 3 // the lock bits of an object that has moved: the rest of its mark is where to
)

// errNoObject is what comes of a null reference, or of one that leads to no object of the class that must be there.
var errNoObject = errors.New("no such object")

// heap is how a VM represents references to Java objects, and what stands in an object before its fields:
//
//	compressed references  32 bits: base + n<<shift (8: Universe, 13: CompressedOops)
//	compressed classes     32 bits after the mark word: base + n<<shift
//	compact headers        the class is the mark word's upper part (24)
//	ZGC                    references have colors; see zgc.go
//
// Collectors that move objects while the program runs leave in the old copy's mark word where the new one is.
type heap struct {
	narrow                   bool // references in objects
	base                     uint64
	shift                    uint64
	klassNarrow              bool
	klassBase                uint64
	klassShift               uint64
	klassInMark              uint64 // how far to shift the mark word for the class; 0: it is no part of it
	markAt, klassAt          uint64
	lengthAt                 uint64 // of an array
	handleAt                 uint64 // the slot in an OopHandle
	layoutAt, superAt        uint64 // in a Klass
	headerShift, headerMask  uint64 // in a layout helper
	threadKlass, stringKlass uint64
	z                        *zgc // nil with other collectors
	concurrent               bool // objects are moved while the program runs
	epoch                    epochLayout
	followed                 []followed
	isThread                 map[uint64]bool // by class
	stringFields             stringFields
}

// objects returns how objects are to be read; that is settled once the VM has made its first classes.
func (vm *VM) objects() (*heap, error) {
	if vm.heap != nil {
		return vm.heap, nil
	}
	h, err := vm.readHeap()
	if err != nil {
		return nil, fmt.Errorf("objects of the heap: %w", err)
	}
	vm.heap = h
	if h.stringFields, err = vm.findStringFields(h.stringKlass); err != nil {
		vm.heap = nil
		return nil, fmt.Errorf("objects of the heap: %w", err)
	}
	return h, nil
}

func (vm *VM) readHeap() (*heap, error) {
	h := &heap{isThread: map[uint64]bool{}}
	var err error
	if h.threadKlass, err = vm.wellKnownKlass("Thread"); err != nil {
		return nil, err
	}
	if h.stringKlass, err = vm.wellKnownKlass("String"); err != nil {
		return nil, err
	}
	f := vm.find()
	h.markAt, h.klassAt = f.offset("oopDesc", "_mark"), f.offset("oopDesc", "_metadata._klass", "_metadata._compressed_klass", "_compressed_klass")
	_, choice := vm.table.offset("oopDesc", "_metadata._klass") // since 27 class pointers are compressed
	h.layoutAt, h.superAt = f.offset("Klass", "_layout_helper"), f.offset("Klass", "_super")
	h.headerShift, h.headerMask = uint64(f.constant("Klass::_lh_header_size_shift"))&31, uint64(f.constant("Klass::_lh_header_size_mask"))
	h.handleAt, _ = vm.table.offset("OopHandle", "_obj") // not in JDK 8
	h.lengthAt = h.klassAt + 8
	if h.narrow = vm.isSet("UseCompressedOops"); h.narrow {
		if h.base, h.shift, err = vm.coding(f, [2]string{"CompressedOops", "_narrow_oop."}, [2]string{"CompressedOops", "_"}, [2]string{"Universe", "_narrow_oop."}); err != nil {
			return nil, err
		}
	}
	compact := vm.isSet("UseCompactObjectHeaders")
	if h.klassNarrow = compact || !choice || vm.isSet("UseCompressedClassPointers"); h.klassNarrow {
		h.lengthAt = h.klassAt + 4
		if h.klassBase, h.klassShift, err = vm.coding(f, [2]string{"CompressedKlassPointers", "_narrow_klass."}, [2]string{"CompressedKlassPointers", "_"}, [2]string{"Universe", "_narrow_klass."}); err != nil {
			return nil, err
		}
	}
	if compact {
		h.lengthAt = h.markAt + 8
		if h.klassInMark = uint64(f.constant("markWord::klass_shift")); h.klassInMark > 63 {
			return nil, fmt.Errorf("the class in a mark word at bit %d", h.klassInMark)
		}
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	if h.epoch, err = vm.findEpoch(f); err != nil {
		return nil, err
	}
	if vm.isSet("UseZGC") {
		if h.z, err = vm.readZ(); err != nil {
			return nil, err
		}
		h.epoch.colors = h.z.colors
	}
	h.concurrent = h.z != nil || vm.isSet("UseShenandoahGC")
	return h, nil
}

// coding reads base and shift of compressed pointers, from the first of the places that this VM has.
func (vm *VM) coding(f *finder, places ...[2]string) (base, shift uint64, err error) {
	for _, place := range places {
		baseAt, ok := vm.table.static(place[0], place[1]+"base", place[1]+"_base")
		shiftAt, ok2 := vm.table.static(place[0], place[1]+"shift", place[1]+"_shift")
		if !ok || !ok2 {
			continue
		}
		if base, err = vm.u64(baseAt); err != nil {
			return 0, 0, err
		}
		n, err := vm.u32(shiftAt)
		if err == nil && n > 32 {
			err = fmt.Errorf("compressed pointers shifted by %d", n)
		}
		return base, uint64(n), err
	}
	f.note(false, places[0][0], "base")
	return 0, 0, f.err()
}

// wellKnownKlass returns the class that the VM keeps at hand under this name: Thread, String.
func (vm *VM) wellKnownKlass(name string) (uint64, error) {
	suffix := "::" + name + "_klass_knum" // 8, 11: _well_known_klasses[SystemDictionary::…]; 17: _klasses[static_cast<int>(vmClassID::…)]
	for key, f := range vm.table.fields {
		if f.static && strings.HasSuffix(strings.TrimRight(key.name, ")]"), suffix) {
			klass, err := vm.raw.u64(f.value)
			if err != nil {
				return 0, fmt.Errorf("class %s: %w", name, err)
			}
			if klass == 0 {
				return 0, fmt.Errorf("%w: it has no class %s yet", ErrNotReady, name)
			}
			return klass, nil
		}
	}
	return 0, fmt.Errorf("%w: it does not export class %s", ErrNotHotSpot, name)
}

// handle returns the object that an OopHandle of the VM's own structures refers to, 0 if none.
func (vm *VM) handle(at uint64) (uint64, error) {
	slot, err := vm.u64(at + vm.heap.handleAt)
	if err != nil || slot == 0 {
		return 0, err
	}
	return vm.nativeOop(slot)
}

// nativeOop reads a reference outside of the heap, where it has its full width.
func (vm *VM) nativeOop(at uint64) (uint64, error) {
	ref, err := vm.u64(at)
	if err != nil || ref == 0 {
		return 0, err
	}
	r := followed{at: at, value: ref}
	if vm.heap.z != nil {
		ref, err = vm.uncolor(ref, &r)
	}
	vm.heap.follow(r)
	return ref, err
}

// fieldOop reads a reference in an object of the heap.
func (vm *VM) fieldOop(at uint64) (uint64, error) {
	if !vm.heap.narrow {
		return vm.nativeOop(at)
	}
	n, err := vm.u32(at)
	if err != nil || n == 0 {
		return 0, err
	}
	vm.heap.follow(followed{at: at, value: uint64(n), narrow: true})
	return vm.heap.base + uint64(n)<<vm.heap.shift, nil
}

// object follows a reference to where the object is now, and tells its class. It is an error if there is none.
func (vm *VM) object(ref uint64) (at, klass uint64, err error) {
	if ref == 0 || ref%8 != 0 {
		return 0, 0, fmt.Errorf("object at %#x: %w", ref, errNoObject)
	}
	h := vm.heap
	mark, err := vm.u64(ref + h.markAt)
	if err != nil {
		return 0, 0, fmt.Errorf("object: %w", err)
	}
	if to := mark &^ 7; h.z == nil && mark&lockBits == forwarded && to != 0 && to != ref {
		ref = to
		if mark, err = vm.u64(ref + h.markAt); err != nil {
			return 0, 0, fmt.Errorf("object that has moved: %w", err)
		}
	}
	switch {
	case h.klassInMark != 0:
		klass = h.klassBase + mark>>h.klassInMark<<h.klassShift
	case h.klassNarrow:
		var n uint32
		n, err = vm.u32(ref + h.klassAt)
		klass = h.klassBase + uint64(n)<<h.klassShift
	default:
		klass, err = vm.u64(ref + h.klassAt)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("class of an object: %w", err)
	}
	return ref, klass, nil
}
