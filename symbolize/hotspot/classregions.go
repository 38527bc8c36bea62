package hotspot

import (
	"errors"
	"fmt"
	"strconv"
)

const (
	classAlign   = 16 << 20 // of class space behind the archive, since JDK 16
	maxClassSize = 4 << 30
)

// classRegions are class space, the archive of shared classes before it, and metaspace.
//
// No table of the VM tells where metaspace is. Since JDK 16 it is reserved by root chunks of 4 MiB (later 16 MiB) and multiples,
// aligned to their size: so around each class's constants and methods there are 4 MiB that can be nothing else. The list of
// reserved nodes itself is used where libjvm.so's own symbols lead to it.
func (vm *VM) classRegions() ([]Region, error) {
	looked := vm.lookThroughClasses()
	g := &vm.graph
	low, high := vm.sharedArchive()
	var regions []Region
	if low != 0 {
		regions = append(regions, Region{Start: low, End: high, Purpose: ClassSpace})
	}
	var errs []error
	if looked != nil {
		errs = append(errs, looked)
	}
	if space, err := vm.classSpace(low, high); err != nil {
		errs = append(errs, err)
	} else if space.Start != 0 {
		if low != 0 && space.Start-high < classAlign {
			space.Start = low
		}
		regions = append(regions, space)
	}
	if nodes, ok := vm.metaspaceNodes(&nonclass); ok {
		for _, n := range nodes.list {
			regions = append(regions, Region{Start: n.base, End: n.base + n.size, Purpose: Metaspace})
		}
		return regions, errors.Join(errs...)
	}
	if vm.version.Major < sinceChunks {
		return regions, errors.Join(append(errs, fmt.Errorf("where metaspace is cannot be told of JDK %d", vm.version.Major))...)
	}
	for at := range g.chunks {
		regions = append(regions, Region{Start: at, End: at + rootChunk, Purpose: Metaspace})
	}
	return regions, errors.Join(errs...)
}

// classSpace returns the range of class space, by the list of its nodes, or else by its size and the lowest class in it:
// behind the archive it begins at the next multiple of 16 MiB. With full class pointers there is none.
func (vm *VM) classSpace(sharedLow, sharedHigh uint64) (Region, error) {
	if nodes, ok := vm.metaspaceNodes(&class); ok && len(nodes.list) == 1 {
		n := nodes.list[0]
		return Region{Start: n.base, End: n.base + n.size, Purpose: ClassSpace}, nil
	}
	h, err := vm.objects()
	if err != nil || !h.klassNarrow {
		return Region{}, err
	}
	text, _ := vm.Flag("CompressedClassSpaceSize")
	size, err := strconv.ParseUint(text, 10, 64)
	g := &vm.graph
	if err != nil || size == 0 || size > maxClassSize || g.low == 0 || g.high-g.low >= size {
		return Region{}, fmt.Errorf("class space: %s bytes with classes at %#x to %#x", text, g.low, g.high)
	}
	start := g.low &^ (rootChunk - 1)
	if next := (sharedHigh + classAlign - 1) &^ (classAlign - 1); sharedLow != 0 && next <= g.low && g.high < next+size {
		start = next
	}
	return Region{Start: start, End: max(start+size, g.high+1), Purpose: ClassSpace}, nil
}
