package hotspot

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Memory is the memory of a VM, seen from outside.
type Memory interface {
	// Read fills p from addr. It is all of p or an error.
	Read(addr uint64, p []byte) error
}

// maxRead bounds a single read: no structure that is read here is larger.
const maxRead = 4 << 20

// ProcessMemory reads a process by process_vm_readv; it needs ptrace's permission but stops nothing.
type ProcessMemory struct{ PID int }

// Read implements Memory.
func (m ProcessMemory) Read(addr uint64, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if len(p) > maxRead || addr > 1<<63 {
		return fmt.Errorf("read %d bytes at %#x: out of range", len(p), addr)
	}
	local := []unix.Iovec{{Base: &p[0], Len: uint64(len(p))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}
	n, err := unix.ProcessVMReadv(m.PID, local, remote, 0)
	if err != nil {
		return fmt.Errorf("read %d bytes at %#x of process %d: %w", len(p), addr, m.PID, err)
	}
	if n != len(p) {
		return fmt.Errorf("read %d bytes at %#x of process %d: only %d are there", len(p), addr, m.PID, n)
	}
	return nil
}

const (
	pageSize = 4096
	maxPages = 4096                   // 16 MiB
	maxAge   = 200 * time.Millisecond // of what is read from a cache
	maxRun   = 4 * pageSize           // longer reads go past the cache
)

// PageCache is a Memory that remembers pages for at most 200 ms: the VM's structures are read again and again, and a walk
// touches few pages. All pages are dropped at once, so that none is older than the cache's epoch.
type PageCache struct {
	mem   Memory
	now   func() time.Duration // since any fixed time
	epoch time.Duration        // when the oldest page was read
	drops uint64
	index map[uint64]int // page number -> its place in pages
	pages [][]byte       // kept when dropped, to be used again
}

// NewPageCache returns an empty cache in front of mem.
func NewPageCache(mem Memory) *PageCache {
	start := time.Now()
	return &PageCache{mem: mem, now: func() time.Duration { return time.Since(start) }, index: map[uint64]int{}}
}

// Drop forgets all pages.
func (c *PageCache) Drop() {
	clear(c.index)
	c.drops++
}

// generation drops what is too old and changes with each drop: what was made from the cache is as old as its generation.
func (c *PageCache) generation() uint64 {
	if len(c.index) > 0 && c.now()-c.epoch > maxAge {
		c.Drop()
	}
	return c.drops
}

// Read implements Memory.
func (c *PageCache) Read(addr uint64, p []byte) error {
	if len(p) > maxRun {
		return c.mem.Read(addr, p)
	}
	c.generation()
	for len(p) > 0 {
		page, err := c.page(addr / pageSize)
		if err != nil {
			return err
		}
		n := copy(p, page[addr%pageSize:])
		p, addr = p[n:], addr+uint64(n)
	}
	return nil
}

func (c *PageCache) page(number uint64) ([]byte, error) {
	if i, ok := c.index[number]; ok {
		return c.pages[i], nil
	}
	if len(c.index) == maxPages {
		c.Drop()
	}
	if len(c.index) == 0 {
		c.epoch = c.now()
	}
	i := len(c.index)
	if i == len(c.pages) {
		c.pages = append(c.pages, make([]byte, pageSize))
	}
	if err := c.mem.Read(number*pageSize, c.pages[i]); err != nil {
		return nil, err
	}
	c.index[number] = i
	return c.pages[i], nil
}

// reader reads the VM's scalars, which are little-endian on both machines that are supported.
type reader struct{ Memory }

func (r reader) u8(addr uint64) (uint8, error) {
	var b [1]byte
	err := r.Read(addr, b[:])
	return b[0], err
}

func (r reader) u16(addr uint64) (uint16, error) {
	var b [2]byte
	err := r.Read(addr, b[:])
	return binary.LittleEndian.Uint16(b[:]), err
}

func (r reader) u32(addr uint64) (uint32, error) {
	var b [4]byte
	err := r.Read(addr, b[:])
	return binary.LittleEndian.Uint32(b[:]), err
}

func (r reader) u64(addr uint64) (uint64, error) {
	var b [8]byte
	err := r.Read(addr, b[:])
	return binary.LittleEndian.Uint64(b[:]), err
}

// bytes returns n bytes at addr.
func (r reader) bytes(addr uint64, n int) ([]byte, error) {
	if n < 0 || n > maxRead {
		return nil, fmt.Errorf("read %d bytes at %#x: out of range", n, addr)
	}
	p := make([]byte, n)
	return p, r.Read(addr, p)
}

// cstring returns the string that ends with a zero at most limit bytes after addr.
func (r reader) cstring(addr uint64, limit int) (string, error) {
	var s []byte
	for len(s) < limit {
		// Never past a page's end: the next one may not be mapped.
		var buf [64]byte
		n := min(uint64(limit-len(s)), pageSize-addr%pageSize, uint64(len(buf)))
		if err := r.Read(addr, buf[:n]); err != nil {
			return "", err
		}
		for i, b := range buf[:n] {
			if b == 0 {
				return string(append(s, buf[:i]...)), nil
			}
		}
		s, addr = append(s, buf[:n]...), addr+n
	}
	return "", fmt.Errorf("string at %#x: longer than %d bytes", addr-uint64(len(s)), limit)
}
