package hotspot

import (
	"errors"
	"fmt"
)

const (
	maxHeaps   = 16
	maxHeap    = 4 << 30 // bytes of a code heap
	maxHops    = 1 << 15 // back through a segment map: two for each 254 segments of a block, 240 MiB in one block
	segmapFree = 0xff
	blockUsed  = 1
)

// codeHeap is a part of the code cache. It is reserved once; what is committed of it grows.
type codeHeap struct {
	low, high uint64 // of the reserved range
	segmap    uint64 // its segment map, reserved up to segmapEnd
	segmapEnd uint64
	shift     uint8 // log2 of a segment's size
}

// codeCache says which blob an address of generated code belongs to.
type codeCache struct {
	heaps       []codeHeap
	headerSize  uint64 // of a block, before its blob
	length      uint64 // offset in it: of its size in segments
	lengthWidth int
	used        uint64
}

// readCodeCache reads where the code heaps are. They are there, and never move, once the VM has initialized.
func (vm *VM) readCodeCache() (*codeCache, error) {
	f := vm.find()
	c := &codeCache{
		headerSize: f.size("HeapBlock"),
		length:     f.offset("HeapBlock::Header", "_length"),
		used:       f.offset("HeapBlock::Header", "_used"),
	}
	memory, segmap, shift := f.offset("CodeHeap", "_memory"), f.offset("CodeHeap", "_segmap"), f.offset("CodeHeap", "_log2_segment_size")
	low, high := f.offset("VirtualSpace", "_low_boundary"), f.offset("VirtualSpace", "_high_boundary")
	var ok bool
	c.lengthWidth, ok = vm.table.width("HeapBlock::Header", "_length")
	f.note(ok, "HeapBlock::Header", "_length's width")
	list, count, err := vm.heapList(f)
	if err != nil {
		return nil, err
	}
	for i := range count {
		heap, err := vm.u64(list + 8*i)
		if err != nil {
			return nil, fmt.Errorf("code heap %d: %w", i, err)
		}
		if heap == 0 {
			return nil, fmt.Errorf("%w: its code heaps are not made yet", ErrNotReady)
		}
		var p [5]uint64
		for j, at := range []uint64{heap + memory + low, heap + memory + high, heap + segmap + low, heap + shift, heap + segmap + high} {
			if p[j], err = vm.u64(at); err != nil {
				return nil, fmt.Errorf("code heap %d: %w", i, err)
			}
		}
		h := codeHeap{low: p[0], high: p[1], segmap: p[2], shift: uint8(p[3]), segmapEnd: p[4]}
		if h.low == 0 || h.segmap == 0 {
			return nil, fmt.Errorf("%w: its code heaps are empty", ErrNotReady)
		}
		if h.high <= h.low || h.high-h.low > maxHeap || h.shift < 4 || h.shift > 16 {
			return nil, fmt.Errorf("code heap %d: [%#x, %#x) in segments of 2^%d bytes", i, h.low, h.high, h.shift)
		}
		c.heaps = append(c.heaps, h)
	}
	return c, vm.allHeaps(c)
}

// allHeaps makes sure that all heaps are in the list: they are added one by one, after the range for all of them was
// reserved. (JDK 8 has one.)
func (vm *VM) allHeaps(c *codeCache) error {
	lowAt, ok := vm.table.static("CodeCache", "_low_bound")
	highAt, ok2 := vm.table.static("CodeCache", "_high_bound")
	if !ok || !ok2 {
		return nil
	}
	low, err := vm.u64(lowAt)
	if err != nil {
		return fmt.Errorf("code heaps: %w", err)
	}
	high, err := vm.u64(highAt)
	if err != nil {
		return fmt.Errorf("code heaps: %w", err)
	}
	var size uint64
	for _, h := range c.heaps {
		size += h.high - h.low
	}
	if size < high-low {
		return fmt.Errorf("%w: %d bytes of code heaps of %d", ErrNotReady, size, high-low)
	}
	return nil
}

