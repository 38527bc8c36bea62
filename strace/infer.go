package strace

import (
	"cmp"
	"slices"

	"vmaleak/vma"
)

// Infer places the anonymous mmap calls whose address is unknown, where the
// log leaves no choice of addresses; recs are all records of a log in their
// order. It sets Event.Ret and Event.Inferred and clears AddressUnknown of
// those, and returns how many it placed and how many stay unknown (calls other
// than brk). Two rules, for each space:
//
//  1. A munmap of memory that no known call had mapped, of exactly one unknown
//     call's length, released that call's mapping: the latest such call before
//     it, of the same thread if there is one.
//  2. The calls of one length that are left fit the holes between the known
//     mappings of that length exactly: every hole between two of them that is
//     a multiple of the length is free, and together they hold as many as there
//     are unknown calls. Addresses are given in the order of the calls, downwards as
//     the kernel does, or upwards if the known ones go up. Each call must come
//     after anything else that the log shows at its place.
//
// Which of several calls got which of the holes is a conclusion too; their sum is not.
func Infer(recs []Record) (inferred, unknown int) {
	for _, space := range inferSpaces(recs) {
		inferred += space.byRelease()
		inferred += space.byHoles()
	}
	for i := range recs {
		if recs[i].AddressUnknown && recs[i].Event.Op != vma.OpBrk {
			unknown++
		}
	}
	return inferred, unknown
}

// page is the rounding of lengths; a log does not tell the machine's.
const page = 4096

func pages(n uint64) uint64 { return (n + page - 1) &^ (page - 1) }

// inferSpace is what Infer knows of one space.
type inferSpace struct {
	recs  []Record
	calls []int // indices of its calls in order
}

func inferSpaces(recs []Record) []*inferSpace {
	byID := make(map[uint32]*inferSpace)
	var list []*inferSpace
	wanted := make(map[uint32]bool)
	for i := range recs {
		if floating(&recs[i]) {
			wanted[recs[i].Space] = true
		}
	}
	for i := range recs {
		rec := &recs[i]
		if rec.Kind != Call || !wanted[rec.Space] {
			continue
		}
		s := byID[rec.Space]
		if s == nil {
			s = &inferSpace{recs: recs}
			byID[rec.Space] = s
			list = append(list, s)
		}
		s.calls = append(s.calls, i)
	}
	return list
}

func floating(rec *Record) bool {
	return rec.Kind == Call && rec.AddressUnknown && rec.Event.Op == vma.OpMmap && vma.IsAnon(rec.Event.Flags)
}

func (s *inferSpace) place(i int, addr uint64) {
	rec := &s.recs[i]
	rec.Event.Ret, rec.Event.Inferred, rec.AddressUnknown = int64(addr), true, false
}

// byRelease is the first rule.
func (s *inferSpace) byRelease() (placed int) {
	known := vma.New(vma.Options{})
	waiting := make(map[uint64][]int) // unknown calls by length
	for _, i := range s.calls {
		rec := &s.recs[i]
		ev := rec.Event
		if rec.AddressUnknown {
			if floating(rec) {
				waiting[pages(ev.Len)] = append(waiting[pages(ev.Len)], i)
			}
			continue
		}
		r := vma.Range{Start: ev.Addr, End: ev.Addr + pages(ev.Len)}
		list := waiting[pages(ev.Len)]
		if ev.Op != vma.OpMunmap || ev.Failed() || len(list) == 0 || r.Empty() || r.Start%page != 0 || overlapsAny(known, r) {
			applyKnown(known, &ev)
			continue
		}
		k := len(list) - 1
		for j := k; j >= max(0, k-1024); j-- {
			if s.recs[list[j]].Event.Thread == ev.Thread {
				k = j
				break
			}
		}
		s.place(list[k], r.Start)
		placed++
		waiting[pages(ev.Len)] = slices.Delete(list, k, k+1)
	}
	return placed
}

func overlapsAny(s *vma.Space, r vma.Range) bool {
	for range s.Over(r) {
		return true
	}
	return false
}

// applyKnown applies ev unless its numbers are no addresses.
func applyKnown(s *vma.Space, ev *vma.Event) {
	const top = 1 << 57
	if ev.Failed() || ev.Len > top || ev.NewLen > top || ev.Addr > top || uint64(ev.Ret) > top ||
		ev.Addr%page != 0 && ev.Op != vma.OpBrk || ev.Ret%page != 0 && ev.Op != vma.OpBrk {
		return
	}
	s.Apply(ev)
}

