package hotspot

import (
	"errors"
	"fmt"
)

// epoch is what changes when a collector moves objects: while it stays the same (and no collection is under way) an address
// leads to the same object.
type epoch struct {
	collections uint32
	active      bool
	colors      uint64 // of ZGC, which begins to mark and to move without stopping the program for long
}

// epochLayout is where the parts of an epoch lie.
type epochLayout struct{ collections, active, colors uint64 }

func (vm *VM) findEpoch(f *finder) (epochLayout, error) {
	collected := f.static("Universe", "_collectedHeap")
	collectionsAt := f.offset("CollectedHeap", "_total_collections")
	activeAt := f.offset("CollectedHeap", "_is_gc_active", "_is_stw_gc_active") // the latter since 23
	if err := f.err(); err != nil {
		return epochLayout{}, err
	}
	at, err := vm.raw.u64(collected)
	if err != nil {
		return epochLayout{}, fmt.Errorf("heap: %w", err)
	}
	if at == 0 {
		return epochLayout{}, fmt.Errorf("%w: it has no heap yet", ErrNotReady)
	}
	return epochLayout{collections: at + collectionsAt, active: at + activeAt}, nil
}

func (vm *VM) epoch() (epoch, error) {
	l := vm.heap.epoch
	var e epoch
	var errs [3]error
	e.collections, errs[0] = vm.raw.u32(l.collections)
	active, err := vm.raw.u8(l.active)
	e.active, errs[1] = active != 0, err
	if l.colors != 0 {
		e.colors, errs[2] = vm.raw.u64(l.colors)
	}
	return e, errors.Join(errs[:]...)
}

// followed is a reference that was followed while a collector may move objects as the program runs.
type followed struct {
	at, value uint64
	narrow    bool
	unmoved   bool // it was to be moved (ZGC), but had not been
	offset    uint64
	tables    [2]zmap
}

const maxFollowed = 1 << 12

// steadily runs read, whose references to objects then were valid all the time; again if they were not. It reports whether it
// succeeded: what was read otherwise is worth nothing.
//
// Collectors that stop the program are counted. The others take an object's place away only once no reference leads to it
// any more: when those that were followed still have their value, what they led to was there.
func (vm *VM) steadily(read func()) bool {
	for range 4 {
		vm.cache.Drop()
		vm.heap.followed = vm.heap.followed[:0]
		before, err := vm.epoch()
		if err != nil || before.active {
			read() // for what need not be steady
			return false
		}
		read()
		after, err := vm.epoch()
		if err != nil {
			return false
		}
		if before == after && !after.active && vm.stillThere() {
			return true
		}
	}
	return false
}

// collecting reports whether a collection stops the program now.
func (vm *VM) collecting() bool {
	e, err := vm.epoch()
	return err == nil && e.active
}

// follow notes a reference for steadily.
func (h *heap) follow(r followed) {
	if h.concurrent && len(h.followed) <= maxFollowed {
		h.followed = append(h.followed, r)
	}
}

// stillThere reports whether all references that were followed are as they were. They are read anew, but by the page.
func (vm *VM) stillThere() bool {
	if len(vm.heap.followed) == 0 {
		return true
	}
	vm.cache.Drop()
	if len(vm.heap.followed) > maxFollowed {
		return false
	}
	for _, r := range vm.heap.followed {
		var value uint64
		var err error
		if r.narrow {
			var n uint32
			n, err = vm.u32(r.at)
			value = uint64(n)
		} else {
			value, err = vm.u64(r.at)
		}
		if err != nil || value != r.value {
			return false
		}
		if r.unmoved {
			if _, moved, err := vm.forwarded(r.offset, r.tables); err != nil || moved {
				return false
			}
		}
	}
	return true
}
