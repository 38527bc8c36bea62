package hotspot

import (
	"errors"
	"fmt"
	"slices"
)

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
	maxMaps        = 32
	maxGranules    = 1 << 24
)

func (vm *VM) findForwarding(letter string) (zForwarding, error) {
	f := vm.find()
	l := zForwarding{
		start:   f.offset(letter+"Forwarding", "_virtual") + f.offset(letter+"VirtualMemory", "_start"),
		align:   f.offset(letter+"Forwarding", "_object_alignment_shift"),
		length:  f.offset(letter+"Forwarding", "_entries") + f.offset(letter+"AttachedArrayForForwarding", "_length"),
		entries: (f.size(letter+"Forwarding") + 7) &^ 7,
		granule: uint64(f.constant(letter + "GranuleSizeShift")),
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
// has its own, which are not: a map is a number of elements and their mapping, and in ZHeap they are the two that have as many
// as the exported map of the pages, or one of the page allocator's; the old generation is the first. (What is taken from
// them is checked.) If it is not two that are found, references that are too old lead nowhere.
func (vm *VM) forwardingTables(letter string) (old, young zmap, err error) {
	f := vm.find()
	heapAt, size := f.offset(letter+"CollectedHeap", "_heap"), f.size(letter+"Heap")
	mapAt := f.offset(letter+"GranuleMapForForwarding", "_map")
	pages := f.offset(letter+"Heap", "_page_table") + f.offset(letter+"PageTable", "_map")
	allocator, allocatorSize := f.offset(letter+"Heap", "_page_allocator"), f.size(letter+"PageAllocator")
	collected := f.static("Universe", "_collectedHeap")
	if err := f.err(); err != nil {
		return old, young, err
	}
	heap, err := vm.u64(collected)
	if err != nil {
		return old, young, fmt.Errorf("heap of ZGC: %w", err)
	}
	if heap == 0 {
		return old, young, fmt.Errorf("%w: it has no heap yet", ErrNotReady)
	}
	heap += heapAt
	if table, ok := vm.table.offset(letter+"Heap", "_forwarding_table"); ok {
		inner, _ := vm.table.offset(letter+"ForwardingTable", "_map")
		only := zmap{heap + table + inner + mapAt, maxGranules}
		return only, only, nil
	}
	body, err := vm.bytes(heap, int(min(size, maxZHeap)))
	if err != nil {
		return old, young, fmt.Errorf("heap of ZGC: %w", err)
	}
	sizes := map[uint64]bool{}
	var maps []zmap
	for i := uint64(0); i+mapAt+8 <= uint64(len(body)) && len(maps) < maxMaps; i += 8 {
		n, elements := le64(body[i:]), le64(body[i+mapAt:])
		if n == 0 || n > maxGranules || elements>>32 == 0 || elements%pageSize != 0 {
			continue
		}
		if i == pages || i >= allocator && i < allocator+allocatorSize {
			sizes[n] = true
		} else if _, err := vm.u64(elements + 8*(n-1)); err == nil {
			maps = append(maps, zmap{heap + i + mapAt, n})
		}
	}
	maps = slices.DeleteFunc(maps, func(m zmap) bool { return !sizes[m.elements] })
	if len(maps) == 2 {
		old, young = maps[0], maps[1]
	}
	return old, young, nil
}

// forwarded returns the offset that an object has moved to, by the one it had; it is not ok if it has not moved, or had not
// when this was read: steadily looks again.
func (vm *VM) forwarded(offset uint64, tables [2]zmap) (to uint64, ok bool, err error) {
	index := offset >> vm.heap.z.layout.granule
	if tables[0].variable == 0 {
		return 0, false, fmt.Errorf("a reference that is too old: %w", errNoObject)
	}
	for _, table := range tables {
		if table.variable == 0 || index >= table.elements {
			continue
		}
		elements, err := vm.u64(table.variable)
		if err != nil {
			return 0, false, fmt.Errorf("forwarding table: %w", err)
		}
		at, err := vm.u64(elements + index*8)
		if err != nil {
			return 0, false, fmt.Errorf("forwarding table: %w", err)
		}
		if at != 0 {
			return vm.forwardedTo(at, offset)
		}
	}
	return 0, false, nil // its page was none of those whose objects are moved
}

// forwardedTo looks an object up in the forwarding of its page. It is not there as long as it has not moved.
func (vm *VM) forwardedTo(at, offset uint64) (to uint64, ok bool, err error) {
	l := vm.heap.z.layout
	head, err := vm.bytes(at, int(l.entries))
	if err != nil {
		return 0, false, fmt.Errorf("forwarding: %w", err)
	}
	start, align, n := le64(head[l.start:]), le64(head[l.align:]), le64(head[l.length:])
	if start > offset || start>>l.granule<<l.granule != start || align < 3 || align > 32 || n == 0 || n > maxForwardings || n&(n-1) != 0 {
		return 0, false, fmt.Errorf("forwarding at %#x: it is of another page, or none", at)
	}
	from := (offset - start) >> align
	for i, tries := zhash(uint32(from)), uint64(0); tries < min(n, maxProbes); i, tries = i+1, tries+1 {
		entry, err := vm.u64(at + l.entries + 8*(uint64(i)&(n-1)))
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
