package malloc

import (
	"fmt"
	"regexp"
	"strings"
)

const maxData = 1 << 20 // bytes of libc's data that are searched

// libcName is glibc's libc.so, whatever its directory: "libc-2.31.so" until 2.33.
var libcName = regexp.MustCompile(`^libc(\.so\.6|-2\.\d+\.so)$`)

// others are allocators that take the place of libc's, and libcs that are not GNU's, by how their file's name begins.
var others = []struct{ prefix, name string }{
	{"libjemalloc", "jemalloc"}, {"libtcmalloc", "tcmalloc"}, {"libmimalloc", "mimalloc"}, {"libsnmalloc", "snmalloc"},
	{"libhoard", "Hoard"}, {"libscudo", "Scudo"}, {"libtbbmalloc_proxy", "oneTBB's malloc"},
	{"libasan", "AddressSanitizer's malloc"}, {"ld-musl-", "musl's malloc"}, {"libc.musl-", "musl's malloc"},
}

// foreign names the allocator that a process uses instead of glibc's, "" if none is seen.
func foreign(rows []row) string {
	for _, r := range rows {
		for _, o := range others {
			if strings.HasPrefix(r.file, o.prefix) {
				return o.name + " (" + r.file + ")"
			}
		}
	}
	return ""
}

// findArenas returns all arenas of a process, the main one first.
func findArenas(v *view, rows []row) ([]*arena, error) {
	if name := foreign(rows); name != "" {
		return nil, fmt.Errorf("%w: it uses %s, whose free memory is not known here", ErrForeign, name)
	}
	libc := false
	var unfit error
	for _, r := range rows {
		if !libcName.MatchString(r.file) {
			continue
		}
		libc = true
		if !r.writable || r.end-r.start > maxData {
			continue
		}
		data, err := v.sparse(r.start, r.end)
		if err != nil {
			return nil, err
		}
		arenas, err := scanData(v, rows, r.start, data)
		if arenas != nil {
			return arenas, nil
		}
		if err != nil {
			unfit = err
		}
	}
	switch {
	case unfit != nil:
		return nil, unfit
	case libc:
		return nil, fmt.Errorf("%w: libc's own has not been used, or is of an unknown kind (another may be linked into the program)", ErrForeign)
	}
	return nil, fmt.Errorf("%w: no libc.so of GNU's is mapped (a static program, or another libc)", ErrForeign)
}

// sparse returns the bytes [start, end), zero where a page is not in memory: what was never written there is of no interest.
func (v *view) sparse(start, end uint64) ([]byte, error) {
	data := make([]byte, end-start)
	var requests []request
	for addr := start; addr < end; addr += pageSize {
		in, err := v.resident(addr)
		if err != nil {
			return nil, err
		}
		if in {
			requests = append(requests, request{addr: addr, buf: data[addr-start:][:pageSize]})
		}
	}
	return data, v.readAll(requests)
}

// scanData looks for bins in libc's data, which begins at base. An empty one points at itself, 16 bytes before its links.
func scanData(v *view, rows []row, base uint64, data []byte) ([]*arena, error) {
	var unfit error
	for at := 0; at+16 <= len(data); at += 8 {
		self := base + uint64(at) - 16
		if le64(data[at:]) != self || le64(data[at+8:]) != self {
			continue
		}
		// Which of the bins it is, the whole tells: all others, too, and then the next arena.
		for before := range binCount {
			first := at - 16*before
			if first < fastBytes || first+nextAfter+8 > len(data) || !likely(rows, base, data, first) {
				continue
			}
			arenas, err := circle(v, rows, base+uint64(first))
			if err != nil || arenas != nil {
				return arenas, err
			}
		}
		unfit = fmt.Errorf("%w: heaps of another size (GLIBC_TUNABLES=glibc.malloc.hugetlb=2?), or they change faster than they can be read", ErrUnfit)
		at += 16 * binCount // the next pairs belong to the same bins
	}
	return nil, unfit
}

// likely reports whether the bins of a main arena can begin at first, by what is in libc's data alone.
func likely(rows []row, base uint64, data []byte, first int) bool {
	for i := range binCount {
		at := first + 16*i
		next, prev, self := le64(data[at:]), le64(data[at+8:]), base+uint64(at)-16
		if (next == self) != (prev == self) || next != self && (next%16 != 0 || prev%16 != 0 || next == 0 || prev == 0) {
			return false
		}
	}
	next := le64(data[first+nextAfter:])
	return next >= base && next < base+uint64(len(data)) || next%heapBytes <= maxInfo && anonymous(rows, next)
}
