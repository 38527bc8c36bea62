package hotspot

import (
	"fmt"
	"math/bits"
	"runtime"
)

// zgc is how ZGC colors references. A color is good, or tells that the reference was stored before the last collection began
// to move objects, so that the object may have moved: then the forwarding table of the page it was on tells where to.
//
// Until JDK 20, and without generations until 23, the color is above the address, and every good or bad view of the heap is
// mapped. With generations it is below the address: four bits of which one is set say what the reference is good for, and on
// amd64 the address begins right above that bit.
type zgc struct {
	generational bool
	good, bad    uint64 // addresses of the masks
	load         uint64 // generational: address of the shift
	offsetMask   uint64 // the address of what has the part of a reference that is an offset in the heap
	tables       []uint64
	layout       zForwarding
}

// readZ finds where ZGC keeps the colors of now and the forwarding tables.
func (vm *VM) readZ() (*zgc, error) {
	f := vm.find()
	const globals = "ZGlobalsForVMStructs"
	instance := f.static(globals, "_instance_p")
	goodAt := f.offset(globals, "_ZPointerLoadGoodMask", "_ZAddressGoodMask")
	badAt := f.offset(globals, "_ZPointerLoadBadMask", "_ZAddressBadMask")
	maskAt := f.offset(globals, "_ZAddressOffsetMask")
	if err := f.err(); err != nil {
		return nil, err
	}
	at, err := vm.u64(instance)
	if err != nil {
		return nil, fmt.Errorf("masks of ZGC: %w", err)
	}
	z := &zgc{}
	places := map[uint64]*uint64{goodAt: &z.good, badAt: &z.bad, maskAt: &z.offsetMask}
	if shiftAt, ok := vm.table.offset(globals, "_ZPointerLoadShift"); ok {
		z.generational = true
		places[shiftAt] = &z.load
	}
	for offset, to := range places {
		if *to, err = vm.u64(at + offset); err != nil {
			return nil, fmt.Errorf("masks of ZGC: %w", err)
		}
	}
	if z.layout, err = vm.findForwarding(); err != nil {
		return nil, err
	}
	z.tables, err = vm.forwardingTables(z.layout)
	return z, err
}

// uncolor returns the address that a reference leads to, of the object where it is now.
func (vm *VM) uncolor(ref uint64) (uint64, error) {
	z := vm.heap.z
	var good, bad, mask uint64
	for at, to := range map[uint64]*uint64{z.good: &good, z.bad: &bad, z.offsetMask: &mask} {
		var err error
		if *to, err = vm.u64(at); err != nil {
			return 0, fmt.Errorf("masks of ZGC: %w", err)
		}
	}
	if !z.generational {
		if ref&bad == 0 {
			return ref, nil
		}
		return vm.remap(ref&mask, mask, good)
	}
	shift, err := vm.u64(z.load)
	if err != nil || shift > 32 {
		return 0, fmt.Errorf("a reference's address at bit %d: %w", shift, errNoObject)
	}
	if runtime.GOARCH == "amd64" {
		color := ref & (good | bad)
		if bits.OnesCount64(color) != 1 || bits.OnesCount64(good) != 1 {
			return 0, fmt.Errorf("reference %#x is of no color: %w", ref, errNoObject)
		}
		shift += uint64(bits.Len64(color) - bits.Len64(good))
	}
	if addr := ref >> (shift & 63); ref&bad == 0 || addr == 0 {
		return addr, nil
	}
	addr := ref >> (shift & 63)
	return vm.remap(addr&mask, mask, addr&^mask)
}

// zForwarding is where a forwarding keeps its parts: of one page, a hash table from the object's place on the page to its
// offset in the heap.
type zForwarding struct {
	start, align, length uint64 // of the page, log2 of an object's alignment, number of entries
	entries              uint64 // behind the structure
	granule              uint64 // log2 of what one element of the forwarding table stands for
}

const (
	maxForwardings = 1 << 20 // entries of one
	maxZHeap       = 1 << 16
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
	return l, f.err()
}

// forwardingTables returns the addresses of the variables that hold the forwarding tables. Without generations there is one,
// which is exported; with generations each has its own, which are not: they are the other maps in ZHeap that have as
// many elements as the exported map of the pages. What is taken from them is checked, so a map too many does no harm.
func (vm *VM) forwardingTables(zForwarding) ([]uint64, error) {
	f := vm.find()
	heapAt, pages := f.offset("ZCollectedHeap", "_heap"), f.offset("ZHeap", "_page_table")+f.offset("ZPageTable", "_map")
	mapAt := f.offset("ZGranuleMapForForwarding", "_map")
	size := f.size("ZHeap")
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
		return []uint64{heap + table + inner + mapAt}, nil
	}
	body, err := vm.bytes(heap, int(min(size, maxZHeap)))
	if err != nil {
		return nil, fmt.Errorf("heap of ZGC: %w", err)
	}
	if pages+16 > uint64(len(body)) {
		return nil, fmt.Errorf("heap of ZGC: pages at %d of %d bytes", pages, len(body))
	}
	var tables []uint64
	for i := uint64(0); i+mapAt+8 <= uint64(len(body)); i += 8 { // a map is its size and its elements
		if i != pages && le64(body[i:]) == le64(body[pages:]) {
			tables = append(tables, heap+i+mapAt)
		}
	}
	return tables, nil
}

// remap returns where the object is now that was at this offset, and may have moved. rest is the other part of its address.
func (vm *VM) remap(offset, mask, rest uint64) (uint64, error) {
	z := vm.heap.z
	for _, table := range z.tables {
		elements, err := vm.u64(table)
		if err != nil {
			return 0, fmt.Errorf("forwarding table: %w", err)
		}
		at, err := vm.u64(elements + offset>>z.layout.granule*8)
		if err != nil || at == 0 || at%8 != 0 {
			continue // no page of this table; one that is no forwarding table may be shorter
		}
		to, ok, err := vm.forwardedTo(at, offset)
		if err != nil {
			return 0, err
		}
		if ok {
			return to&mask | rest, nil
		}
	}
	return offset | rest, nil
}

// forwardedTo looks an object up in the forwarding of its page. It is not there as long as it has not moved.
func (vm *VM) forwardedTo(at, offset uint64) (to uint64, ok bool, err error) {
	l := vm.heap.z.layout
	start, err := vm.u64(at + l.start)
	if err != nil || start > offset || start>>l.granule<<l.granule != start {
		return 0, false, nil // no forwarding, or of another page
	}
	align, err := vm.u64(at + l.align)
	if err != nil || align < 3 || align > 32 {
		return 0, false, nil
	}
	n, err := vm.u64(at + l.length)
	if err != nil || n == 0 || n > maxForwardings || n&(n-1) != 0 {
		return 0, false, nil
	}
	from := (offset - start) >> align
	for i, tries := zhash(uint32(from)), uint64(0); tries < n; i, tries = i+1, tries+1 {
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
	return 0, false, nil
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
