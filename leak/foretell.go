package leak

import (
	"slices"
	"time"
)

// What is growth can be foretold: after three steps the next one, its time and its size.

const foreknown = 3 // steps that must be known

// foretold scores the steps that could be foretold: made, and kept. Each is
// foretold from those before it alone; one that is overdue was not kept.
func (st stairs) foretold(now int64) (made, kept int) {
	for i := foreknown; i < len(st); i++ {
		made++
		early, late, size := st[:i].next()
		b := st[i].bytes
		if whole := i < len(st)-1; st[i].start >= early && st[i].start <= late && (b >= size/2 || !whole) && b <= 2*size {
			kept++
		}
	}
	if len(st) >= foreknown {
		if _, late, _ := st.next(); now > late {
			made++
		}
	}
	return made, kept
}

// next foretells the step after st: between when it begins, and how many bytes it has.
func (st stairs) next() (early, late int64, size uint64) {
	gaps := st.gaps()
	slices.Sort(gaps)
	start, middle := st[len(st)-1].start, gaps[len(gaps)/2]
	margin := max(middle/4, gaps[len(gaps)-1]-middle, middle-gaps[0], int64(time.Second))
	return start + middle - margin, start + middle + margin, st.size()
}

// size is the median of the whole steps: the last may have just begun.
func (st stairs) size() uint64 {
	sizes := make([]uint64, 0, len(st))
	for _, s := range st[:max(len(st)-1, 1)] {
		sizes = append(sizes, s.bytes)
	}
	slices.Sort(sizes)
	return sizes[len(sizes)/2]
}

// evenness is how much alike the gaps are: the shortest over the longest.
func (st stairs) evenness() float64 {
	gaps := st.gaps()
	return float64(slices.Min(gaps)) / float64(max(slices.Max(gaps), 1))
}
