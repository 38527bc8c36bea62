package leak

import "strings"

// purpose is what a stack says that its memory is for.
type purpose uint8

const (
	unsaid purpose = iota // there is no stack, or nothing of it is known
	forMalloc
	forDirect // malloc, called for Java's direct buffers and the like
	forArena  // a heap of malloc
	forStack
	forHeap
	forGC
	forMetaspace
	forCode
	forLibrary // a library mapped it by itself
	forOther
)

// maxJavaFrames is how many Java frames above a malloc may tell whose it is.
const maxJavaFrames = 12

// purposeOf reads a stack from the inside: the first frame that tells counts,
// as everything that allocates may be called by everything else.
func purposeOf(st *Stack) purpose {
	if len(st.Frames) == 0 {
		return unsaid
	}
	java := 0   // Java frames so far
	vm := false // a frame of the virtual machine
	found := unsaid
	for i := range st.Frames {
		f := &st.Frames[i]
		name := function(f)
		if f.Kind == "java" || f.Kind == "inlined" && f.Module == nil {
			if java++; java > maxJavaFrames {
				break
			}
			switch {
			case found == forMalloc && isDirect(name):
				return forDirect
			case found == unsaid && !vm: // it calls mmap itself, by a foreign function
				return forLibrary
			}
			continue
		}
		if java > 0 || found == forMalloc { // native callers of Java, or of malloc, tell nothing more
			if strings.HasPrefix(name, "Unsafe_AllocateMemory") || strings.HasPrefix(name, "Unsafe_ReallocateMemory") {
				return forDirect
			}
			continue
		}
		if p := cLibrary[name]; p != unsaid {
			if found = p; p != forMalloc {
				return p
			}
			continue
		}
		module := base(f.Module)
		switch {
		case isAllocator(module):
			return forArena
		case module == "" || isCLibrary(module) || isCall(name):
		case strings.HasPrefix(module, "libjvm."):
			vm = true
			if p := ofVM(name); p != unsaid {
				return p
			}
		case vm:
		case strings.HasPrefix(name, "runtime."): // Go's own memory
			return forOther
		default:
			return forLibrary
		}
	}
	if found == unsaid {
		return forOther
	}
	return found
}

// cLibrary is what functions of the C library map memory for. Those that a
// program calls are in every symbol table, those inside only where there are debug symbols.
var cLibrary = func() map[string]purpose {
	m := map[string]purpose{}
	for p, names := range map[purpose]string{
		forMalloc: "malloc calloc realloc reallocarray memalign aligned_alloc posix_memalign valloc pvalloc free cfree " +
			"malloc_trim __libc_malloc __libc_calloc __libc_realloc __libc_memalign __libc_free __posix_memalign _int_malloc " +
			"_int_realloc _int_memalign _int_free sysmalloc sysmalloc_mmap sysmalloc_mmap_fallback mmap_chunk mremap_chunk __libc_malloc_impl",
		forArena: "new_heap alloc_new_heap grow_heap shrink_heap heap_trim _int_new_arena arena_get2 arena_get_retry",
		forStack: "pthread_create __pthread_create __pthread_create_2_1 pthread_create@@GLIBC_2.34 allocate_stack " +
			"allocate_thread_stack setup_stack_prot change_stack_perm thrd_create",
	} {
		for _, name := range strings.Fields(names) {
			m[name] = p
		}
	}
	return m
}()

// ofVM is what a function of the HotSpot VM maps memory for.
func ofVM(name string) purpose {
	class, _, ok := strings.Cut(name, "::")
	if !ok {
		return unsaid
	}
	switch class {
	case "metaspace", "Metaspace", "VirtualSpaceNode", "VirtualSpaceList", "ClassLoaderMetaspace":
		return forMetaspace
	case "CodeHeap", "CodeCache":
		return forCode
	case "StackOverflow":
		return forStack
	case "HeapRegionManager", "G1HeapRegionManager", "G1PageBasedVirtualSpace", "G1RegionToSpaceMapper",
		"G1RegionsLargerThanCommitSizeMapper", "G1RegionsSmallerThanCommitSizeMapper", "PSVirtualSpace",
		"PSVirtualSpaceHighToLow", "PSOldGen", "PSYoungGen", "Generation", "CardGeneration", "TenuredGeneration",
		"DefNewGeneration", "ZPhysicalMemoryManager", "ZPhysicalMemoryBacking", "ZPageAllocator",
		"ZVirtualMemoryManager", "ShenandoahHeapRegion", "GenCollectedHeap", "SerialHeap":
		return forHeap
	}
	if strings.HasSuffix(name, "create_stack_guard_pages") {
		return forStack
	}
	for _, prefix := range [...]string{"G1", "PS", "Par", "CMS", "CMBitMap", "MarkBitMap", "CardTable", "BlockOffset", "Shenandoah", "X", "Z"} {
		if rest, ok := strings.CutPrefix(class, prefix); ok && (rest == "" || rest[0] < 'a') {
			return forGC
		}
	}
	return unsaid
}

// isDirect reports whether a Java method allocates memory outside the heap.
func isDirect(name string) bool {
	return strings.Contains(name, "Unsafe.allocateMemory") || strings.Contains(name, "Unsafe.reallocateMemory") ||
		strings.HasPrefix(name, "java.nio.DirectByteBuffer.") || strings.HasPrefix(name, "java.nio.Bits.") ||
		strings.HasPrefix(name, "jdk.internal.foreign.")
}

// isCLibrary reports whether a module belongs to the C library: who calls it maps.
func isCLibrary(module string) bool {
	for _, prefix := range [...]string{"libc.", "libc-", "libpthread", "ld-", "ld.so", "ld64", "[vdso]"} {
		if strings.HasPrefix(module, prefix) {
			return true
		}
	}
	return false
}

// isCall reports whether a function is a system call's own, which may be linked into the program.
func isCall(name string) bool {
	name = strings.TrimSuffix(strings.TrimLeft(name, "_"), "64")
	return name == "mmap" || name == "mprotect" || name == "mremap" || name == "brk" || name == "sbrk" || name == "syscall"
}

// isAllocator reports whether a module replaces malloc.
func isAllocator(module string) bool {
	for _, prefix := range [...]string{"libjemalloc", "libtcmalloc", "libmimalloc"} {
		if strings.HasPrefix(module, prefix) {
			return true
		}
	}
	return false
}

// function is the name of f without parameters, "" if it has none.
func function(f *Frame) string {
	if f.Function == nil {
		return ""
	}
	name, _, _ := strings.Cut(*f.Function, "(")
	return name
}

// base is the last part of a path.
func base(path *string) string {
	if path == nil {
		return ""
	}
	return (*path)[strings.LastIndexByte(*path, '/')+1:]
}
