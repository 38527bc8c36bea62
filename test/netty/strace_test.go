package netty

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// chunk is one mapping of a Netty chunk: 16 MiB and malloc's header page.
const chunk = 16<<20 + 4096

// mapped is one mmap that an strace log tells of.
type mapped struct {
	tid    int
	length uint64
}

var (
	mmapLine   = regexp.MustCompile(`^(\d+) +[\d:.]+ mmap\([^,]+, (\d+), .*\) += (0x[0-9a-f]+)$`)
	munmapLine = regexp.MustCompile(`^(\d+) +[\d:.]+ munmap\((0x[0-9a-f]+), (\d+)\) += 0$`)
	resumed    = regexp.MustCompile(`^(\d+) +[\d:.]+ <\.\.\. \w+ resumed>(.*)$`)
)

// chunksIn is the mmaps of a chunk's length in a log of strace -f -tt that no
// later munmap touches, by address. It reads the log by itself: the program's
// own reader is not what proves the program right.
func chunksIn(log io.Reader) (map[uint64]mapped, error) {
	text, err := io.ReadAll(log)
	if err != nil {
		return nil, err
	}
	left, begun := map[uint64]mapped{}, map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		tid, _, _ := strings.Cut(line, " ")
		if head, ok := strings.CutSuffix(line, " <unfinished ...>"); ok {
			begun[tid] = head
			continue
		}
		if m := resumed.FindStringSubmatch(line); m != nil {
			line = begun[tid] + m[2]
			delete(begun, tid)
		}
		if m := mmapLine.FindStringSubmatch(line); m != nil {
			length, err := strconv.ParseUint(m[2], 10, 64)
			addr, err2 := strconv.ParseUint(m[3], 0, 64)
			id, err3 := strconv.Atoi(m[1])
			if err != nil || err2 != nil || err3 != nil {
				return nil, fmt.Errorf("strace line %q", line)
			}
			if length == chunk {
				left[addr] = mapped{id, length}
			}
		}
		if m := munmapLine.FindStringSubmatch(line); m != nil {
			addr, err := strconv.ParseUint(m[2], 0, 64)
			length, err2 := strconv.ParseUint(m[3], 10, 64)
			if err != nil || err2 != nil {
				return nil, fmt.Errorf("strace line %q", line)
			}
			for at, c := range left {
				if at < addr+length && addr < at+c.length {
					delete(left, at)
				}
			}
		}
	}
	return left, nil
}

func TestChunksInALog(t *testing.T) {
	const log = `100 12:00:00.000001 mmap(NULL, 16781312, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0001000000
101 12:00:00.000002 mmap(NULL, 16781312, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>
100 12:00:00.000003 mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0009000000
101 12:00:00.000004 <... mmap resumed>) = 0x7f0003000000
102 12:00:00.000005 mmap(0x7f0005000000, 16781312, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0005000000
102 12:00:00.000006 munmap(0x7f0005100000, 4096 <unfinished ...>
100 12:00:00.000007 mmap(NULL, 16781312, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = -1 ENOMEM (Cannot allocate memory)
102 12:00:00.000008 <... munmap resumed>)          = 0
`
	got, err := chunksIn(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint64]mapped{0x7f0001000000: {100, chunk}, 0x7f0003000000: {101, chunk}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
