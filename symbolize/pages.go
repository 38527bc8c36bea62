package symbolize

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"time"
)

// PageRange is the addresses [Start, End), both on page boundaries.
type PageRange struct{ Start, End uint64 }

// PageCounts is what of a range is in memory, in bytes. Pages of files and the
// page of zeros, which nothing was written to, do not count.
type PageCounts struct {
	PageRange
	Resident  uint64
	Swap      uint64
	Huge      uint64 // of Resident, mapped by huge pages
	HugeKnown bool
	At        time.Time // when they were read; zero: not yet
}

// Pager counts the anonymous pages of one address space, in any order and
// amount of time: PAGEMAP_SCAN where the kernel has it (6.7), else
// /proc/PID/pagemap. It is held by one goroutine. It goes on with the
// address space that the process had when it was opened, and finds nothing once that is gone.
type Pager struct {
	source pageSource
	last   []PageCounts // the pieces of the ranges asked for last, in order
	next   uint64       // where reading again goes on
}

// pageSource tells pages apart.
type pageSource interface {
	// pages yields what is in memory or swapped of r, in order.
	pages(r PageRange, yield func(PageRange, pageState)) error
	huge() bool // whether huge pages are told apart
	close()
}

// pageState is where pages are.
type pageState uint8

const (
	pageResident pageState = 1 << iota
	pageSwapped
	pageHuge
)

// Bounds of one look: the kernel holds the address space's lock for its
// length, and what lies between two ranges of one look is walked in vain.
const (
	maxLook = 64 << 20 // ranges are read in pieces that end at multiples of it
	maxGap  = 4 << 20

	maxAddress = 1 << 56 // of user space
	maxPieces  = 1 << 19 // of one address space
)

// OpenPager opens the pages of a process.
func OpenPager(pid int) (*Pager, error) {
	f, err := os.Open(procPath(pid, "pagemap"))
	if err != nil {
		return nil, procError(fmt.Sprintf("open the page map of process %d", pid), err)
	}
	if s := newScanner(f); s != nil {
		return &Pager{source: s}, nil
	}
	return &Pager{source: newPagemap(f)}, nil
}

// Close lets go of the address space.
func (p *Pager) Close() { p.source.close() }

// Count returns what is in memory of each of the ranges, which are in order and
// disjoint. It reads for about as long as budget says: first what was never
// read, then the rest in turn. What there was no time for is as it was read last.
func (p *Pager) Count(ranges []PageRange, budget time.Duration) ([]PageCounts, error) {
	c := counting{Pager: p, pieces: make([]PageCounts, 0, len(ranges)), deadline: time.Now().Add(budget)}
	old := p.last
	for _, r := range ranges {
		if r.End > maxAddress || (r.End-r.Start)/maxLook+uint64(len(c.pieces)) >= maxPieces {
			continue // no memory of a process, or more than is ever read
		}
		for at := r.Start; at < r.End; {
			piece := PageCounts{PageRange: PageRange{at, min(r.End, at&^(maxLook-1)+maxLook)}}
			for len(old) > 0 && old[0].Start < at {
				old = old[1:]
			}
			if len(old) > 0 && old[0].PageRange == piece.PageRange {
				piece = old[0]
			}
			c.pieces = append(c.pieces, piece)
			at = piece.End
		}
	}
	c.fresh = make([]bool, len(c.pieces))
	next := sort.Search(len(c.pieces), func(i int) bool { return c.pieces[i].End > p.next })
	unread := func(i int) bool { return c.pieces[i].At.IsZero() }
	stale := func(i int) bool { return !c.fresh[i] && !c.pieces[i].At.IsZero() }
	err := errors.Join(c.pass(0, len(c.pieces), unread), c.pass(next, len(c.pieces), stale), c.pass(0, next, stale))
	p.last = c.pieces
	return whole(ranges, c.pieces), err
}

// whole is the ranges that the pieces are of. One of which a piece was never read was never read.
func whole(ranges []PageRange, pieces []PageCounts) []PageCounts {
	rows := make([]PageCounts, len(ranges))
	for i, r := range ranges {
		row, read := PageCounts{PageRange: r}, uint64(0)
		for ; len(pieces) > 0 && pieces[0].End <= r.End; pieces = pieces[1:] {
			c := &pieces[0]
			if c.At.IsZero() {
				continue
			}
			read += c.End - c.Start
			row.Resident += c.Resident
			row.Swap += c.Swap
			row.Huge += c.Huge
			row.HugeKnown = c.HugeKnown
			if row.At.IsZero() || c.At.Before(row.At) {
				row.At = c.At
			}
		}
		if read < r.End-r.Start {
			row = PageCounts{PageRange: r}
		}
		rows[i] = row
	}
	return rows
}

// counting is one Count.
type counting struct {
	*Pager
	pieces   []PageCounts
	fresh    []bool // read in this Count
	deadline time.Time
	late     bool
}

// pass reads the pieces from i up to n that want agrees to, several in one look
// where they lie close.
func (c *counting) pass(i, n int, want func(i int) bool) error {
	for ; i < n && !c.late; i++ {
		if !want(i) {
			continue
		}
		look := PageRange{c.pieces[i].Start, c.pieces[i].End}
		j := i + 1
		for ; j < n && want(j); j++ {
			if r := c.pieces[j].PageRange; r.End-look.Start > maxLook || r.Start-look.End > maxGap {
				break
			}
			look.End = c.pieces[j].End
		}
		if err := c.look(look, i, j); err != nil {
			return err
		}
		i = j - 1
	}
	return nil
}

// look reads the pieces from i up to n, which lie in r.
func (c *counting) look(r PageRange, i, n int) error {
	now := time.Now()
	for k := i; k < n; k++ {
		c.pieces[k] = PageCounts{PageRange: c.pieces[k].PageRange}
	}
	k := i
	err := c.source.pages(r, func(r PageRange, s pageState) {
		for k < n && c.pieces[k].End <= r.Start {
			k++
		}
		for m := k; m < n && c.pieces[m].Start < r.End; m++ {
			c.pieces[m].add(r, s)
		}
	})
	if err != nil {
		return err
	}
	for k := i; k < n; k++ {
		c.pieces[k].At, c.pieces[k].HugeKnown, c.fresh[k] = now, c.source.huge(), true
	}
	c.next = r.End
	c.late = time.Now().After(c.deadline)
	return nil
}

// add adds the part of r that lies in c.
func (c *PageCounts) add(r PageRange, s pageState) {
	start, end := max(r.Start, c.Start), min(r.End, c.End)
	if start >= end {
		return
	}
	switch n := end - start; {
	case s&pageSwapped != 0:
		c.Swap += n
	case s&pageResident != 0:
		c.Resident += n
		if s&pageHuge != 0 {
			c.Huge += n
		}
	}
}
