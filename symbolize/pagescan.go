package symbolize

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ioctl PAGEMAP_SCAN of linux/fs.h, Linux 6.7.
const (
	pagemapScan = 0xc0606610 // _IOWR('f', 16, struct pm_scan_arg)

	scanFile    = 1 << 2
	scanPresent = 1 << 3
	scanSwapped = 1 << 4
	scanZero    = 1 << 5 // the page of zeros
	scanHuge    = 1 << 6
	scanGuard   = 1 << 8 // Linux 6.15: looks like a page in swap otherwise
)

// scanArg is struct pm_scan_arg.
type scanArg struct {
	size, flags           uint64
	start, end, walkEnd   uint64
	vec, vecLen, maxPages uint64
	inverted, mask, anyOf uint64
	returned              uint64
}

// scanRegion is struct page_region: neighbours alike are one.
type scanRegion struct{ start, end, categories uint64 }

// scanner asks the kernel for the pages that count: what is not touched costs nothing.
type scanner struct {
	f     *os.File
	guard uint64 // scanGuard where it is known
	found [1024]scanRegion
}

// newScanner is nil where the kernel has no PAGEMAP_SCAN.
func newScanner(f *os.File) *scanner {
	for _, guard := range [...]uint64{scanGuard, 0} {
		s := &scanner{f: f, guard: guard}
		if _, err := s.scan(PageRange{}); err == 0 {
			return s
		}
	}
	return nil
}

// scan returns the first regions of r: all of them, if they are fewer than there is room for.
//
// Note: the address where the walk stopped, which the kernel returns too, may
// be that of its last full buffer although it went on to the end.
func (s *scanner) scan(r PageRange) ([]scanRegion, unix.Errno) {
	arg := scanArg{start: r.Start, end: r.End, vecLen: uint64(len(s.found)),
		vec: uint64(uintptr(unsafe.Pointer(&s.found[0]))), anyOf: scanPresent | scanSwapped,
		inverted: scanFile, mask: scanFile, // not of a file
		returned: scanPresent | scanSwapped | scanZero | scanHuge | s.guard}
	arg.size = uint64(unsafe.Sizeof(arg))
	n, _, err := unix.Syscall(unix.SYS_IOCTL, s.f.Fd(), pagemapScan, uintptr(unsafe.Pointer(&arg)))
	runtime.KeepAlive(s)
	if err != 0 {
		return nil, err
	}
	return s.found[:min(int(n), len(s.found))], 0
}

func (s *scanner) pages(r PageRange, yield func(PageRange, pageState)) error {
	for r.Start < r.End {
		found, errno := s.scan(r)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return os.NewSyscallError("scan the page map", errno)
		}
		for _, f := range found {
			if state := f.state(); state != 0 {
				yield(PageRange{f.start, f.end}, state)
			}
		}
		if len(found) < len(s.found) {
			return nil
		}
		last := found[len(found)-1].end
		if last <= r.Start { // it must get on
			return nil
		}
		r.Start = last
	}
	return nil
}

// state is where the pages of a region are, 0 if they do not count.
func (r *scanRegion) state() pageState {
	switch c := r.categories; {
	case c&(scanGuard|scanZero) != 0:
		return 0
	case c&scanSwapped != 0:
		return pageSwapped
	case c&scanPresent == 0:
		return 0
	case c&scanHuge != 0:
		return pageResident | pageHuge
	}
	return pageResident
}

func (s *scanner) huge() bool { return true }
func (s *scanner) close()     { s.f.Close() }
