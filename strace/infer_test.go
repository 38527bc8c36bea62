package strace

import (
	"fmt"
	"strings"
	"testing"
)

func TestUnknownAddressesAreInferredOnlyWithoutAChoice(t *testing.T) {
	const size = 0x100000
	known := func(tid, slot int) string {
		return fmt.Sprintf("%d mmap(NULL, %d, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x%x", tid, size, 0x7f0000000000+slot*size)
	}
	unknown := func(tid int) string {
		return fmt.Sprintf("%d mmap(NULL, %d, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>", tid, size)
	}
	munmap := func(tid, slot, n int) string {
		return fmt.Sprintf("%d munmap(0x%x, %d) = 0", tid, 0x7f0000000000+slot*size, n*size)
	}
	for name, tt := range map[string]struct {
		lines []string
		want  string // slot:tid of the placed
		left  int
	}{
		"holes downwards":                          {[]string{known(1, 9), unknown(2), known(1, 7), unknown(3), unknown(4), known(1, 4)}, "8:2 6:3 5:4", 0},
		"holes upwards":                            {[]string{known(1, 4), unknown(2), known(1, 6), unknown(3), known(1, 8)}, "5:2 7:3", 0},
		"more calls than holes":                    {[]string{known(1, 9), unknown(2), known(1, 7), unknown(3)}, "", 2},
		"more holes than calls":                    {[]string{known(1, 9), unknown(2), known(1, 7), known(1, 5)}, "", 1},
		"no known neighbours":                      {[]string{unknown(2)}, "", 1},
		"a hole with something in":                 {[]string{known(1, 9), unknown(2), known(1, 7), "1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000800000"}, "", 1},
		"a hole of another length":                 {[]string{known(1, 9), unknown(2), "1 mmap(NULL, 1048576, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000780000"}, "", 1},
		"a hole that a later release made is none": {[]string{known(1, 9), unknown(2), known(1, 8), known(1, 7), munmap(1, 8, 1)}, "", 1},
		"a hole that an earlier release made":      {[]string{known(1, 9), known(1, 8), known(1, 7), munmap(1, 8, 1), unknown(2)}, "8:2", 0},
		"a release tells the address":              {[]string{unknown(2), munmap(1, 3, 1)}, "3:2", 0},
		"the releasing thread's own call first":    {[]string{unknown(2), unknown(3), munmap(2, 3, 1)}, "3:2", 1},
		"a release of a known mapping tells none":  {[]string{unknown(2), known(1, 3), munmap(1, 3, 1)}, "", 1},
		"a release of another length tells none":   {[]string{unknown(2), munmap(1, 3, 2)}, "", 1},
		"another process's mappings are not ours":  {[]string{"1 fork() = 2", known(1, 9), unknown(2), known(1, 7), "2 brk(NULL) = 0x5000"}, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			lines := append(tt.lines, "9 brk(NULL) = 0x5000")
			recs, _ := mustScan(t, Options{}, lines...)
			inferred, left := Infer(recs)
			var got []string
			for _, rec := range recs {
				if rec.Event.Inferred {
					got = append(got, fmt.Sprintf("%d:%d", (rec.Event.Ret-0x7f0000000000)/size, rec.TID))
				}
			}
			if text := strings.Join(got, " "); text != tt.want || inferred != len(got) || left != tt.left {
				t.Errorf("got %q, %d left; want %q, %d", text, left, tt.want, tt.left)
			}
		})
	}
}
