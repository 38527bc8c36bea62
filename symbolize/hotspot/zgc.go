package hotspot

import (
	"errors"
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
	tables       []zmap
	layout       zForwarding
}

// readZ finds where ZGC keeps the colors of now and the forwarding tables.
func (vm *VM) readZ() (*zgc, error) {
	f := vm.find()
	const globals = "ZGlobalsForVMStructs"
	instance := f.static(globals, "_instance_p")
	goodAt := f.offset(globals, "_ZPointerLoadGoodMask", "_ZAddressGoodMask")
	badAt := f.offset(globals, "_ZPointerLoadBadMask", "_ZAddressBadMask")
	colorsAt := f.offset(globals, "_ZPointerStoreGoodMask", "_ZAddressGoodMask")
	maskAt := f.offset(globals, "_ZAddressOffsetMask")
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
	if z.layout, err = vm.findForwarding(); err != nil {
		return nil, err
	}
	z.tables, err = vm.forwardingTables()
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
	bad, err := vm.raw.u64(z.bad)
	if err != nil {
		return 0, fmt.Errorf("masks of ZGC: %w", err)
	}
	good, rest := ref&bad == 0, uint64(0)
	if z.generational {
		shift := z.shift
		if shift == 0 {
			color := ref & z.colorMask
			if bits.OnesCount64(color) != 1 {
				return 0, fmt.Errorf("reference %#x is of no color: %w", ref, errNoObject)
			}
			shift = uint64(bits.Len64(color))
		}
		ref >>= shift & 63
		rest = ref &^ z.offsetMask
	} else if !good {
		if rest, err = vm.raw.u64(z.good); err != nil {
			return 0, fmt.Errorf("masks of ZGC: %w", err)
		}
	}
	if good || ref == 0 {
		return ref, nil
	}
	offset := ref & z.offsetMask
	to, moved, err := vm.forwarded(offset)
	if err != nil {
		return 0, err
	}
	if moved {
		offset = to & z.offsetMask
	} else {
		r.unmoved, r.offset = true, offset
	}
	return offset | rest, nil
}

// zForwarding is where a forwarding keeps its parts: of one page, a hash table from the object's place on the page to its
// offset in the heap.
type zForwarding struct {
	start, align, length uint64 // of the page, log2 of an object's alignment, number of entries
	entries              uint64 // behind the structure
	granule              uint64 // log2 of what one element of the forwarding table stands for
}

const (
	maxForwardings = 1 << 20 // entries of one, half of them free
	maxProbes      = 1 << 12
	maxZHeap       = 1 << 16
	maxTables      = 8
	maxGranules    = 1 << 24
)

func (vm *VM) findForwarding() (zForwarding, error) {
	f := vm.find()
	l := zForwarding{
		start:   f.offset("ZForwarding", "_virtual") + f.offset("ZVirtualMemory", "_start"),
		align:   f.offset("ZForwarding", "_object_alignment_shift"),
		length:  f.offset("ZForwarding", "_entries") + f.offset("ZAttachedArrayForForwarding", "_length"),
		entries: (f.size("ZForwarding") + 7) &^ 7,
		granule: uint64(f.constant("ZGranuleSizeShift")),
	}
	if l.granule < 12 || l.granule > 40 {
		f.note(false, "constant", "ZGranuleSizeShift")
	}
	if l.entries > maxRead || max(l.start, l.align, l.length)+8 > l.entries {
		f.note(false, "ZForwarding", "size")
	}
	return l, f.err()
}

// zmap is a forwarding table: a variable that leads to one element for each granule of the heap.
type zmap struct{ variable, elements uint64 }

