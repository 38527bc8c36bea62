package strace

import (
	"bytes"

	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

// sys is a system call that the package knows.
type sys uint8

const (
	other sys = iota
	sysMmap
	sysMunmap
	sysMremap
	sysBrk
	sysMprotect
	sysPkeyMprotect
	sysShmat
	sysShmdt
	sysShmget
	sysRemapFilePages
	sysMadvise
	sysClone
	sysClone3
	sysFork
	sysVfork
	sysExecve
	sysExit
	sysExitGroup
)

func lookup(name []byte) sys {
	switch string(name) {
	case "mmap", "mmap2", "old_mmap":
		return sysMmap
	case "munmap":
		return sysMunmap
	case "mremap":
		return sysMremap
	case "brk":
		return sysBrk
	case "mprotect":
		return sysMprotect
	case "pkey_mprotect":
		return sysPkeyMprotect
	case "shmat":
		return sysShmat
	case "shmdt":
		return sysShmdt
	case "shmget":
		return sysShmget
	case "remap_file_pages":
		return sysRemapFilePages
	case "madvise":
		return sysMadvise
	case "clone", "clone2":
		return sysClone
	case "clone3":
		return sysClone3
	case "fork":
		return sysFork
	case "vfork":
		return sysVfork
	case "execve", "execveat":
		return sysExecve
	case "exit":
		return sysExit
	case "exit_group":
		return sysExitGroup
	}
	return other
}

// op is the event of a call, 0 for those that are none.
func (s sys) op() vma.Op {
	switch s {
	case sysMmap:
		return vma.OpMmap
	case sysMunmap:
		return vma.OpMunmap
	case sysMremap:
		return vma.OpMremap
	case sysBrk:
		return vma.OpBrk
	case sysMprotect:
		return vma.OpMprotect
	case sysPkeyMprotect:
		return vma.OpPkeyMprotect
	case sysShmat:
		return vma.OpShmat
	case sysShmdt:
		return vma.OpShmdt
	case sysRemapFilePages:
		return vma.OpRemapFilePages
	case sysClone, sysClone3, sysFork, sysVfork:
		return vma.OpFork
	case sysExecve:
		return vma.OpExec
	case sysExit, sysExitGroup:
		return vma.OpExit
	}
	return 0
}

// kind is the record of a call.
func (s sys) kind() Kind {
	switch s {
	case sysClone, sysClone3, sysFork, sysVfork:
		return Fork
	case sysExecve:
		return Exec
	case sysShmget:
		return shmget
	case sysExit, sysExitGroup:
		return Exit
	}
	return Call
}

// parseArgs fills rec from the arguments of a call and returns what follows
// them, from ")" or "<unfinished" on. ok is false if they are not all there.
func parseArgs(s sys, b []byte, rec *Record) (rest []byte, unknown int64, ok bool) {
	a := args{b: b}
	ev := &rec.Event
	switch s {
	case sysMmap:
		ev.Addr, ev.Len = a.number(), a.number()
		if a.usual("PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)") { // for speed
			ev.Prot, ev.Flags = unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS
			a.i--
			break
		}
		ev.Prot, ev.Flags = uint32(a.bits(protBit)), uint32(a.bits(mapBit))
		a.number()
		a.number()
	case sysMunmap:
		ev.Addr, ev.Len = a.number(), a.number()
	case sysMremap:
		ev.Addr, ev.Len, ev.NewLen = a.number(), a.number(), a.number()
		ev.Flags = uint32(a.bits(mremapBit))
		if ev.Flags&(unix.MREMAP_FIXED|unix.MREMAP_DONTUNMAP) != 0 && a.more() {
			ev.Target = a.number()
		} else if a.more() {
			a.number() // as raw numbers
		}
		if ev.Flags&unix.MREMAP_FIXED == 0 {
			ev.Target = 0
		}
	case sysBrk:
		ev.Addr = a.number() // asked, until the tracker puts the old break here
	case sysMprotect, sysPkeyMprotect:
		ev.Addr, ev.Len, ev.Prot = a.number(), a.number(), uint32(a.bits(protBit))
		if s == sysPkeyMprotect {
			a.number()
		}
	case sysShmat:
		ev.Target = a.bits(keyBit) // the segment's id, until the tracker knows its length
		ev.Addr, ev.Flags = a.number(), uint32(a.bits(shmBit))
	case sysShmdt:
		ev.Addr = a.number()
	case sysShmget:
		a.bits(keyBit)
		ev.Len = a.number()
		a.bits(keyBit)
	case sysRemapFilePages:
		ev.Addr, ev.Len = a.number(), a.number()
		a.bits(protBit)
		a.number()
		a.bits(mapBit)
	}
	if a.more() {
		a.bad = true
	}
	return b[min(a.i, len(b)):], a.unknown, !a.bad
}

// cloneFlags are the flags of clone or clone3 as far as they matter here.
func cloneFlags(s sys, b []byte) uint64 {
	switch s {
	case sysFork:
		return 0
	case sysVfork:
		return unix.CLONE_VM | unix.CLONE_VFORK
	}
	a := args{b: b}
	if i := bytes.Index(b, []byte("flags=")); i >= 0 {
		a.i = i + len("flags=")
	} else if s == sysClone3 {
		return unix.CLONE_VM | unix.CLONE_THREAD // an address: unknown, and rarely anything else
	}
	return a.bits(cloneBit)
}

// releases reports whether a call takes effect where it begins.
func (s sys) releases() bool { return s == sysMunmap || s == sysShmdt }

// assume makes rec the success of a call whose result is missing. It is false
// if nothing can be said without the result.
func assume(rec *Record) bool {
	ev := &rec.Event
	rec.Assumed = true
	switch ev.Op {
	case vma.OpMmap:
		if ev.Flags&(unix.MAP_FIXED|unix.MAP_FIXED_NOREPLACE) != 0 {
			ev.Ret = int64(ev.Addr)
		} else {
			rec.AddressUnknown = true
		}
	case vma.OpMremap:
		switch {
		case ev.Flags&unix.MREMAP_FIXED != 0:
			ev.Ret = int64(ev.Target)
		case ev.Flags&unix.MREMAP_MAYMOVE == 0, ev.NewLen <= ev.Len && ev.Flags&unix.MREMAP_DONTUNMAP == 0:
			ev.Ret = int64(ev.Addr)
		default:
			rec.AddressUnknown = true
		}
	case vma.OpShmat:
		if ev.Ret = int64(ev.Addr); ev.Addr == 0 {
			rec.AddressUnknown = true
		}
	case vma.OpBrk:
		ev.Ret = int64(ev.Addr)
		return ev.Addr != 0
	}
	return rec.Kind == Call
}
