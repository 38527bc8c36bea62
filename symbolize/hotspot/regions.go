package hotspot

import (
	"cmp"
	"slices"
)

// What a Region is for.
const (
	JavaHeap    = "java-heap"
	ClassSpace  = "class-space"
	Metaspace   = "metaspace"
	CodeCache   = "code-cache"
	GC          = "gc" // a collector's own tables
	ThreadStack = "thread-stack"
)

// Region is addresses that the VM has reserved for one purpose.
type Region struct {
	Start, End uint64
	Purpose    string
	TID        int // of a thread's stack, as the VM sees it: in its own PID namespace
}

// Regions returns what the VM itself has reserved, in order and disjoint: the Java heap, class space with the archive of
// shared classes, metaspace, code cache, those of the collector's tables that can be found, and the stacks of Java threads
// (compilers' too). What is in no region is not known to be none: the stacks and small tables of the collector's own threads,
// metaspace before JDK 16, and what the VM takes from malloc.
//
// With an error it still returns what it could find; the error says what is missing.
func (vm *VM) Regions() ([]Region, error) {
	var all []Region
	var errs problems
	for _, part := range []struct {
		name string
		list func() ([]Region, error)
	}{
		{"java heap", vm.heapRegions}, {"code cache", vm.codeRegions}, {"classes", vm.classRegions},
		{"collector's tables", vm.gcRegions}, {"thread stacks", vm.stackRegions},
	} {
		regions, err := part.list()
		errs.add(part.name, err)
		for _, r := range regions {
			if r.Start < r.End && r.End <= maxAddress {
				all = append(all, r)
			}
		}
	}
	return disjoint(all), errs.err()
}

// maxAddress is the end of what a process can map.
const maxAddress = 1 << 56

// disjoint sorts regions, and cuts from each what an earlier one has: of two that begin at one address the shorter is kept
// whole. Neighbours of one purpose become one, unless they are stacks.
func disjoint(all []Region) []Region {
	slices.SortFunc(all, func(a, b Region) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End)) })
	var out []Region
	for _, r := range all {
		if len(out) > 0 {
			last := &out[len(out)-1]
			r.Start = max(r.Start, last.End)
			if r.Start >= r.End {
				continue
			}
			if r.Start == last.End && r.Purpose == last.Purpose && r.Purpose != ThreadStack {
				last.End = r.End
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

// codeRegions are the code heaps and the maps of their segments.
func (vm *VM) codeRegions() ([]Region, error) {
	var regions []Region
	for _, h := range vm.code.heaps {
		regions = append(regions, Region{Start: h.low, End: h.high, Purpose: CodeCache})
		if h.segmap < h.segmapEnd && h.segmapEnd-h.segmap <= maxHeap {
			regions = append(regions, Region{Start: h.segmap, End: h.segmapEnd, Purpose: CodeCache})
		}
	}
	return regions, nil
}

// stackList is the threads' stacks as they were read last.
type stackList struct {
	regions []Region
	stamp   [2]uint64 // of the list of threads
	uses    int
}

// stackUses is how often stacks are returned without looking at the threads again: a list of threads may be replaced by one with
// as many at the same place.
const stackUses = 8

// stackRegions are the stacks of the Java threads, as these found them when they began.
func (vm *VM) stackRegions() ([]Region, error) {
	f := vm.find()
	baseAt, sizeAt := f.offset("JavaThread", "_stack_base"), f.offset("JavaThread", "_stack_size")
	if err := f.err(); err != nil {
		return nil, err
	}
	l, err := vm.threadLayout()
	if err != nil {
		return nil, err
	}
	stamp, err := vm.listStamp(l)
	if err != nil {
		return nil, err
	}
	if vm.stacks.uses++; stamp == vm.stacks.stamp && vm.stacks.uses < stackUses {
		return vm.stacks.regions, nil
	}
	vm.cache.Drop()
	addrs, err := vm.javaThreads(l)
	if err != nil {
		return nil, err
	}
	var regions []Region
	for _, addr := range addrs {
		tid := vm.tidOf(vm.reader, l, addr)
		base, err := vm.u64(addr + baseAt)
		size, err2 := vm.u64(addr + sizeAt)
		// One that is just beginning has none yet.
		if tid == 0 || err != nil || err2 != nil || size == 0 || size > maxStack || base < size || (base|size)%pageSize != 0 {
			continue
		}
		regions = append(regions, Region{Start: base - size, End: base, Purpose: ThreadStack, TID: tid})
	}
	vm.stacks = stackList{regions: regions, stamp: stamp}
	return regions, nil
}

const maxStack = 8 << 30
