package content

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Bounds of one reading.
const (
	MaxPages = 4096    // 16 MiB of small pages
	maxScan  = 1 << 24 // pages that are looked up: 64 GiB
	maxRuns  = 1 << 20
	cluster  = 4 // pages that are read next to each other
)

// The bits of /proc/PID/pagemap.
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
)

// Range is the addresses [Start, End).
type Range struct{ Start, End uint64 }

// Block is memory as it was read at one instant: whole pages that follow one another. Cut says that pages which are in memory
// lie unread between the block before and this one.
type Block struct {
	Addr uint64
	Data []byte
	Cut  bool
}

// Sample is what was read of some ranges. Pages counts what Blocks hold; Resident, Swapped and Total the pages of the ranges
// that are in memory, swapped out, and all. Skipped pages could not be read, or left memory just before. Unseen pages were
// not even looked up, since the ranges are too large.
type Sample struct {
	Blocks                           []Block
	PageSize                         int
	Pages, Skipped                   int
	Resident, Swapped, Total, Unseen uint64
}

// ErrNothing says that no page of the ranges is in memory.
var ErrNothing = errors.New("none of it is in memory")

// Read reads at most so many pages of the ranges, which are in order and disjoint. It needs the permission to trace the
// process, and neither stops it nor changes what it has in memory. If nothing is in memory the error is ErrNothing, and the
// Sample counts why.
func Read(pid int, ranges []Range, pages int) (*Sample, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	if err != nil {
		return nil, fmt.Errorf("open pagemap of process %d: %w", pid, err)
	}
	defer f.Close()
	s := &Sample{PageSize: os.Getpagesize()}
	runs, err := s.scan(f, ranges)
	if err != nil {
		return nil, fmt.Errorf("read pagemap of process %d: %w", pid, err)
	}
	for _, r := range pick(runs, min(pages, MaxPages), uint64(s.PageSize)) {
		if err := s.read(pid, f, r); err != nil {
			return nil, err
		}
	}
	if s.Pages == 0 {
		return s, ErrNothing
	}
	return s, nil
}

// run is pages in memory that follow one another.
type run struct {
	addr  uint64
	pages uint64
	head  bool // it is the first of its range
	cut   bool // others lie between the run before and this one
}

// scan finds the pages that are in memory.
func (s *Sample) scan(pagemap io.ReaderAt, ranges []Range) ([]run, error) {
	var runs []run
	size := uint64(s.PageSize)
	buf := make([]byte, 1<<19)
	for _, r := range ranges {
		first, end := r.Start/size, (r.End+size-1)/size
		if r.End < r.Start || r.End > 1<<63 {
			return nil, fmt.Errorf("%x-%x is no range of addresses", r.Start, r.End)
		}
		s.Total += end - first
		head := true
		for first < end {
			n := min(end-first, uint64(len(buf)/8))
			if s.Unseen > 0 || s.seen()+n > maxScan || len(runs) >= maxRuns {
				s.Unseen += end - first
				break
			}
			got, err := pagemap.ReadAt(buf[:n*8], int64(first*8))
			if err != nil && (err != io.EOF || got == 0) {
				return nil, err
			}
			n = uint64(got / 8)
			for i := range n {
				switch entry := binary.NativeEndian.Uint64(buf[i*8:]); {
				case entry&pagePresent != 0:
					if head {
						runs = append(runs, run{addr: (first + i) * size, head: true})
						head = false
					}
					runs = addPage(runs, (first+i)*size, size)
					s.Resident++
				case entry&pageSwapped != 0:
					s.Swapped++
				}
			}
			first += max(n, 1)
		}
	}
	return runs, nil
}

// seen is how many pages were looked up.
func (s *Sample) seen() uint64 { return s.Total - s.Unseen }

func addPage(runs []run, addr, size uint64) []run {
	if n := len(runs) - 1; n >= 0 && runs[n].addr+runs[n].pages*size == addr {
		runs[n].pages++
		return runs
	}
	return append(runs, run{addr: addr, pages: 1})
}

// pick is so many pages of the runs at most: a third of them in one stretch from the middle on, for long records; up to a sixth
// where ranges begin, which is what was written first; the others in clusters that are spread evenly.
func pick(runs []run, want int, size uint64) []run {
	var total uint64
	var heads []uint64 // pages by their place among all
	for _, r := range runs {
		if r.head {
			heads = append(heads, total)
		}
		total += r.pages
	}
	if total <= uint64(want) {
		return runs
	}
	stretch := uint64(want) / 3
	first := min(len(heads), want/6/cluster)
	clusters := max((uint64(want)-stretch)/cluster-uint64(first), 1)
	if want < 3*cluster {
		stretch = uint64(want) - min(uint64(want), cluster)
	}
	var pages []uint64
	add := func(at uint64) {
		for i := range min(cluster, uint64(want)) {
			pages = append(pages, at+i)
		}
	}
	for i := range first {
		add(heads[i*len(heads)/first])
	}
	for c := range clusters {
		add(c * total / clusters)
	}
	for i := range stretch {
		pages = append(pages, total/2+i)
	}
	slices.Sort(pages)
	var picked []run
	at, before := 0, uint64(0) // the run of a page, and the pages before it
	next := uint64(0)
	for _, i := range slices.Compact(pages) {
		for at < len(runs) && i >= before+runs[at].pages {
			before += runs[at].pages
			at++
		}
		if at < len(runs) {
			picked = addPage(picked, runs[at].addr+(i-before)*size, size)
			if last := &picked[len(picked)-1]; last.pages == 1 {
				last.cut = i != next
			}
		}
		next = i + 1
	}
	return picked
}

// read takes one run, if it still is in memory: that is asked again right before, since reading what has just been swapped
// out would bring it back.
func (s *Sample) read(pid int, pagemap io.ReaderAt, r run) error {
	size := uint64(s.PageSize)
	entries := make([]byte, r.pages*8)
	if _, err := pagemap.ReadAt(entries, int64(r.addr/size*8)); err != nil {
		return fmt.Errorf("read pagemap of process %d: %w", pid, err)
	}
	for i := uint64(0); i < r.pages; {
		n := i
		for n < r.pages && binary.NativeEndian.Uint64(entries[n*8:])&pagePresent != 0 {
			n++
		}
		if n > i {
			if err := s.readPages(pid, r.addr+i*size, (n-i)*size, r.cut); err != nil {
				return err
			}
		}
		if n < r.pages {
			s.Skipped++
			n++
		}
		i = n
	}
	return nil
}

func (s *Sample) readPages(pid int, addr, length uint64, cut bool) error {
	p := make([]byte, length)
	n, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &p[0], Len: length}},
		[]unix.RemoteIovec{{Base: uintptr(addr), Len: int(length)}}, 0)
	if err != nil && !errors.Is(err, unix.EFAULT) { // EFAULT: unmapped meanwhile, or not readable
		return fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	whole := max(n, 0) / s.PageSize
	s.Skipped += int(length)/s.PageSize - whole
	s.Pages += whole
	if whole > 0 {
		s.Blocks = append(s.Blocks, Block{addr, p[:whole*s.PageSize], cut})
	}
	return nil
}
