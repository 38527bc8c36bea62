package symbolize

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const pageSize = 4096

// playPages maps ranges, touches some of their pages, and says what each must count.
func playPages() error {
	private := func(pages int, how func(m []byte) error) error {
		m, err := unix.Mmap(-1, 0, pages*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err
		}
		if err := unix.Madvise(m, unix.MADV_NOHUGEPAGE); err != nil {
			return err
		}
		return how(m)
	}
	say := func(what string, m []byte, resident int) {
		start := uint64(uintptr(unsafe.Pointer(&m[0])))
		fmt.Printf("%s %x %x %d\n", what, start, start+uint64(len(m)), resident*pageSize)
	}
	touch := func(m []byte, from, to, step int) {
		for i := from; i < to; i += step {
			m[i*pageSize] = 1
		}
	}
	return errors.Join(
		private(1000, func(m []byte) error { say("untouched", m, 0); return nil }),
		private(1000, func(m []byte) error { touch(m, 0, 1000, 1); say("whole", m, 1000); return nil }),
		private(5000, func(m []byte) error { touch(m, 0, 5000, 2); say("every-second", m, 2500); return nil }),
		private(1000, func(m []byte) error {
			sum := byte(0)
			for i := 0; i < len(m); i += pageSize {
				sum += m[i]
			}
			touch(m, 10, 13, 1)
			say("only-read", m, 3+int(sum))
			return nil
		}),
		private(1000, func(m []byte) error {
			touch(m, 0, 1000, 1)
			say("given-back", m, 700)
			return unix.Madvise(m[100*pageSize:400*pageSize], unix.MADV_DONTNEED)
		}),
		private(6000, func(m []byte) error { // regions as many as no multiple of a buffer's
			touch(m, 0, 2*1500, 2)
			say("many-regions", m, 1500)
			return nil
		}),
		private(8200, func(m []byte) error {
			touch(m, 0, 2*4096, 2)
			say("regions-by-whole-buffers", m, 4096)
			return nil
		}),
		private(20000, func(m []byte) error { touch(m, 19000, 20000, 1); say("more-than-one-look", m, 1000); return nil }),
		func() error {
			f, err := os.Open("/proc/self/exe")
			if err != nil {
				return err
			}
			m, err := unix.Mmap(int(f.Fd()), 0, 100*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
			if err != nil {
				return err
			}
			if err := unix.Madvise(m, unix.MADV_POPULATE_READ); err != nil && err != unix.EINVAL { // Linux 5.14
				return err
			}
			touch(m, 5, 12, 1)
			say("copies-of-a-file's", m, 7)
			return nil
		}(),
	)
}

// pageFacts is the ranges of a child that plays pages, and what each must count.
func pageFacts(t *testing.T, p *target) (ranges []PageRange, names []string, want []uint64) {
	t.Helper()
	for {
		line := p.line()
		if line == "ready" {
			return ranges, names, want
		}
		var name string
		var r PageRange
		var n uint64
		if _, err := fmt.Sscanf(line, "%s %x %x %d", &name, &r.Start, &r.End, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		at := 0
		for at < len(ranges) && ranges[at].Start < r.Start {
			at++
		}
		ranges = append(ranges[:at], append([]PageRange{r}, ranges[at:]...)...)
		names = append(names[:at], append([]string{name}, names[at:]...)...)
		want = append(want[:at], append([]uint64{n}, want[at:]...)...)
	}
}

func TestPagesAreCountedAsTheyWereTouched(t *testing.T) {
	p := mustHelper(t, "pages", nil)
	ranges, names, want := pageFacts(t, p)
	for _, source := range []string{"ioctl", "entries"} {
		pager, err := OpenPager(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		defer pager.Close()
		if _, ok := pager.source.(*scanner); !ok && source == "ioctl" {
			t.Log("this kernel has no PAGEMAP_SCAN")
			continue
		}
		if source == "entries" {
			f, err := os.Open(procPath(p.pid(), "pagemap"))
			if err != nil {
				t.Fatal(err)
			}
			pager = &Pager{source: newPagemap(f)}
			if pager.source.(*pagemap).zero == 0 {
				needRoot(t, "know the page of zeros")
			}
		}
		rows, err := pager.Count(ranges, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range rows {
			if r.PageRange != ranges[i] || r.Resident != want[i] || r.Swap != 0 || r.At.IsZero() {
				t.Errorf("%s, %s: %+v, want %d bytes of %v", source, names[i], r, want[i], ranges[i])
			}
		}
	}
}

func TestHugePagesAreToldApart(t *testing.T) {
	const huge = 2 << 20
	m, err := unix.Mmap(-1, 0, 4*huge, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(m) }()
	start := uint64(uintptr(unsafe.Pointer(&m[0])))
	skew := int((huge - start%huge) % huge)
	if err := unix.Madvise(m, unix.MADV_HUGEPAGE); err != nil {
		skip(t, "this kernel has no transparent huge pages: "+err.Error())
	}
	for i := range 2 * huge / pageSize { // two huge pages, then four small ones
		m[skew+i*pageSize] = 1
	}
	small := m[skew+2*huge:]
	if err := unix.Madvise(small, unix.MADV_NOHUGEPAGE); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		small[i*pageSize] = 1
	}
	pager, err := OpenPager(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer pager.Close()
	if _, ok := pager.source.(*scanner); !ok {
		skip(t, "this kernel has no PAGEMAP_SCAN")
	}
	at := start + uint64(skew)
	rows, err := pager.Count([]PageRange{{at, at + 2*huge}, {at + 2*huge, at + 2*huge + 16*pageSize}}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := kernelHuge(t, at); got == 0 {
		skip(t, "the kernel gave no huge page")
	} else if rows[0].Huge != got {
		t.Errorf("huge pages: %d bytes, the kernel says %d", rows[0].Huge, got)
	}
	if rows[0].Resident != 2*huge || rows[1].Resident != 4*pageSize || rows[1].Huge != 0 || !rows[0].HugeKnown {
		t.Errorf("counts are %+v", rows)
	}
}

// kernelHuge is AnonHugePages of our row at addr, as smaps says.
func kernelHuge(t *testing.T, addr uint64) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for _, line := range strings.Split(string(text), "\n") {
		var start, end, n uint64
		if _, err := fmt.Sscanf(line, "%x-%x ", &start, &end); err == nil {
			inside = start <= addr && addr < end
		} else if _, err := fmt.Sscanf(line, "AnonHugePages: %d kB", &n); err == nil && inside {
			return n << 10
		}
	}
	return 0
}

// fakePages is a page source of n pages in memory from 0 on, that counts what it is asked.
type fakePages struct {
	asked []PageRange
	wait  time.Duration
	err   error
}

func (f *fakePages) pages(r PageRange, yield func(PageRange, pageState)) error {
	f.asked = append(f.asked, r)
	for begin := time.Now(); time.Since(begin) < f.wait; {
	}
	yield(r, pageResident)
	return f.err
}

func (f *fakePages) huge() bool { return false }
func (f *fakePages) close()     {}

func TestWhatThereIsNoTimeForIsReadNextTime(t *testing.T) {
	const mib = 1 << 20
	f := &fakePages{wait: time.Millisecond}
	p := &Pager{source: f}
	ranges := []PageRange{{0, 1 * mib}, {1000 * mib, 1300 * mib}, {2000 * mib, 2001 * mib}}
	var rows []PageCounts
	count := func(budget time.Duration) {
		t.Helper()
		var err error
		if rows, err = p.Count(ranges, budget); err != nil {
			t.Fatal(err)
		}
	}
	count(0) // one look at least, so that it gets on
	if rows[0].Resident != mib || !rows[1].At.IsZero() || !rows[2].At.IsZero() {
		t.Errorf("after one look: %+v", rows)
	}
	first := rows[0].At
	for len(f.asked) < 8 {
		if !rows[2].At.IsZero() {
			t.Errorf("after %d looks all is read: %+v", len(f.asked), rows)
		}
		count(0)
	}
	for i, r := range rows {
		if r.Resident != ranges[i].End-ranges[i].Start || r.At.IsZero() {
			t.Errorf("after eight looks: %+v", r)
		}
	}
	if rows[0].At != first {
		t.Error("a row was read again before all were read once")
	}
	count(0)
	if !rows[0].At.After(first) || !rows[1].At.After(first) {
		t.Errorf("then in turn: %+v", rows)
	}
	before := rows[1].At
	count(time.Minute)
	for i := range rows {
		if r := rows[i]; !r.At.After(before) || r.Resident != ranges[i].End-ranges[i].Start {
			t.Errorf("with time, all is read again: %+v", r)
		}
	}
	ranges[0].End += mib // it has grown
	f.asked = nil
	count(0)
	if rows[0].Resident != 2*mib || len(f.asked) != 1 {
		t.Errorf("what has changed comes first: %+v, asked %v", rows[0], f.asked)
	}
	f.asked = nil
	if rows, err := p.Count([]PageRange{{0xffffffffff600000, 0xffffffffff601000}}, time.Minute); err != nil || len(f.asked) > 0 || !rows[0].At.IsZero() {
		t.Errorf("the kernel's own half: %+v, %v, asked %v", rows, err, f.asked)
	}
	if rows, err := p.Count([]PageRange{{0, 4096}, {1 << 20, 1 << 50}, {1 << 51, 1<<51 + 4096}}, time.Minute); err != nil || rows[0].Resident != 4096 || !rows[1].At.IsZero() || rows[2].Resident != 4096 {
		t.Errorf("a range without bounds: %+v, %v", rows, err)
	}
	f.err = errors.New("gone")
	if _, err := p.Count(ranges, time.Minute); !errors.Is(err, f.err) {
		t.Errorf("error is %v", err)
	}
}

func TestNeighboursAreReadInOneLook(t *testing.T) {
	f := &fakePages{}
	p := &Pager{source: f}
	var ranges []PageRange
	for i := range uint64(1000) {
		ranges = append(ranges, PageRange{i * 3 * pageSize, i*3*pageSize + pageSize})
	}
	rows, err := p.Count(ranges, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.asked) != 1 {
		t.Errorf("%d looks at 12 MB", len(f.asked))
	}
	for _, r := range rows {
		if r.Resident != pageSize {
			t.Fatalf("a page of a row is counted as %+v", r)
		}
	}
}

func TestEntriesOfThePageMap(t *testing.T) {
	p := &pagemap{zero: 77}
	for _, c := range []struct {
		what  string
		entry uint64
		want  pageState
	}{
		{"nothing", 0, 0},
		{"soft-dirty only", 1 << 55, 0},
		{"a page", entryPresent | 1234, pageResident},
		{"a page whose frame is not told", entryPresent, pageResident},
		{"the page of zeros", entryPresent | 77, 0},
		{"a file's page", entryPresent | entryFile | 1234, 0},
		{"in swap", entrySwapped | 5 | 1234<<5, pageSwapped},
		{"shared memory in swap", entrySwapped | entryFile | 5, 0},
		{"a guard", entrySwapped | entryGuard, 0},
	} {
		if got := p.state(c.entry); got != c.want {
			t.Errorf("%s is %d, want %d", c.what, got, c.want)
		}
	}
}

func TestRegionsOfAScan(t *testing.T) {
	for _, c := range []struct {
		what       string
		categories uint64
		want       pageState
	}{
		{"nothing", 0, 0},
		{"a page", scanPresent, pageResident},
		{"the page of zeros", scanPresent | scanZero, 0},
		{"the huge page of zeros", scanPresent | scanZero | scanHuge, 0},
		{"a huge page", scanPresent | scanHuge, pageResident | pageHuge},
		{"in swap", scanSwapped, pageSwapped},
		{"a huge page on its way", scanSwapped | scanHuge, pageSwapped},
		{"a guard", scanSwapped | scanGuard, 0},
	} {
		r := scanRegion{categories: c.categories}
		if got := r.state(); got != c.want {
			t.Errorf("%s is %d, want %d", c.what, got, c.want)
		}
	}
}

// BenchmarkPages counts 256 MiB of small pages, and 20,000 rows of one page between holes.
func BenchmarkPages(b *testing.B) {
	m, err := unix.Mmap(-1, 0, 256<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = unix.Munmap(m) }()
	if err := unix.Madvise(m, unix.MADV_NOHUGEPAGE); err != nil {
		b.Fatal(err)
	}
	for i := 0; i < len(m); i += pageSize {
		m[i] = 1
	}
	start := uint64(uintptr(unsafe.Pointer(&m[0])))
	rows := make([]PageRange, 20000)
	for i := range rows {
		rows[i] = PageRange{start + uint64(i)*2*pageSize, start + uint64(i)*2*pageSize + pageSize}
	}
	for _, source := range []string{"ioctl", "entries"} {
		pager, err := OpenPager(os.Getpid())
		if err != nil {
			b.Fatal(err)
		}
		defer pager.Close()
		if source == "entries" {
			pager.source = newPagemap(pager.source.(*scanner).f)
		}
		b.Run(source+"/256MiB", func(b *testing.B) {
			for b.Loop() {
				got, err := pager.Count([]PageRange{{start, start + uint64(len(m))}}, time.Minute)
				if err != nil || got[0].Resident != uint64(len(m)) {
					b.Fatal(got, err)
				}
			}
		})
		b.Run(source+"/20000rows", func(b *testing.B) {
			for b.Loop() {
				got, err := pager.Count(rows, time.Minute)
				if err != nil || got[19999].Resident != pageSize {
					b.Fatal(got[19999], err)
				}
			}
		})
	}
}
