package hotspot

import (
	"errors"
	"fmt"
)

const (
	maxDictionary = 1 << 20 // buckets
	sharedEntry   = 1       // the lowest bit of a reference to the next entry
)

// dictionary is what JDK 8 lists its classes in, for it does not export the loaders' own lists.
type dictionary struct {
	variable, size, buckets, entry, next, class uint64
	stamps                                      []uint64 // offsets of what changes with each entry
}

func (vm *VM) findDictionary() (dictionary, error) {
	const table = "BasicHashtable<mtInternal>"
	f := vm.find()
	d := dictionary{
		variable: f.static("SystemDictionary", "_dictionary"),
		size:     f.offset(table, "_table_size"), buckets: f.offset(table, "_buckets"),
		entry: f.offset("HashtableBucket<mtInternal>", "_entry"), next: f.offset("BasicHashtableEntry<mtInternal>", "_next"),
		class:  f.offset("IntptrHashtableEntry", "_literal"),
		stamps: []uint64{f.offset(table, "_first_free_entry"), f.offset(table, "_free_list")},
	}
	return d, f.err()
}

// lookThroughDictionary is lookThroughClasses for JDK 8. There is no order in the dictionary, so it goes through all of it
// whenever it has changed.
func (vm *VM) lookThroughDictionary(l *graphLayout) error {
	d, err := vm.findDictionary()
	if err != nil {
		return err
	}
	table, err := vm.u64(d.variable)
	if err != nil || table == 0 {
		return errors.Join(ErrNotReady, err)
	}
	var stamp [2]uint64
	for i, at := range d.stamps {
		if stamp[i], err = vm.u64(table + at); err != nil {
			return fmt.Errorf("dictionary of classes: %w", err)
		}
	}
	g := &vm.graph
	if stamp == g.stamp {
		return nil
	}
	n, err := vm.u32(table + d.size)
	if err != nil {
		return fmt.Errorf("dictionary of classes: %w", err)
	}
	buckets, err := vm.u64(table + d.buckets)
	if err != nil || n > maxDictionary {
		return errors.Join(fmt.Errorf("dictionary of classes: %d buckets", n), err)
	}
	clear(g.wanted) // some may have been unloaded
	begin, left := vm.cache.now(), maxClasses
	for i := range uint64(n) {
		entry, err := vm.u64(buckets + i*word + d.entry)
		if err != nil {
			return fmt.Errorf("dictionary of classes: %w", err)
		}
		for entry &^= sharedEntry; entry != 0; left-- {
			if left == 0 || left%256 == 0 && vm.cache.now()-begin > maxGraph {
				return errTooManyClasses
			}
			class, err := vm.u64(entry + d.class)
			if err != nil {
				break // it was removed
			}
			_, _ = vm.lookAt(l, 0, class) // nor may its class be there
			if entry, err = vm.u64(entry + d.next); err != nil {
				break
			}
			entry &^= sharedEntry
		}
	}
	g.stamp = stamp
	return nil
}
