package content

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// skip says aloud why a test cannot run here; where it must run, that fails.
func skip(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("VMALEAK_REQUIRE") == "all" {
		tb.Fatalf("must not skip, but: "+format, args...)
	}
	tb.Skipf(format, args...)
}

// held is testdata/held.c at work.
type held struct {
	pid   int
	start uint64 // of 1,024 pages: every 16th holds a mail, the others were never touched
	gone  uint64 // of one page that is mapped and not readable
}

func mustHeld(tb testing.TB) held {
	tb.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		skip(tb, "needs gcc: %v", err)
	}
	bin := filepath.Join(tb.TempDir(), "held")
	if out, err := exec.Command(gcc, "-O2", "-Wall", "-Werror", "-o", bin, "testdata/held.c").CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(bin)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close() // it ends
		if err := cmd.Wait(); err != nil {
			tb.Errorf("held: %v", err)
		}
	})
	h := held{pid: cmd.Process.Pid}
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, err2 := fmt.Sscanf(line, "%x %x\n", &h.start, &h.gone); err != nil || err2 != nil {
		tb.Fatal(line, err, err2)
	}
	return h
}

// inMemory is the pages of a range that /proc/PID/pagemap says are in memory.
func inMemory(tb testing.TB, pid int, r Range) []uint64 {
	tb.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, (r.End-r.Start)/4096*8)
	if _, err := f.ReadAt(p, int64(r.Start/4096*8)); err != nil {
		tb.Fatal(err)
	}
	var pages []uint64
	for i := 0; i < len(p); i += 8 {
		if binary.NativeEndian.Uint64(p[i:])>>63 != 0 {
			pages = append(pages, r.Start+uint64(i)/8*4096)
		}
	}
	return pages
}

