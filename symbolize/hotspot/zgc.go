package hotspot

import (
	"fmt"
	"math/bits"
	"runtime"
)

// zgc is how ZGC colors references. A color is good, or tells that the reference was stored before the last collection began
// to move objects, so that the object may have moved: then the forwarding table of the page it was on tells where to.
//
// Without generations (all until JDK 20, an option until 23) the color is above the address, and the heap is mapped once for
// each color. With generations it is below the address: one of four bits says what the reference is good for, and on amd64
// the address begins right above that bit.
type zgc struct {
	generational bool
	good, bad    uint64 // addresses of the masks, which change
	colors       uint64 // address of a mask that changes when marking and moving begin
	offsetMask   uint64 // the part of an address that is the offset in the heap
	colorMask    uint64 // generational: the four bits
	shift        uint64 // generational, where it is the same for all colors: where the address begins
	old, young   zmap   // without generations both are the same
	layout       zForwarding
}

// zLetter is what the names of ZGC's structures begin with. 21 to 23 have two, and called the one without generations X.
func (vm *VM) zLetter() string {
	if _, choice := vm.Flag("ZGenerational"); choice && !vm.isSet("ZGenerational") {
		return "X"
	}
	return "Z"
}

// readZ finds where ZGC keeps the colors of now and the forwarding tables.
func (vm *VM) readZ() (*zgc, error) {
	f, letter := vm.find(), vm.zLetter()
	globals := letter + "GlobalsForVMStructs"
	instance := f.static(globals, "_instance_p")
	goodAt := f.offset(globals, "_ZPointerLoadGoodMask", "_"+letter+"AddressGoodMask")
	badAt := f.offset(globals, "_ZPointerLoadBadMask", "_"+letter+"AddressBadMask")
	colorsAt := f.offset(globals, "_ZPointerStoreGoodMask", "_"+letter+"AddressGoodMask")
	maskAt := f.offset(globals, "_"+letter+"AddressOffsetMask")
	if err := f.err(); err != nil {
		return nil, err
	}
	at, err := vm.u64(instance)
	if err != nil {
		return nil, fmt.Errorf("masks of ZGC: %w", err)
	}
	z := &zgc{}
	for _, p := range []struct{ offset, to *uint64 }{{&goodAt, &z.good}, {&badAt, &z.bad}, {&colorsAt, &z.colors}, {&maskAt, &z.offsetMask}} {
		if *p.to, err = vm.u64(at + *p.offset); err != nil {
			return nil, fmt.Errorf("masks of ZGC: %w", err)
		}
	}
	if z.offsetMask, err = vm.u64(z.offsetMask); err != nil {
		return nil, fmt.Errorf("masks of ZGC: %w", err)
	}
	if shiftAt, ok := vm.table.offset(globals, "_ZPointerLoadShift"); ok {
		if err := vm.readGenerations(z, at+shiftAt); err != nil {
			return nil, fmt.Errorf("masks of ZGC: %w", err)
		}
	}
	if z.layout, err = vm.findForwarding(letter); err != nil {
		return nil, err
	}
	z.old, z.young, err = vm.forwardingTables(letter)
	return z, err
}

func (vm *VM) readGenerations(z *zgc, shiftVariable uint64) error {
	good, err := vm.raw.u64(z.good)
	if err != nil {
		return err
	}
	bad, err := vm.raw.u64(z.bad)
	if err != nil {
		return err
	}
	z.generational, z.colorMask = true, good|bad
	if bits.OnesCount64(z.colorMask) != 4 {
		return fmt.Errorf("colors of %#x and %#x: %w", good, bad, ErrNotReady)
	}
	if runtime.GOARCH == "amd64" {
		return nil
	}
	at, err := vm.u64(shiftVariable)
	if err != nil {
		return err
	}
	z.shift, err = vm.u64(at)
	return err
}

// uncolor returns the address that a reference leads to, of the object where it is now.
func (vm *VM) uncolor(ref uint64, r *followed) (uint64, error) {
	z := vm.heap.z
	bad, err := vm.u64(z.bad)
	if err != nil {
		return 0, fmt.Errorf("masks of ZGC: %w", err)
	}
	good, rest, tables := ref&bad == 0, uint64(0), [2]zmap{z.young}
	if z.generational {
		color := z.color(ref)
		if bits.OnesCount64(color) != 1 {
			return 0, fmt.Errorf("reference %#x is of no color: %w", ref, errNoObject)
		}
		good, tables = color&bad == 0, z.generations(ref, color, z.colorMask&^bad)
		shift := z.shift
		if shift == 0 {
			shift = uint64(bits.Len64(color))
		}
		ref >>= shift & 63
		rest = ref &^ z.offsetMask
	} else if !good {
		if rest, err = vm.u64(z.good); err != nil {
			return 0, fmt.Errorf("masks of ZGC: %w", err)
		}
	}
	if good || ref == 0 {
		return ref, nil
	}
	offset := ref & z.offsetMask
	to, moved, err := vm.forwarded(offset, tables)
	if err != nil {
		return 0, err
	}
	if moved {
		offset = to & z.offsetMask
	} else {
		r.unmoved, r.offset, r.tables = true, offset, tables
	}
	return offset | rest, nil
}

// color returns the one of the four bits that a reference has; on arm64 it is the one that is missing.
func (z *zgc) color(ref uint64) uint64 {
	if runtime.GOARCH == "arm64" {
		ref = ^ref
	}
	return ref & z.colorMask
}

// generations returns the tables to look a bad reference up in: the first that knows its page is right. An address that one
// generation has moved away from may be the other's by now, so it matters for which one the reference is too old. The
// lower bit of a color's number changes when the young generation begins to move objects, the upper one when the old does.
func (z *zgc) generations(ref, then, now uint64) [2]zmap {
	first := bits.TrailingZeros64(z.colorMask)
	older, newer := bits.TrailingZeros64(then)-first, bits.TrailingZeros64(now)-first
	remembered := uint64(3) << max(first-8, 0) // both bits: from old to old
	switch {
	case older>>1 == newer>>1:
		return [2]zmap{z.young}
	case older&1 == newer&1, ref&remembered == remembered:
		return [2]zmap{z.old}
	}
	return [2]zmap{z.young, z.old}
}
