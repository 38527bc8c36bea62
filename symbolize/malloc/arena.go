package malloc

import "fmt"

// The layout of an arena, in bytes. Everything has its place relative to the first bin.
const (
	binCount   = 127
	fastCount  = 10
	fastBytes  = 8 * fastCount
	binsBytes  = 16 * binCount
	topBefore  = 16                  // the field top, before the first bin
	nextAfter  = binsBytes + 16      // after the bins and their map
	systemAt   = binsBytes + 16 + 24 // bytes from the system
	stateBytes = binsBytes + 16 + 40
)

// headBytes is where the first bin may lie in an arena: since 2.43 there are no fast lists, until 2.26 one word less before them.
var headBytes = [...]uint64{112, 104, 24}

// Bounds of what is believed.
const (
	maxArenas = 4096
	maxHeaps  = 1 << 15 // of all arenas: 2 TiB
	heapBytes = 64 << 20
	minBlock  = 32
	maxInfo   = 128 // bytes of a heap's description, before the arena
)

// arena is one arena as it was read.
type arena struct {
	addr   uint64 // of its state
	bins   uint64 // of the first bin
	main   bool
	fast   bool // it has fast lists
	state  []byte
	top    block
	system uint64
	heaps  []heap // newest first; of the main arena none
	bases  map[uint64]bool
	rows   []row // for the main arena
	brk    Range // of the main arena: what lies in brk's area
	lists  []*list
}

// heap is one heap of an arena that is not the main one.
type heap struct {
	Range
	writable uint64
}

// block is a free block of memory, in bytes, its header included.
type block struct{ addr, size uint64 }

func (b block) end() uint64 { return b.addr + b.size }

// word is a field of the state, by its distance from the first bin.
func (a *arena) word(fromBins int) uint64 { return le64(a.state[a.bins-a.addr+uint64(fromBins):]) }

// circle reads the arenas whose main one has its first bin at bins. It is nil if there are none.
func circle(v *view, rows []row, bins uint64) ([]*arena, error) {
	for _, head := range headBytes {
		arenas, err := circleFrom(v, rows, bins-head, head)
		if err != nil || arenas != nil {
			return arenas, err
		}
	}
	return nil, nil
}

func circleFrom(v *view, rows []row, start, head uint64) ([]*arena, error) {
	var arenas []*arena
	heaps := 0
	for addr := start; ; {
		a, err := readArena(v, rows, addr, head, addr == start)
		if err != nil || a == nil {
			return nil, err
		}
		arenas = append(arenas, a)
		if heaps += len(a.heaps); heaps > maxHeaps {
			return nil, fmt.Errorf("%w: more than %d heaps", ErrUnfit, maxHeaps)
		}
		if addr = a.word(nextAfter); addr == start {
			return arenas, nil
		}
		if len(arenas) == maxArenas {
			return nil, fmt.Errorf("%w: more than %d arenas, or a circle that does not close", ErrUnfit, maxArenas)
		}
	}
}

// tries is how often something is read anew that changed while it was read.
const tries = 8

// readArena reads and checks one arena; nil if there is none at addr.
func readArena(v *view, rows []row, addr, head uint64, main bool) (*arena, error) {
	if addr%8 != 0 || addr == 0 {
		return nil, nil
	}
	for range tries {
		state, ok, err := v.bytesAt(addr, int(head)+stateBytes)
		if err != nil || !ok {
			return nil, err
		}
		a := &arena{addr: addr, bins: addr + head, main: main, fast: head > fastBytes, state: state, rows: rows}
		a.system = a.word(systemAt)
		if fits, err := a.readTop(v); err != nil || fits && a.plausible() {
			return a, err
		}
		clear(v.known) // its top may have moved to a page that was not in memory before
	}
	return nil, nil
}

// readTop reads the block that ends the arena, and whose end its heap's end must be.
func (a *arena) readTop(v *view) (bool, error) {
	top := a.word(-topBefore)
	if a.main {
		for _, r := range a.rows {
			if r.file == "[heap]" {
				a.brk = Range{r.start, r.end}
			}
		}
		if top == a.bins-16 { // malloc has never asked for memory
			return true, nil
		}
	}
	size, ok, err := v.bytesAt(top+8, 8)
	if err != nil || !ok || top%16 != 0 {
		return false, err
	}
	a.top = block{top, le64(size) &^ 7}
	if a.main {
		return a.top.end()%pageSize == 0 && a.owns(a.top), nil
	}
	if ok, err := a.readHeaps(v); err != nil || !ok {
		return false, err
	}
	return a.top.end() == a.heaps[0].End && a.owns(a.top), nil
}

// readHeaps follows an arena's heaps from the newest, which the top lies in, to the one that the arena lies in.
func (a *arena) readHeaps(v *view) (bool, error) {
	a.bases = map[uint64]bool{}
	for base := a.top.addr &^ (heapBytes - 1); len(a.heaps) < maxHeaps; {
		info, ok, err := v.bytesAt(base, 32)
		if err != nil || !ok {
			return false, err
		}
		prev, size, writable := le64(info[8:]), le64(info[16:]), le64(info[24:])
		if le64(info) != a.addr || size == 0 || size > writable || writable > heapBytes || prev%heapBytes != 0 || a.bases[base] {
			return false, nil
		}
		a.heaps = append(a.heaps, heap{Range{base, base + size}, writable})
		a.bases[base] = true
		if base == a.addr&^(heapBytes-1) {
			return prev == 0 && a.addr-base <= maxInfo, nil
		}
		if base = prev; base == 0 {
			return false, nil
		}
	}
	return false, nil
}

// plausible reports whether each bin points at itself or at what can be blocks.
func (a *arena) plausible() bool {
	for i := range binCount {
		next, prev := a.word(16*i), a.word(16*i+8)
		self := a.bins + uint64(16*i) - 16
		if (next == self) != (prev == self) || next != self && (!a.owns(block{next, minBlock}) || !a.owns(block{prev, minBlock})) {
			return false
		}
	}
	return true
}

// owns reports whether a block lies where the arena's blocks can.
func (a *arena) owns(b block) bool {
	if b.addr%16 != 0 || b.size%16 != 0 || b.size < minBlock || b.size > a.system || b.end() < b.addr {
		return false
	}
	if a.main {
		return b.addr >= a.brk.Start && b.end() <= max(a.brk.End, a.top.end()) ||
			anonymous(a.rows, b.addr) && anonymous(a.rows, b.end()-1)
	}
	base := b.addr &^ (heapBytes - 1)
	return a.bases[base] && b.end() <= base+heapBytes
}