func status(tb testing.TB, pid int, keys ...string) (lines []string) {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if key, _, _ := strings.Cut(line, ":"); slices.Contains(keys, key) {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestReadTouchesNothing(t *testing.T) {
	h := mustHeld(t)
	r := Range{h.start, h.start + 1024*4096}
	resident, before := inMemory(t, h.pid, r), status(t, h.pid, "VmRSS", "VmPTE", "VmSwap", "RssAnon")
	s, err := Read(h.pid, []Range{r, {h.gone, h.gone + 4096}}, MaxPages)
	if err != nil {
		t.Fatal(err)
	}
	if after := inMemory(t, h.pid, r); !slices.Equal(after, resident) || len(resident) != 64 {
		t.Errorf("in memory are %d pages, were %d, want 64", len(after), len(resident))
	}
	if after := status(t, h.pid, "VmRSS", "VmPTE", "VmSwap", "RssAnon"); !slices.Equal(before, after) || len(before) != 4 {
		t.Errorf("%q has become %q", before, after)
	}
	if s.Total != 1025 || s.Resident != 64 && s.Resident != 65 || s.Pages != 64 || s.Swapped != 0 || s.Unseen != 0 || s.Skipped != int(s.Resident)-64 {
		t.Errorf("%+v", *s)
	}
	for i, b := range s.Blocks {
		want := h.start + uint64(i)*16*4096
		if b.Addr != want || len(b.Data) != 4096 || !bytes.HasPrefix(b.Data, fmt.Appendf(nil, "Subject: order %d of roses\r\n", i)) {
			t.Errorf("block %d is %d bytes at %x: %.40q", i, len(b.Data), b.Addr, b.Data)
		}
	}
	f := Analyze(s.Blocks, window)
	if f.Record == nil || f.Record.Distance != 65536 || !slices.Contains(f.Strings, String{"Subject: order 0 of roses", 64, true, false}) {
		t.Errorf("record %+v, strings %+v", f.Record, f.Strings)
	}
}

func TestReadIsBounded(t *testing.T) {
	h := mustHeld(t)
	s, err := Read(h.pid, []Range{{h.start, h.start + 1024*4096}}, 10)
	if err != nil || s.Pages > 10 || s.Pages < 6 || s.Resident != 64 {
		t.Fatalf("%+v, %v", s, err)
	}
	if first, last := s.Blocks[0].Addr, s.Blocks[len(s.Blocks)-1].Addr; first != h.start || last < h.start+500*4096 {
		t.Errorf("what is read lies between %x and %x, not all over %x", first, last, h.start)
	}
	if s, err = Read(h.pid, []Range{{h.start + 4096, h.start + 8192}}, 10); !errors.Is(err, ErrNothing) || s.Total != 1 || s.Resident != 0 {
		t.Errorf("of what was never touched: %+v, %v", s, err)
	}
	if s, err = Read(h.pid, []Range{{h.start, h.start + 4096}, {1 << 46, 1<<46 + 1<<40}}, 10); err != nil || s.Unseen != 1<<28 || s.Pages != 1 {
		t.Errorf("of a terabyte: %+v, %v", s, err)
	}
	if _, err = Read(h.pid, []Range{{1 << 63, 1<<64 - 1}}, 10); err == nil {
		t.Error("of a range that no process has: no error")
	}
	if _, err = Read(1<<30, []Range{{4096, 8192}}, 10); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of nobody: %v", err)
	}
}

func TestClustersAreSpreadEvenly(t *testing.T) {
	for _, c := range []struct {
		what string
		runs []run
		want int
		out  []run
	}{
		{"all fits", []run{{addr: 0, pages: 3}, {addr: 0x10000, pages: 1}}, 4, []run{{addr: 0, pages: 3}, {addr: 0x10000, pages: 1}}},
		{"one long run", []run{{addr: 0, pages: 100}}, 16, []run{{addr: 0, pages: 4}, {addr: 50 * 4096, pages: 5, cut: true}}},
		{"fewer than a cluster", []run{{addr: 0, pages: 100}}, 3, []run{{addr: 0, pages: 3}}},
		{"single pages", []run{{addr: 0, pages: 1}, {addr: 8 << 12, pages: 1}, {addr: 16 << 12, pages: 1}, {addr: 24 << 12, pages: 1}, {addr: 32 << 12, pages: 1}}, 4, []run{{addr: 0, pages: 1}, {addr: 8 << 12, pages: 1}, {addr: 16 << 12, pages: 1}, {addr: 24 << 12, pages: 1}}},
		{"nothing", nil, 4, nil},
	} {
		if got := pick(c.runs, c.want, 4096); !slices.Equal(got, c.out) {
			t.Errorf("%s: %v, want %v", c.what, got, c.out)
		}
	}
	two := []run{{addr: 0, pages: 47, head: true}, {addr: 99 << 12, pages: 101, head: true}}
	if got := pick(two, 48, 4096); !slices.ContainsFunc(got, func(r run) bool { return r.addr == 99<<12 && r.pages >= 4 }) {
		t.Errorf("where the second range begins nothing is read: %v", got)
	}
	many := []run{}
	for i := range uint64(1000) {
		many = append(many, run{addr: i * 3 * 4096, pages: i % 3, head: i%7 == 0})
	}
	for want := range 300 {
		n := uint64(0)
		for _, r := range pick(many, want, 4096) {
			n += r.pages
		}
		if n > uint64(want) || n+4 < uint64(want)*3/4 || want > 0 && n == 0 {
			t.Errorf("%d pages were picked, want about %d", n, want)
		}
	}
}

// pages is a pagemap of so many pages, which are all swapped out but the last.
type pages int

func (n pages) ReadAt(p []byte, off int64) (int, error) {
	i := 0
	for ; i+8 <= len(p) && off/8+int64(i/8) < int64(n); i += 8 {
		bit := uint64(pageSwapped)
		if off/8+int64(i/8) == int64(n)-1 {
			bit = pagePresent
		}
		binary.NativeEndian.PutUint64(p[i:], bit)
	}
	if i < len(p) {
		return i, io.EOF
	}
	return i, nil
}

func TestSwappedPagesAreCounted(t *testing.T) {
	s := &Sample{PageSize: 4096}
	runs, err := s.scan(pages(100), []Range{{0, 100 * 4096}})
	if err != nil || s.Swapped != 99 || s.Resident != 1 || !slices.Equal(runs, []run{{addr: 99 * 4096, pages: 1, head: true}}) {
		t.Errorf("%+v, %v, %v", s, runs, err)
	}
	if _, err := s.scan(pages(100), []Range{{100 * 4096, 200 * 4096}}); err == nil {
		t.Error("beyond the end of pagemap: no error")
	}
}

func TestAnotherUsersMemoryIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, "needs root to become another user")
	}
	h := mustHeld(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and ends with it: only this thread is another user
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 65534, ^uintptr(0)); errno != 0 {
			done <- errno
			return
		}
		_, err := Read(h.pid, []Range{{h.start, h.start + 4096}}, 1)
		done <- err
	}()
	if err := <-done; !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
}
