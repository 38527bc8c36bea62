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
}

const (
	shingle    = 16
	maxSlots   = 1 << 20
	candidates = 64
	maxPlaces  = 1 << 14 // of one candidate
	minRepeats = 8
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
	eachShingle(pieces, func(_ uint64, p []byte) { count[slot(p)]++ })
	noise := uint32(4*total/slots + minRepeats) // what different shingles in one slot add up to
	var best []int
	for i, n := range count {
		if n >= noise {
			best = append(best, i)
		}
	}
	slices.SortFunc(best, func(a, b int) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b)) })
	places := map[[shingle]byte][]uint64{}
	wanted := map[int]bool{}
	for _, i := range best[:min(len(best), candidates)] {
		wanted[i] = true
	}
	eachShingle(pieces, func(addr uint64, p []byte) {
		if key := [shingle]byte(p); wanted[slot(p)] && len(places[key]) < maxPlaces && (places[key] != nil || len(places) < 4*candidates) {
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

// better prefers the whole record to its parts, and of a record its first bytes.
func better(a, b *Record) bool {
	return cmp.Or(cmp.Compare(b.Distance, a.Distance), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Addr, b.Addr)) < 0
}

// regular is the most common distance of places, if most have it.
func regular(at []uint64) *Record {
	if len(at) < minRepeats {
		return nil
	}
	count := map[uint64]int{}
	for i := 1; i < len(at); i++ {
		count[at[i]-at[i-1]]++
	}
	var mode uint64
	for d, n := range count {
		if n > count[mode] || n == count[mode] && d < mode {
			mode = d
		}
	}
	share := float64(count[mode]) / float64(len(at)-1)
	if share < 0.5 || mode < shingle {
		return nil
	}
	return &Record{Count: len(at), Distance: mode, Share: share, Addr: at[0]}
}

// eachShingle calls f with every 16 bytes that have at least 4 different ones among them.
func eachShingle(pieces []Block, f func(addr uint64, p []byte)) {
	for _, b := range pieces {
		for i := 0; i+shingle <= len(b.Data); i++ {
			if p := b.Data[i : i+shingle]; varied(p) {
				f(b.Addr+uint64(i), p)
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
