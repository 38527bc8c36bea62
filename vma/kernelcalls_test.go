//go:build linux

package vma

import (
	"fmt"
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// syscallOf makes the system call and returns its result, or -errno. An mmap's
// file and an shmat's segment stand in Stack and NewLen, which those events do
// not use.
func syscallOf(ev *Event) int64 {
	call := func(nr uintptr, args ...uint64) int64 {
		var a [6]uintptr
		for i, v := range args {
			a[i] = uintptr(v)
		}
		ret, _, errno := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		if errno != 0 {
			return -int64(errno)
		}
		return int64(ret)
	}
	switch ev.Op {
	case OpMmap:
		fd := int64(int32(ev.Stack))
		return call(unix.SYS_MMAP, ev.Addr, ev.Len, uint64(ev.Prot), uint64(ev.Flags), uint64(fd), 0)
	case OpMunmap:
		return call(unix.SYS_MUNMAP, ev.Addr, ev.Len)
	case OpMremap:
		return call(unix.SYS_MREMAP, ev.Addr, ev.Len, ev.NewLen, uint64(ev.Flags), ev.Target)
	case OpBrk:
		return call(unix.SYS_BRK, ev.Addr)
	case OpMprotect:
		return call(unix.SYS_MPROTECT, ev.Addr, ev.Len, uint64(ev.Prot))
	case OpPkeyMprotect:
		return call(unix.SYS_PKEY_MPROTECT, ev.Addr, ev.Len, uint64(ev.Prot), ^uint64(0))
	case OpShmat:
		return call(unix.SYS_SHMAT, ev.NewLen, ev.Addr, uint64(ev.Flags))
	case OpShmdt:
		return call(unix.SYS_SHMDT, ev.Addr)
	case OpRemapFilePages:
		return call(unix.SYS_REMAP_FILE_PAGES, ev.Addr, ev.Len, 0, 3, 0)
	}
	return 0
}

func describe(ev *Event) string {
	return fmt.Sprintf("%d %v(%x, %x, new %x, target %x, prot %x, flags %x) = %x", ev.Seq, ev.Op, ev.Addr, ev.Len, ev.NewLen, ev.Target, ev.Prot, ev.Flags, ev.Ret)
}

// pick is one of list at random.
func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// random is a call to make, most of them such that they succeed.
func (k *kernel) random(r *rand.Rand) *Event {
	ev := &Event{
		Addr: arena.Start + uint64(r.IntN(arenaPages))*pageBytes,
		Len:  uint64(1+r.IntN(pick(r, 4, 16, 48)))*pageBytes - pick[uint64](r, 0, 0, 0, 1, 4095),
		Prot: pick(r, uint32(0), 0, 1, 3, 3, 3, 2, 7),
	}
	if end := arena.End - ev.Addr; ev.Len > end {
		ev.Len = end
	}
	switch r.IntN(24) {
	case 0, 1, 2, 3, 4, 5:
		k.randomMmap(r, ev)
	case 6, 7, 8:
		ev.Op = OpMunmap
		if r.IntN(20) == 0 {
			ev.Addr++ // refused
		}
	case 9, 10, 11, 12, 13:
		ev.Op = pick(r, OpMprotect, OpMprotect, OpPkeyMprotect)
		ev.Prot |= pick(r, uint32(0), 0, 0, 0, 0, 0, 0, 0, 0, unix.PROT_GROWSDOWN)
		if k.heap.Len() != 0 && r.IntN(4) == 0 {
			ev.Addr = k.heap.Start + uint64(r.IntN(int(k.heap.Len()/pageBytes)))*pageBytes
			ev.Len = min(ev.Len, k.heap.End-ev.Addr)
		} else if r.IntN(2) == 0 {
			k.aim(r, ev)
		}
	case 14, 15, 16, 17, 18:
		k.randomMremap(r, ev)
	case 19:
		ev.Op, ev.Addr = OpBrk, k.heap.Start+uint64(r.IntN(64*pageBytes))
		if !k.ownsBrk() {
			ev.Op = OpVoid
		}
	case 20, 21:
		k.randomShm(r, ev)
	case 22:
		ev.Op = OpRemapFilePages
	case 23: // touched memory keeps areas apart that would merge
		ev.Op = OpVoid
		unix.RawSyscall(unix.SYS_MADVISE, uintptr(ev.Addr), uintptr(ev.Len), unix.MADV_POPULATE_WRITE)
	}
	return ev
}

func (k *kernel) ownsBrk() bool {
	b, _, _ := unix.RawSyscall(unix.SYS_BRK, 0, 0, 0)
	return uint64(b) == k.brk
}

func (k *kernel) randomMmap(r *rand.Rand, ev *Event) {
	const droppable = 8
	ev.Op, ev.Stack = OpMmap, ^uint32(0)
	ev.Flags = pick(r, uint32(unix.MAP_PRIVATE), unix.MAP_PRIVATE, unix.MAP_PRIVATE, unix.MAP_SHARED, droppable) | unix.MAP_ANONYMOUS
	ev.Flags |= pick(r, uint32(0), 0, unix.MAP_NORESERVE, unix.MAP_STACK, unix.MAP_POPULATE)
	ev.Flags |= pick(r, uint32(0), unix.MAP_FIXED, unix.MAP_FIXED, unix.MAP_FIXED_NOREPLACE)
	switch r.IntN(12) {
	case 0, 1, 2, 3: // of a file, private or shared
		ev.Flags &^= unix.MAP_ANONYMOUS | unix.MAP_POPULATE
		if ev.Flags&unix.MAP_TYPE == droppable {
			ev.Flags ^= droppable | unix.MAP_SHARED
		}
		ev.Stack = uint32(pick(r, append(k.fds, 999)...))
	case 4: // refused where there are no huge pages, at the last moment
		ev.Flags |= unix.MAP_HUGETLB
		if r.IntN(8) != 0 {
			ev.Flags &^= unix.MAP_HUGETLB
		}
	}
}

func (k *kernel) randomMremap(r *rand.Rand, ev *Event) {
	ev.Op = OpMremap
	ev.NewLen = pick(r, ev.Len, ev.Len, uint64(1+r.IntN(32))*pageBytes, ev.Len/2+1)
	ev.Flags = pick(r, uint32(0), unix.MREMAP_MAYMOVE, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED)
	if r.IntN(5) == 0 && ev.Flags != 0 {
		ev.Flags |= unix.MREMAP_DONTUNMAP
		ev.NewLen = ev.Len
	}
	if r.IntN(6) == 0 {
		ev.Len = 0
	}
	if ev.Flags&unix.MREMAP_FIXED != 0 || ev.Flags&unix.MREMAP_DONTUNMAP != 0 {
		ev.Target = arena.Start + uint64(r.IntN(arenaPages-48))*pageBytes
	}
	if r.IntN(3) != 0 {
		k.aim(r, ev)
	}
}

// aim moves ev to the next row, and often to its end, so that it succeeds.
func (k *kernel) aim(r *rand.Rand, ev *Event) {
	for a := range k.s.Over(Range{ev.Addr, arena.End}) {
		ev.Addr = max(ev.Addr, a.Start)
		if r.IntN(2) == 0 && ev.Len != 0 {
			ev.Len = a.End - ev.Addr
		}
		break
	}
}

func (k *kernel) randomShm(r *rand.Rand, ev *Event) {
	if r.IntN(2) == 0 || len(k.segments) == 0 {
		ev.Op = OpShmdt
		if len(k.attached) > 0 && r.IntN(4) != 0 {
			ev.Addr = pick(r, k.attached...)
		}
		return
	}
	seg := pick(r, k.segments...)
	ev.Op, ev.Len, ev.NewLen = OpShmat, seg.size, seg.id
	ev.Flags = pick(r, uint32(0), shmRemap, shmRdonly)
	if ev.Addr+ev.Len > arena.End {
		ev.Addr = arena.Start
	}
	if r.IntN(8) == 0 {
		ev.Addr += 8 // needs SHM_RND
		ev.Flags |= pick(r, uint32(0), 0x2000)
	}
}
