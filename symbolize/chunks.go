package symbolize

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// headPage is the grain at which blocks of malloc begin that it mapped for
// themselves, and headBytes the length of glibc's header of one: the size of
// what lies before, which is none, then the block's own size and flags.
const (
	headPage  = 4096
	headBytes = 16
	headBatch = 512
	maxHeads  = 1 << 17 // looked at in one call
)

// Chunks finds the blocks that glibc's malloc mapped for itself in some ranges,
// in order, by their headers: of these only pages that are in memory are
// read, and nothing is written. It takes about as long as budget says; what there was no time for is not found.
func (p *Pager) Chunks(pid int, ranges []PageRange, budget time.Duration) []PageRange {
	c := chunkSearch{Pager: p, pid: pid, deadline: time.Now().Add(budget)}
	for _, r := range ranges {
		if !c.in(r) {
			break
		}
	}
	return c.found
}

type chunkSearch struct {
	*Pager
	pid      int
	deadline time.Time
	heads    int
	found    []PageRange
}

// in looks through r, and reports whether there is time for more.
func (c *chunkSearch) in(r PageRange) bool {
	at := (r.Start + headPage - 1) &^ (headPage - 1)
	for at < r.End && r.End <= maxAddress {
		window := PageRange{at, min(r.End, at+headBatch*headPage)}
		var heads []uint64
		err := c.source.pages(window, func(in PageRange, s pageState) {
			if s&pageResident == 0 {
				return
			}
			for a := max(in.Start, window.Start) &^ (headPage - 1); a < min(in.End, window.End); a += headPage {
				heads = append(heads, a)
			}
		})
		c.heads += len(heads) + 1
		if err != nil || c.heads > maxHeads || time.Now().After(c.deadline) {
			return false
		}
		sizes := c.read(heads)
		at = window.End
		past := window.Start
		for i, a := range heads {
			if size := sizes[i]; a >= past && size > 0 && size <= r.End-a {
				c.found = append(c.found, PageRange{a, a + size})
				past = a + size
			}
		}
		at = max(at, past)
	}
	return true
}

// read reads the headers at some addresses: the size of the block that begins there, 0 for none.
func (c *chunkSearch) read(heads []uint64) []uint64 {
	sizes := make([]uint64, len(heads))
	buf := make([]byte, headBytes*len(heads))
	for from := 0; from < len(heads); {
		remote := make([]unix.RemoteIovec, 0, len(heads)-from)
		for _, a := range heads[from:] {
			remote = append(remote, unix.RemoteIovec{Base: uintptr(a), Len: headBytes})
		}
		to := buf[from*headBytes:]
		local := []unix.Iovec{{Base: (*byte)(unsafe.Pointer(&to[0])), Len: uint64(len(to))}}
		n, err := unix.ProcessVMReadv(c.pid, local, remote, 0)
		if err != nil && err != unix.EFAULT {
			return sizes
		}
		from += max(n, 0)/headBytes + 1 // past the one that could not be read
	}
	for i := range heads {
		sizes[i] = chunkSize(buf[i*headBytes:])
	}
	return sizes
}

// chunkSize is the size of the block with that header, 0 if it is none: it is
// mapped (bit 1), of no other arena and with nothing in use before it, and whole pages.
func chunkSize(head []byte) uint64 {
	before, size := binary.NativeEndian.Uint64(head), binary.NativeEndian.Uint64(head[8:])
	if before != 0 || size&7 != 2 || (size-2)%headPage != 0 {
		return 0
	}
	return size - 2
}
