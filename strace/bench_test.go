package strace

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// repeated is a text read n times over, without holding it n times.
type repeated struct {
	text []byte
	n    int
	rest []byte
}

func (r *repeated) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.n--
		r.rest = r.text
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// benchText is a log of eight threads: whole calls, pairs and other calls.
func benchText() (text []byte, lines int) {
	var b bytes.Buffer
	for i := range 1000 {
		tid := 25893 + i%8
		fmt.Fprintf(&b, "%d 22:48:%02d.%06d mmap(NULL, 16781312, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f46%05x000 <0.001026>\n", tid, i/50, i*20, i)
		fmt.Fprintf(&b, "%d 22:48:%02d.%06d mprotect(0x7f46%05x000, 4096, PROT_READ|PROT_WRITE <unfinished ...>\n", tid, i/50, i*20+3, i)
		fmt.Fprintf(&b, "%d 22:48:%02d.%06d munmap(0x7f46%05x000, 16781312) = 0 <0.000931>\n", tid+8, i/50, i*20+5, i)
		fmt.Fprintf(&b, "%d 22:48:%02d.%06d <... mprotect resumed>) = 0 <0.000012>\n", tid, i/50, i*20+9)
		fmt.Fprintf(&b, "%d 22:48:%02d.%06d futex(0x7f46cc4db000, FUTEX_WAKE_PRIVATE, 1) = 0 <0.000011>\n", tid, i/50, i*20+12)
	}
	return b.Bytes(), 5000
}

func BenchmarkReader(b *testing.B) {
	text, lines := benchText()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	before := cpu()
	r := NewReader(&repeated{text: text, n: b.N}, Options{})
	for r.Scan() {
	}
	b.ReportMetric(float64(lines)*float64(b.N)/(cpu()-before).Seconds()/1e6, "Mlines/cpu-s")
	if s := r.Stats(); s.Bad != 0 || s.Pairs != int64(b.N)*1000 {
		b.Fatalf("stats: %+v", s)
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mlines/s")
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkMerger(b *testing.B) {
	text, _ := benchText()
	var rs []*Reader
	for tid := 25893; tid < 25909; tid++ {
		var own bytes.Buffer
		for line := range bytes.Lines(text) {
			if bytes.HasPrefix(line, fmt.Appendf(nil, "%d ", tid)) {
				own.Write(line[6:])
			}
		}
		rs = append(rs, NewReader(&repeated{text: own.Bytes(), n: b.N}, Options{PID: tid}))
	}
	m := Merge(rs...)
	for m.Scan() {
	}
	b.ReportMetric(5000*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mlines/s")
}

func TestAHugeLogIsReadInConstantMemory(t *testing.T) {
	text, _ := benchText()
	n := 200
	allocs := testing.AllocsPerRun(1, func() {
		r := NewReader(&repeated{text: text, n: n}, Options{})
		for r.Scan() {
		}
		if got := r.Stats().Lines; got != int64(5000*n) {
			t.Fatalf("%d lines", got)
		}
		if got := len(r.queue.buf); got > 1024 {
			t.Errorf("the queue grew to %d slots", got)
		}
	})
	if allocs > 500 {
		t.Errorf("%v allocations for a million lines", allocs)
	}
}
