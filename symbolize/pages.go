package symbolize

import (
	"fmt"
	"os"
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
	last   []PageCounts // of the ranges asked for last, in order
	next   uint64       // where reading again goes on
	part   partRead
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

// partRead is a range whose reading was broken off.
type partRead struct {
	PageCounts
	at uint64 // up to where it was read
}

// Bounds of one look: the kernel holds the address space's lock for its
// length, and what lies between two ranges of one look is walked in vain.
const (
	maxLook   = 64 << 20
	maxGap    = 4 << 20
	smallSize = 256 << 20 // smaller ranges that were never read come before all else
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
	c := counting{Pager: p, rows: make([]PageCounts, len(ranges)), fresh: make([]bool, len(ranges)),
		deadline: time.Now().Add(budget)}
	old := p.last
	for i, r := range ranges {
		c.rows[i].PageRange = r
		for len(old) > 0 && old[0].Start < r.Start {
			old = old[1:]
		}
		if len(old) > 0 && old[0].PageRange == r {
			c.rows[i] = old[0]
		}
	}
	first := 0
	for first < len(ranges) && ranges[first].End <= p.next {
		first++
	}
	unread := func(i int) bool { return c.rows[i].At.IsZero() }
	err := c.pass(0, len(ranges), func(i int) bool { return unread(i) && ranges[i].End-ranges[i].Start <= smallSize })
	if err == nil {
		err = c.pass(0, len(ranges), unread)
	}
	stale := func(i int) bool { return !c.fresh[i] && !unread(i) }
	if err == nil {
		err = c.pass(first, len(ranges), stale)
	}
	if err == nil {
		err = c.pass(0, first, stale)
	}
	p.last = c.rows
	return append([]PageCounts(nil), c.rows...), err
}

// counting is one Count.
type counting struct {
	*Pager
	rows     []PageCounts
	fresh    []bool // read in this Count
	deadline time.Time
	late     bool
}

// pass reads the rows from i up to n that want agrees to, several in one look
// where they lie close.
func (c *counting) pass(i, n int, want func(i int) bool) error {
	for ; i < n && !c.late; i++ {
		if !want(i) {
			continue
		}
		look := []int{i}
		end := c.rows[i].End
		for j := i + 1; j < n; j++ {
			if r := c.rows[j].PageRange; r.End-c.rows[i].Start > maxLook || r.Start-end > maxGap {
				break
			} else if want(j) {
				look, end = append(look, j), r.End
			}
		}
		var err error
		if len(look) > 1 {
			err = c.several(look)
		} else {
			err = c.one(i)
		}
		if err != nil {
			return err
		}
		i = look[len(look)-1]
	}
	return nil
}

// several reads rows in one look.
func (c *counting) several(look []int) error {
	sums := make([]PageCounts, len(look))
	for k, i := range look {
		sums[k].PageRange = c.rows[i].PageRange
	}
	k := 0
	err := c.source.pages(PageRange{sums[0].Start, sums[len(sums)-1].End}, func(r PageRange, s pageState) {
		for k < len(sums) && sums[k].End <= r.Start {
			k++
		}
		for m := k; m < len(sums) && sums[m].Start < r.End; m++ {
			sums[m].add(r, s)
		}
	})
	if err != nil {
		return err
	}
	now := time.Now()
	for k, i := range look {
		c.took(i, sums[k], now)
	}
	return nil
}

// one reads one row, look by look. Broken off for want of time, it is gone on with the next time.
func (c *counting) one(i int) error {
	row := c.rows[i].PageRange
	sum, at := PageCounts{PageRange: row}, row.Start
	if c.part.Start == row.Start && row.Start < c.part.at && c.part.at <= row.End {
		sum, at = c.part.PageCounts, c.part.at
		sum.End = row.End
	}
	for at < row.End {
		look := PageRange{at, min(row.End, at+maxLook)}
		if err := c.source.pages(look, func(r PageRange, s pageState) { sum.add(r, s) }); err != nil {
			return err
		}
		at = look.End
		if c.late = time.Now().After(c.deadline); c.late && at < row.End {
			c.part = partRead{sum, at}
			c.next = row.Start
			return nil
		}
	}
	c.part = partRead{}
	c.took(i, sum, time.Now())
	return nil
}

// took takes what was read of row i.
func (c *counting) took(i int, sum PageCounts, now time.Time) {
	sum.At, sum.HugeKnown = now, c.source.huge()
	c.rows[i], c.fresh[i] = sum, true
	c.next = sum.End
	c.late = c.late || sum.At.After(c.deadline)
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
