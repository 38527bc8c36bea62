package symbolize

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The bits of an entry of /proc/PID/pagemap, one for each page (Documentation/admin-guide/mm/pagemap.rst).
const (
	entryPresent = 1 << 63
	entrySwapped = 1 << 62
	entryFile    = 1 << 61
	entryGuard   = 1 << 58 // Linux 6.15
	entryFrame   = 1<<55 - 1
)

// pagemap reads an entry for every page, touched or not.
type pagemap struct {
	f    io.ReaderAt
	file *os.File
	size uint64 // of a page
	zero uint64 // frame of the page of zeros, 0 unknown
	buf  []byte
}

func newPagemap(f *os.File) *pagemap {
	p := &pagemap{f: f, file: f, size: uint64(os.Getpagesize()), buf: make([]byte, 64<<10)}
	p.zero = zeroFrame(p.size)
	return p
}

// zeroFrame is the frame of the page of zeros: of a page of ours that is only read. Without CAP_SYS_ADMIN it is not told.
func zeroFrame(size uint64) uint64 {
	m, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return 0
	}
	defer func() { _ = unix.Munmap(m) }()
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return 0
	}
	defer f.Close()
	if m[0] != 0 { // reading it maps it
		return 0
	}
	var entry [8]byte
	if _, err := f.ReadAt(entry[:], int64(uint64(uintptr(unsafe.Pointer(&m[0])))/size*8)); err != nil {
		return 0
	}
	if e := binary.NativeEndian.Uint64(entry[:]); e&entryPresent != 0 {
		return e & entryFrame
	}
	return 0
}

func (p *pagemap) pages(r PageRange, yield func(PageRange, pageState)) error {
	for r.Start < r.End {
		want := p.buf[:min(uint64(len(p.buf)), (r.End-r.Start)/p.size*8)]
		n, err := p.f.ReadAt(want, int64(r.Start/p.size*8))
		for i := 0; i+8 <= n; i += 8 {
			at := r.Start + uint64(i)/8*p.size
			if s := p.state(binary.NativeEndian.Uint64(want[i:])); s != 0 {
				yield(PageRange{at, at + p.size}, s)
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the page map: %w", err)
		}
		if n < len(want) { // the end: of the address space, or of the process
			return nil
		}
		r.Start += uint64(n) / 8 * p.size
	}
	return nil
}

// state is where the page of an entry is, 0 if it does not count.
func (p *pagemap) state(entry uint64) pageState {
	switch {
	case entry&entryPresent != 0:
		if entry&entryFile != 0 || p.zero != 0 && entry&entryFrame == p.zero {
			return 0
		}
		return pageResident
	case entry&entrySwapped != 0 && entry&(entryFile|entryGuard) == 0:
		return pageSwapped
	}
	return 0
}

func (p *pagemap) huge() bool { return false }

func (p *pagemap) close() {
	if p.file != nil {
		p.file.Close()
	}
}
