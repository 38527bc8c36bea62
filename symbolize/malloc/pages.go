package malloc

import (
	"encoding/binary"
	"os"
)

var pageSize = uint64(os.Getpagesize())

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// spread is how many pages of residency are asked for at once.
const spread = 512

// view is a memory of which only resident pages are read, and what was found resident is remembered.
type view struct {
	memory
	known map[uint64]*[spread]bool // by page number / spread
	bytes uint64                   // read
	late  func() bool              // the time for finding the arenas is over
}

func newView(m memory, late func() bool) *view {
	return &view{memory: m, known: map[uint64]*[spread]bool{}, late: late}
}

// pages returns the residency of the pages around addr; their first one is number/spread*spread.
func (v *view) pages(number uint64) (*[spread]bool, error) {
	k := v.known[number/spread]
	if k == nil {
		k = new([spread]bool)
		if err := v.present(number/spread*spread*pageSize, k[:]); err != nil {
			return nil, err
		}
		v.known[number/spread] = k
	}
	return k, nil
}

// resident reports whether the page of addr is in memory.
func (v *view) resident(addr uint64) (bool, error) {
	k, err := v.pages(addr / pageSize)
	return err == nil && k[addr/pageSize%spread], err
}

// forget has the residency of pages asked anew: a page may come.
func (v *view) forget(addrs ...uint64) {
	for _, addr := range addrs {
		delete(v.known, addr/pageSize/spread)
	}
}

// bytesAt returns n bytes at addr; false if a page of them is not in memory or not readable.
func (v *view) bytesAt(addr uint64, n int) ([]byte, bool, error) {
	if v.late() {
		return nil, false, ErrTime
	}
	if addr+uint64(n) < addr || addr+uint64(n) >= 1<<56 {
		return nil, false, nil
	}
	buf := make([]byte, n)
	var requests []request
	for rest := buf; len(rest) > 0; {
		if in, err := v.resident(addr); err != nil || !in {
			return nil, false, err
		}
		size := min(uint64(len(rest)), pageSize-addr%pageSize)
		requests = append(requests, request{addr: addr, buf: rest[:size:size]})
		rest, addr = rest[size:], addr+size
	}
	if err := v.readAll(requests); err != nil {
		return nil, false, err
	}
	for _, r := range requests {
		if !r.ok {
			return nil, false, nil
		}
	}
	return buf, true, nil
}

// readAll reads and counts.
func (v *view) readAll(requests []request) error {
	for _, r := range requests {
		v.bytes += uint64(len(r.buf))
	}
	return v.read(requests)
}

// residentIn returns how many bytes of the whole pages [start, end) are in memory, as far as there is time.
func (v *view) residentIn(start, end uint64) (uint64, error) {
	var n uint64
	for number := start / pageSize; number < end/pageSize; {
		if v.late() {
			return n, ErrTime
		}
		k, err := v.pages(number)
		if err != nil {
			return n, err
		}
		until := min(end/pageSize, number/spread*spread+spread)
		for ; number < until; number++ {
			if k[number%spread] {
				n += pageSize
			}
		}
	}
	return n, nil
}