// byHoles is the second rule.
func (s *inferSpace) byHoles() (placed int) {
	unknown := make(map[uint64][]int)
	var sizes []uint64
	for _, i := range s.calls {
		if rec := &s.recs[i]; floating(rec) {
			n := pages(rec.Event.Len)
			if n == 0 || n > 1<<57 {
				continue
			}
			if unknown[n] == nil {
				sizes = append(sizes, n)
			}
			unknown[n] = append(unknown[n], i)
		}
	}
	slices.SortFunc(sizes, func(a, b uint64) int { return cmp.Compare(b, a) })
	for _, size := range sizes {
		placed += s.fit(size, unknown[size])
	}
	return placed
}

// fit places the unknown calls of one size, all or none.
func (s *inferSpace) fit(size uint64, unknown []int) int {
	final := vma.New(vma.Options{})
	var known []uint64 // addresses of the known calls of this size, in order of time
	for _, i := range s.calls {
		rec := &s.recs[i]
		if rec.AddressUnknown {
			continue
		}
		ev := rec.Event
		applyKnown(final, &ev)
		if ev.Op == vma.OpMmap && !ev.Failed() && vma.IsAnon(ev.Flags) && pages(ev.Len) == size {
			known = append(known, uint64(ev.Ret))
		}
	}
	up := 0
	for k := 1; k < len(known); k++ {
		if known[k] > known[k-1] {
			up++
		}
	}
	upwards := 2*up > len(known)-1
	standing := slices.DeleteFunc(slices.Clone(known), func(a uint64) bool { return !stands(final, a, size) })
	slices.Sort(standing)
	standing = slices.Compact(standing)
	var slots []uint64
	for k := 1; k < len(standing); k++ {
		hole := vma.Range{Start: standing[k-1] + size, End: standing[k]}
		if hole.Empty() || hole.Len()%size != 0 || hole.Len()/size > uint64(len(unknown)) || overlapsAny(final, hole) {
			continue
		}
		for a := hole.Start; a < hole.End && len(slots) <= len(unknown); a += size {
			slots = append(slots, a)
		}
	}
	if len(slots) != len(unknown) {
		return 0
	}
	if !upwards {
		slices.Reverse(slots)
	}
	if !s.after(slots, size, unknown) {
		return 0
	}
	for k, i := range unknown {
		s.place(i, slots[k])
	}
	return len(unknown)
}

// stands reports whether all of [a, a+size) is still anonymous memory.
func stands(s *vma.Space, a, size uint64) bool {
	at := a
	for area := range s.Over(vma.Range{Start: a, End: a + size}) {
		if area.Start > at || !area.Kind.Exported() {
			return false
		}
		at = area.End
	}
	return at >= a+size
}

// after reports whether every unknown call comes behind the last known call
// that mapped or released something at its slot.
func (s *inferSpace) after(slots []uint64, size uint64, unknown []int) bool {
	order := slices.Clone(slots)
	slices.Sort(order)
	last := make([]int, len(order))   // last call at order[k]
	next := make([]int, len(order)+1) // the first slot from k on without one, with shortcuts
	for k := range next {
		next[k] = k
	}
	free := func(k int) int {
		for next[k] != k {
			next[k] = next[next[k]]
			k = next[k]
		}
		return k
	}
	touch := func(start, length uint64, i int) {
		k, _ := slices.BinarySearch(order, start-min(start, size-1))
		for k = free(k); k < len(order) && order[k] < start+pages(length); k = free(k) {
			last[k], next[k] = i, k+1
		}
	}
	for _, i := range slices.Backward(s.calls) {
		rec := &s.recs[i]
		ev := &rec.Event
		if rec.AddressUnknown || ev.Failed() || ev.Len > 1<<57 || ev.NewLen > 1<<57 {
			continue
		}
		switch ev.Op {
		case vma.OpMmap:
			touch(uint64(ev.Ret), ev.Len, i)
		case vma.OpMunmap:
			touch(ev.Addr, ev.Len, i)
		case vma.OpMremap:
			touch(ev.Addr, ev.Len, i)
			touch(uint64(ev.Ret), ev.NewLen, i)
		}
	}
	for k, i := range unknown {
		if at, _ := slices.BinarySearch(order, slots[k]); last[at] > i {
			return false
		}
	}
	return true
}
