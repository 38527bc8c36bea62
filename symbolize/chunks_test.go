package symbolize

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// chunksC maps a block of its own, then has malloc map three, which the kernel joins with it.
const chunksC = `
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void) {
	char *p[3];
	for (int i = 0; i < 3; i++) p[i] = malloc((5 + i) << 20);
	char *own = mmap(0, 7 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	own[0] = 1; own[4096] = 2; own[4096 * 700] = 3;
	for (int i = 0; i < 3; i++) printf("%lx\n", (unsigned long)p[i] - 16);
	printf("%lx\n", (unsigned long)own);
	fflush(stdout);
	return getchar() == 0;
}
`

func TestBlocksThatMallocMappedAreFoundByTheirHeaders(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		skip(t, "needs a C compiler")
	}
	program := filepath.Join(t.TempDir(), "chunks")
	build := exec.Command(cc, "-O0", "-x", "c", "-o", program, "-")
	build.Stdin = strings.NewReader(chunksC)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	p := mustStart(t, exec.Command(program))
	var want []PageRange
	for i := range uint64(3) {
		var a uint64
		if _, err := fmt.Sscanf(p.line(), "%x", &a); err != nil {
			t.Fatal(err)
		}
		want = append(want, PageRange{a, a + (5+i)<<20 + headPage})
	}
	slices.SortFunc(want, func(a, b PageRange) int { return int(int64(a.Start) - int64(b.Start)) })
	var own uint64
	if _, err := fmt.Sscanf(p.line(), "%x", &own); err != nil {
		t.Fatal(err)
	}
	pager, err := OpenPager(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	defer pager.Close()
	row := PageRange{min(own, want[0].Start), max(own+7<<20, want[2].End)}
	got := pager.Chunks(p.pid(), []PageRange{row}, time.Minute)
	if !slices.Equal(got, want) {
		t.Errorf("blocks are %x, want %x, in %x", got, want, row)
	}
	counts, err := pager.Count([]PageRange{row}, time.Minute)
	if err != nil || counts[0].Resident != 6*pageSize {
		t.Errorf("after it, resident are %+v: %v, want the six pages that were touched", counts, err)
	}
	if got := pager.Chunks(p.pid(), []PageRange{row}, 0); len(got) != 0 {
		t.Errorf("without time: %x", got)
	}
}

func TestHeadersOfBlocks(t *testing.T) {
	for _, c := range []struct {
		before, size, want uint64
	}{
		{0, 0x501002, 0x501000},
		{0, 0x501003, 0}, // not the first in an arena
		{0, 0x501006, 0}, // of another arena
		{0, 0x501012, 0}, // no whole pages
		{16, 0x501002, 0},
		{0, 2, 0},
		{0, 0, 0},
		{0, ^uint64(0) &^ 5, 0},
	} {
		head := make([]byte, headBytes)
		for i := range 8 {
			head[i], head[8+i] = byte(c.before>>(8*i)), byte(c.size>>(8*i))
		}
		if got := chunkSize(head); got != c.want {
			t.Errorf("%x %x is a block of %x, want %x", c.before, c.size, got, c.want)
		}
	}
}