// heapList returns the array of pointers to code heaps: one heap in JDK 8, a growable array after.
func (vm *VM) heapList(f *finder) (list, count uint64, err error) {
	if at, ok := vm.table.static("CodeCache", "_heap"); ok {
		return at, 1, f.err()
	}
	array, data := f.static("CodeCache", "_heaps"), f.offset("GrowableArray<int>", "_data")
	length, ok := vm.table.offset("GrowableArrayBase", "_len") // since 16
	if !ok {
		length = f.offset("GenericGrowableArray", "_len")
	}
	if err := f.err(); err != nil {
		return 0, 0, err
	}
	heaps, err := vm.u64(array)
	if err != nil {
		return 0, 0, fmt.Errorf("code heaps: %w", err)
	}
	if heaps == 0 {
		return 0, 0, fmt.Errorf("%w: it has no code heaps yet", ErrNotReady)
	}
	n, err := vm.u32(heaps + length)
	if err != nil {
		return 0, 0, fmt.Errorf("code heaps: %w", err)
	}
	if n == 0 {
		return 0, 0, fmt.Errorf("%w: it has no code heaps yet", ErrNotReady)
	}
	if n > maxHeaps {
		return 0, 0, fmt.Errorf("code heaps: %d of them", n)
	}
	list, err = vm.u64(heaps + data)
	return list, uint64(n), err
}

// Contains says whether pc lies in the code cache.
func (vm *VM) Contains(pc uint64) bool {
	_, ok := vm.code.heap(pc)
	return ok
}

func (c *codeCache) heap(pc uint64) (codeHeap, bool) {
	for _, h := range c.heaps {
		if pc >= h.low && pc < h.high {
			return h, true
		}
	}
	return codeHeap{}, false
}

// block finds the block that pc lies in: the address of its blob and the end of the block. The segment map has a byte for
// each segment: 0 where a block begins, else how far to go back for a smaller one, 0xff in free ones.
func (c *codeCache) block(mem reader, pc uint64) (blob, end uint64, err error) {
	h, ok := c.heap(pc)
	if !ok {
		return 0, 0, fmt.Errorf("%#x is not in the code cache", pc)
	}
	segment := (pc - h.low) >> h.shift
	for range maxHops {
		back, err := mem.u8(h.segmap + segment)
		if err != nil {
			return 0, 0, fmt.Errorf("segment map: %w", err)
		}
		if back == segmapFree {
			return 0, 0, fmt.Errorf("%w: %#x is in a free block", ErrGone, pc)
		}
		if back == 0 {
			return c.header(mem, h, h.low+segment<<h.shift, pc)
		}
		if uint64(back) > segment {
			return 0, 0, errors.New("segment map: back beyond the heap's begin")
		}
		segment -= uint64(back)
	}
	return 0, 0, errors.New("segment map: a block without begin")
}

func (c *codeCache) header(mem reader, h codeHeap, block, pc uint64) (blob, end uint64, err error) {
	used, err := mem.u8(block + c.used)
	if err != nil {
		return 0, 0, fmt.Errorf("code block at %#x: %w", block, err)
	}
	if used != blockUsed {
		return 0, 0, fmt.Errorf("%w: %#x is in a free block", ErrGone, pc)
	}
	length, err := mem.u64(block + c.length)
	if err != nil {
		return 0, 0, fmt.Errorf("code block at %#x: %w", block, err)
	}
	if c.lengthWidth == 4 {
		length = uint64(uint32(length))
	}
	if length == 0 || length > (h.high-block)>>h.shift {
		return 0, 0, fmt.Errorf("code block at %#x: %d segments", block, length)
	}
	end = block + length<<h.shift
	blob = block + c.headerSize
	if pc < blob || pc >= end {
		return 0, 0, fmt.Errorf("code block at %#x does not hold %#x", block, pc)
	}
	return blob, end, nil
}
