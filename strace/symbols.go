package strace

import (
	"golang.org/x/sys/unix"
)

// The functions below are the names that strace writes for bits. The numbers
// of x86-64 are those of every architecture with asm-generic/mman.h.

func protBit(s []byte) (uint64, bool) {
	switch string(s) {
	case "PROT_NONE":
		return 0, true
	case "PROT_READ":
		return unix.PROT_READ, true
	case "PROT_WRITE":
		return unix.PROT_WRITE, true
	case "PROT_EXEC":
		return unix.PROT_EXEC, true
	case "PROT_SEM":
		return 0x8, true
	case "PROT_BTI":
		return 0x10, true
	case "PROT_MTE":
		return 0x20, true
	case "PROT_GROWSDOWN":
		return unix.PROT_GROWSDOWN, true
	case "PROT_GROWSUP":
		return unix.PROT_GROWSUP, true
	}
	return 0, false
}

func mapBit(s []byte) (uint64, bool) {
	switch string(s) {
	case "MAP_PRIVATE":
		return unix.MAP_PRIVATE, true
	case "MAP_ANONYMOUS", "MAP_ANON":
		return unix.MAP_ANONYMOUS, true
	case "MAP_SHARED":
		return unix.MAP_SHARED, true
	case "MAP_SHARED_VALIDATE":
		return unix.MAP_SHARED_VALIDATE, true
	case "MAP_DROPPABLE":
		return 0x8, true
	case "MAP_FIXED":
		return unix.MAP_FIXED, true
	case "MAP_FIXED_NOREPLACE":
		return unix.MAP_FIXED_NOREPLACE, true
	case "MAP_NORESERVE":
		return unix.MAP_NORESERVE, true
	case "MAP_STACK":
		return unix.MAP_STACK, true
	case "MAP_POPULATE":
		return unix.MAP_POPULATE, true
	case "MAP_DENYWRITE":
		return unix.MAP_DENYWRITE, true
	case "MAP_EXECUTABLE":
		return unix.MAP_EXECUTABLE, true
	case "MAP_GROWSDOWN":
		return unix.MAP_GROWSDOWN, true
	case "MAP_HUGETLB":
		return unix.MAP_HUGETLB, true
	case "MAP_LOCKED":
		return unix.MAP_LOCKED, true
	case "MAP_NONBLOCK":
		return unix.MAP_NONBLOCK, true
	case "MAP_SYNC":
		return unix.MAP_SYNC, true
	case "MAP_32BIT":
		return 0x40, true
	case "MAP_ABOVE4G":
		return 0x80, true
	case "MAP_UNINITIALIZED":
		return 0x4000000, true
	case "MAP_FILE":
		return 0, true
	case "MAP_HUGE_SHIFT":
		return unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_64KB":
		return 16 << unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_512KB":
		return 19 << unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_1MB":
		return 20 << unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_2MB":
		return 21 << unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_8MB":
		return 23 << unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_16MB":
		return 24 << unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_32MB":
		return 25 << unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_256MB":
		return 28 << unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_512MB":
		return 29 << unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_1GB":
		return 30 << unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_2GB":
		return 31 << unix.MAP_HUGE_SHIFT, true
	case "MAP_HUGE_16GB":
		return 34 << unix.MAP_HUGE_SHIFT, true
	}
	return 0, false
}

func mremapBit(s []byte) (uint64, bool) {
	switch string(s) {
	case "MREMAP_MAYMOVE":
		return unix.MREMAP_MAYMOVE, true
	case "MREMAP_FIXED":
		return unix.MREMAP_FIXED, true
	case "MREMAP_DONTUNMAP":
		return unix.MREMAP_DONTUNMAP, true
	}
	return 0, false
}

func shmBit(s []byte) (uint64, bool) {
	switch string(s) {
	case "SHM_RDONLY":
		return 0x1000, true
	case "SHM_RND":
		return 0x2000, true
	case "SHM_REMAP":
		return 0x4000, true
	case "SHM_EXEC":
		return 0x8000, true
	}
	return 0, false
}

// cloneBit knows the flags that tell a thread from a process; the others are 0.
func cloneBit(s []byte) (uint64, bool) {
	switch string(s) {
	case "CLONE_VM":
		return unix.CLONE_VM, true
	case "CLONE_VFORK":
		return unix.CLONE_VFORK, true
	case "CLONE_THREAD":
		return unix.CLONE_THREAD, true
	}
	return 0, true
}

// keyBit is for numbers that may have a name: IPC_PRIVATE is 0.
func keyBit([]byte) (uint64, bool) { return 0, true }
