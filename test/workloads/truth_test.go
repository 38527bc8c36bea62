package workloads

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// told is one line in which a workload tells the truth.
type told struct {
	at     time.Time
	leaked float64
	fields map[string]string
}

// parseTold reads "truth kind=unsafe at_ms=1 leaked=2 ..."; a line of Netty's has its own words, and no time.
func parseTold(l line) (told, error) {
	t := told{at: l.at, fields: map[string]string{}}
	for _, f := range strings.Fields(l.text)[1:] {
		key, value, _ := strings.Cut(f, "=")
		t.fields[key] = value
	}
	leaked, ok := t.fields["leaked"]
	if !ok {
		leaked = t.fields["retained"]
	}
	var err error
	if t.leaked, err = strconv.ParseFloat(leaked, 64); err != nil {
		return t, fmt.Errorf("no truth in %q: %w", l.text, err)
	}
	if ms, ok := t.fields["at_ms"]; ok {
		n, err := strconv.ParseInt(ms, 10, 64)
		if err != nil {
			return t, fmt.Errorf("no time in %q: %w", l.text, err)
		}
		t.at = time.UnixMilli(n)
	}
	return t, nil
}

func mustTold(tb testing.TB, p *process, word string) (all []told) {
	tb.Helper()
	for _, l := range p.find(word) {
		all = append(all, must[told](tb)(parseTold(l)))
	}
	return all
}

// memory is what the kernel says of a process, in bytes.
type memory struct {
	at        time.Time
	size      float64 // of the address space
	committed float64 // private, anonymous and writable
	arenas    float64 // of that, malloc's heaps: brk's, and those that are mapped without a reservation of swap
}

// readMemory reads /proc/PID/smaps.
func readMemory(pid int) (memory, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return memory{}, err
	}
	defer f.Close()
	return parseMemory(bufio.NewScanner(f), time.Now())
}

func parseMemory(in *bufio.Scanner, at time.Time) (memory, error) {
	m := memory{at: at}
	var length float64 // of the row, if it is committed
	var heap bool
	for in.Scan() {
		f := strings.Fields(in.Text())
		if len(f) == 0 {
			continue
		}
		if from, to, ok := strings.Cut(f[0], "-"); ok && len(f) >= 5 {
			a, err1 := strconv.ParseUint(from, 16, 64)
			b, err2 := strconv.ParseUint(to, 16, 64)
			if err1 != nil || err2 != nil {
				return m, fmt.Errorf("read smaps: no addresses in %q", in.Text())
			}
			m.size += float64(b - a)
			length, heap = 0, len(f) > 5 && f[5] == "[heap]"
			if f[1] == "rw-p" && f[4] == "0" && (len(f) == 5 || heap) {
				length = float64(b - a)
				m.committed += length
			}
			if heap {
				m.arenas += length
			}
		}
		if f[0] == "VmFlags:" && !heap && strings.Contains(in.Text(), " nr") {
			m.arenas += length
		}
	}
	return m, in.Err()
}

// slope is bytes per hour, by least squares. Two points at least.
func slope[T any](points []T, at func(T) (time.Time, float64)) float64 {
	var n, sx, sy, sxx, sxy float64
	first, _ := at(points[0])
	for _, p := range points {
		t, y := at(p)
		x := t.Sub(first).Hours()
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if d := n*sxx - sx*sx; d > 0 {
		return (n*sxy - sx*sy) / d
	}
	return 0
}