// forwardingTables finds the forwarding tables. Without generations there is one, which is exported; with generations each
// has its own, which are not: a map is a number of elements and their mapping, and ZHeap has few of them. What is taken
// from them is checked, so that one too many does no harm.
func (vm *VM) forwardingTables() ([]zmap, error) {
	f := vm.find()
	heapAt, size := f.offset("ZCollectedHeap", "_heap"), f.size("ZHeap")
	mapAt := f.offset("ZGranuleMapForForwarding", "_map")
	pages := f.offset("ZHeap", "_page_table") + f.offset("ZPageTable", "_map")
	allocator, allocatorEnd := f.offset("ZHeap", "_page_allocator"), f.size("ZPageAllocator")
	collected := f.static("Universe", "_collectedHeap")
	if err := f.err(); err != nil {
		return nil, err
	}
	heap, err := vm.u64(collected)
	if err != nil {
		return nil, fmt.Errorf("heap of ZGC: %w", err)
	}
	if heap == 0 {
		return nil, fmt.Errorf("%w: it has no heap yet", ErrNotReady)
	}
	heap += heapAt
	if table, ok := vm.table.offset("ZHeap", "_forwarding_table"); ok {
		inner, _ := vm.table.offset("ZForwardingTable", "_map")
		return []zmap{{heap + table + inner + mapAt, maxGranules}}, nil
	}
	body, err := vm.bytes(heap, int(min(size, maxZHeap)))
	if err != nil {
		return nil, fmt.Errorf("heap of ZGC: %w", err)
	}
	allocatorEnd += allocator
	var tables []zmap
	for i := uint64(0); i+mapAt+8 <= uint64(len(body)) && len(tables) < maxTables; i += 8 {
		n, elements := le64(body[i:]), le64(body[i+mapAt:])
		other := i == pages || i >= allocator && i < allocatorEnd
		if other || n == 0 || n > maxGranules || elements>>32 == 0 || elements%pageSize != 0 {
			continue
		}
		if _, err := vm.u64(elements + 8*(n-1)); err == nil {
			tables = append(tables, zmap{heap + i + mapAt, n})
		}
	}
	return tables, nil
}

// forwarded returns the offset that an object has moved to, by the one it had; it is not ok if it has not moved (yet). All is
// read past the cache, since it changes while objects are moved.
func (vm *VM) forwarded(offset uint64) (to uint64, ok bool, err error) {
	z := vm.heap.z
	for _, table := range z.tables {
		index := offset >> z.layout.granule
		if index >= table.elements {
			continue
		}
		elements, err := vm.raw.u64(table.variable)
		if err != nil {
			return 0, false, fmt.Errorf("forwarding table: %w", err)
		}
		at, err := vm.raw.u64(elements + index*8)
		if err != nil || at == 0 || at%8 != 0 {
			continue // not a page of this table
		}
		if to, ok, err = vm.forwardedTo(at, offset); ok || err != nil {
			return to, ok, err
		}
	}
	return 0, false, nil
}

// forwardedTo looks an object up in the forwarding of its page. It is not there as long as it has not moved.
func (vm *VM) forwardedTo(at, offset uint64) (to uint64, ok bool, err error) {
	l := vm.heap.z.layout
	head, err := vm.raw.bytes(at, int(l.entries))
	if err != nil {
		return 0, false, nil // no forwarding
	}
	start, align, n := le64(head[l.start:]), le64(head[l.align:]), le64(head[l.length:])
	if start > offset || start>>l.granule<<l.granule != start || align < 3 || align > 32 || n == 0 || n > maxForwardings || n&(n-1) != 0 {
		return 0, false, nil // no forwarding, or of another page
	}
	from := (offset - start) >> align
	for i, tries := zhash(uint32(from)), uint64(0); tries < min(n, maxProbes); i, tries = i+1, tries+1 {
		entry, err := vm.raw.u64(at + l.entries + 8*(uint64(i)&(n-1)))
		if err != nil {
			return 0, false, fmt.Errorf("forwarding: %w", err)
		}
		// From the lowest bit: 1 whether it is used, 45 the offset it moved to, 18 where on the page it was.
		if entry&1 == 0 {
			return 0, false, nil
		}
		if entry>>46 == from {
			return entry >> 1 & (1<<45 - 1), true, nil
		}
	}
	return 0, false, errors.New("forwarding: it has no free entry")
}

// zhash spreads the places of objects over a forwarding's entries: Wang's hash of 32 bits.
func zhash(n uint32) uint32 {
	n = ^n + n<<15
	n ^= n >> 12
	n += n << 2
	n ^= n >> 4
	n *= 2057
	n ^= n >> 16
	return n
}
