package content

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// Record is bytes that come again and again at the same distance.
type Record struct {
	Bytes    []byte  `json:"bytes"` // what all of them have, and what follows it in the first
	Count    int     `json:"count"`
	Distance uint64  `json:"distance"` // bytes, the most common
	Share    float64 `json:"share"`    // of the distances
	Addr     uint64  `json:"addr"`     // of the first

	covers uint64 // bytes between those at Distance
}

const (
	shingle       = 16
	maxSlots      = 1 << 20
	candidates    = 32 // of each order of magnitude: a record's parts are more frequent than the record
	maxCandidates = 1 << 11
	maxPlaces     = 1 << 12 // of one candidate
	minRepeats    = 8
	minDistances  = 3 // in a row: what comes twice in each record is at one distance too
)

// findRecord finds what repeats at the largest regular distance, nil if nothing does. Pieces are in order of their addresses.
func findRecord(pieces []Block) *Record {
	total := 0
	for _, b := range pieces {
		total += len(b.Data)
	}
	slots := 1 << bits.Len(uint(min(total, maxSlots-1)))
	slot := func(p []byte) int { return int(mix(p) & uint64(slots-1)) }
	count := make([]uint32, slots)
	eachShingle(pieces, func(_ place, p []byte) { count[slot(p)]++ })
	wanted := frequent(count, uint32(4*total/slots+minRepeats)) // less is what different shingles in one slot add up to
	places := map[[shingle]byte][]place{}
	eachShingle(pieces, func(addr place, p []byte) {
		if key := [shingle]byte(p); wanted[slot(p)] && len(places[key]) < maxPlaces && (places[key] != nil || len(places) < maxCandidates) {
			places[key] = append(places[key], addr)
		}
	})
	var found *Record
	for key, at := range places {
		r := regular(at)
		if r == nil {
			continue
		}
		r.Bytes = key[:]
		if found == nil || better(r, found) {
			found = r
		}
	}
	if found != nil {
		found.Bytes = bytesAt(pieces, found.Addr, 48)
	}
	return found
}

// frequent is the slots that were met most, of each order of magnitude.
func frequent(count []uint32, least uint32) map[int]bool {
	var best [33][]int
	for i, n := range count {
		if n >= least {
			best[bits.Len32(n)] = append(best[bits.Len32(n)], i)
		}
	}
	wanted := map[int]bool{}
	for _, list := range best {
		slices.SortFunc(list, func(a, b int) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b)) })
		for _, i := range list[:min(len(list), candidates)] {
			wanted[i] = true
		}
	}
	return wanted
}

// better prefers what accounts for more memory: the whole record to its parts. Of equals it is the more frequent, then the first.
func better(a, b *Record) bool {
	return cmp.Or(cmp.Compare(b.covers, a.covers), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Addr, b.Addr)) < 0
}

// place is an address, and which of the parts it lies in between which pages were left out.
type place struct {
	addr uint64
	part int
}

// regular is the most common distance of places, if most have it: of those between which nothing was left out.
func regular(at []place) *Record {
	if len(at) < minRepeats {
		return nil
	}
	count, all := map[uint64]int{}, 0
	for i := 1; i < len(at); i++ {
		if at[i].part == at[i-1].part {
			count[at[i].addr-at[i-1].addr]++
			all++
		}
	}
	var mode uint64
	for d, n := range count {
		if n > count[mode] || n == count[mode] && d < mode {
			mode = d
		}
	}
	share := float64(count[mode]) / float64(max(all, 1))
	if share < 0.5 || mode < shingle || !inRow(at, mode) {
		return nil
	}
	return &Record{Count: len(at), Distance: mode, Share: share, Addr: at[0].addr,
		covers: mode * uint64(count[mode])}
}

// inRow reports whether some of the places follow one another at this distance.
func inRow(at []place, distance uint64) bool {
	row := 0
	for i := 1; i < len(at) && row < minDistances; i++ {
		if at[i].part != at[i-1].part || at[i].addr-at[i-1].addr != distance {
			row = 0
			continue
		}
		row++
	}
	return row >= minDistances
}

// eachShingle calls f with every 16 bytes that have at least 4 different ones among them.
func eachShingle(pieces []Block, f func(at place, p []byte)) {
	part := 0
	for _, b := range pieces {
		if b.Cut {
			part++
		}
		for i := 0; i+shingle <= len(b.Data); i++ {
			if p := b.Data[i : i+shingle]; varied(p) {
				f(place{b.Addr + uint64(i), part}, p)
			}
		}
	}
}

func varied(p []byte) bool {
	lo, hi := binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
	if lo == hi {
		return false
	}
	different := 0
	for i := 1; i < shingle && different < 4; i++ {
		if p[i] != p[i-1] {
			different++
		}
	}
	return different >= 4
}

func mix(p []byte) uint64 {
	x := binary.LittleEndian.Uint64(p)*0x9e3779b97f4a7c15 ^ binary.LittleEndian.Uint64(p[8:])*0xc2b2ae3d27d4eb4f
	x = (x ^ x>>29) * 0x9e3779b97f4a7c15
	return x >> 32
}

// bytesAt is up to n bytes at addr.
func bytesAt(pieces []Block, addr uint64, n int) []byte {
	for _, b := range pieces {
		if b.Addr <= addr && addr < b.Addr+uint64(len(b.Data)) {
			p := b.Data[addr-b.Addr:]
			return slices.Clone(p[:min(n, len(p))])
		}
	}
	return nil
}
