package exact

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// diff is a range that the kernel and the ledger see differently.
type diff struct {
	start, end     uint64
	kernel, ledger prot
}

func (d diff) String() string {
	return fmt.Sprintf("%x-%x (%d KiB): kernel %v, ledger %v", d.start, d.end, (d.end-d.start)>>10, d.kernel, d.ledger)
}

// compare walks both views, each sorted and disjoint, once.
func compare(kernel, ledger []span) []diff {
	var diffs []diff
	for at := uint64(0); len(kernel)+len(ledger) > 0; {
		k, kEnd := look(&kernel, at)
		l, lEnd := look(&ledger, at)
		end := min(kEnd, lEnd)
		if n := len(diffs); k == l || end == at {
			// the same, or nothing left
		} else if n > 0 && diffs[n-1].end == at && diffs[n-1].kernel == k && diffs[n-1].ledger == l {
			diffs[n-1].end = end
		} else {
			diffs = append(diffs, diff{at, end, k, l})
		}
		at = end
	}
	return diffs
}

// look is what s says of the address at, and up to where that holds. It drops what lies below.
func look(s *[]span, at uint64) (prot, uint64) {
	for len(*s) > 0 && (*s)[0].end <= at {
		*s = (*s)[1:]
	}
	switch {
	case len(*s) == 0:
		return 0, ^uint64(0)
	case (*s)[0].start > at:
		return 0, (*s)[0].start
	}
	return (*s)[0].prot, (*s)[0].end
}

// total is how many bytes differ.
func total(diffs []diff) uint64 {
	var n uint64
	for _, d := range diffs {
		n += d.end - d.start
	}
	return n
}

// describe is the first few of diffs, one a line.
func describe(diffs []diff) string {
	var b strings.Builder
	for i, d := range diffs {
		if i == 20 {
			fmt.Fprintf(&b, "\n  and %d more", len(diffs)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %v", d)
	}
	return b.String()
}

func TestCompare(t *testing.T) {
	const r, rw = mapped | 1, mapped | 3
	one := []span{{10, 20, rw}}
	tests := []struct {
		name           string
		kernel, ledger []span
		want           []diff
	}{
		{"nothing", nil, nil, nil},
		{"equal", one, one, nil},
		{"cut in two is the same", one, []span{{10, 15, rw}, {15, 20, rw}}, nil},
		{"absent from the ledger", one, nil, []diff{{10, 20, rw, 0}}},
		{"absent from the kernel", nil, one, []diff{{10, 20, 0, rw}}},
		{"other protection", one, []span{{10, 20, r}}, []diff{{10, 20, rw, r}}},
		{"a part has another protection", one, []span{{10, 12, rw}, {12, 14, r}, {14, 20, rw}}, []diff{{12, 14, rw, r}}},
		{"a hole", one, []span{{10, 12, rw}, {14, 20, rw}}, []diff{{12, 14, rw, 0}}},
		{"longer", one, []span{{10, 22, rw}}, []diff{{20, 22, 0, rw}}},
		{"shifted", one, []span{{12, 22, rw}}, []diff{{10, 12, rw, 0}, {20, 22, 0, rw}}},
		{"one difference over several rows", []span{{10, 12, rw}, {12, 20, rw}}, nil, []diff{{10, 20, rw, 0}}},
		{"none is not absent", one, []span{{10, 20, mapped}}, []diff{{10, 20, rw, mapped}}},
		{"from address 0", []span{{0, 5, r}}, nil, []diff{{0, 5, r, 0}}},
		{"up to the top", []span{{1, ^uint64(0), r}}, nil, []diff{{1, ^uint64(0), r, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := compare(tt.kernel, tt.ledger); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// Against the simplest comparison there is, one address at a time.
func FuzzCompare(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0, 3}, []byte{1, 2, 0, 0, 3})
	f.Fuzz(func(t *testing.T, kernel, ledger []byte) {
		spans := func(b []byte) (s []span) {
			for i, c := range b {
				if c&3 != 0 {
					s = append(s, span{uint64(i), uint64(i) + 1, mapped | prot(c&3)})
				}
			}
			return s
		}
		at := func(b []byte, i int) byte {
			if i < len(b) {
				return b[i] & 3
			}
			return 0
		}
		want := uint64(0)
		for i := range max(len(kernel), len(ledger)) {
			if at(kernel, i) != at(ledger, i) {
				want++
			}
		}
		if got := total(compare(spans(kernel), spans(ledger))); got != want {
			t.Errorf("%v and %v: %d addresses differ, want %d", kernel, ledger, got, want)
		}
	})
}
