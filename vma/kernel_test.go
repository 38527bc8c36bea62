//go:build linux

package vma

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestApplyEqualsKernel is the second oracle: random calls on an arena of this
// process, applied to a Space that must then equal /proc/self/maps there. The
// arena lies far below where the kernel puts mappings without an address, as
// the Go runtime's are. VMALEAK_SOAK=1 runs it for five minutes,
// VMALEAK_SEED=n repeats a run.
func TestApplyEqualsKernel(t *testing.T) {
	rounds, seeds := 15, []uint64{uint64(time.Now().UnixNano()), 1}
	if s := os.Getenv("VMALEAK_SEED"); s != "" {
		seeds = seeds[:1]
		if _, err := fmt.Sscan(s, &seeds[0]); err != nil {
			t.Fatal(err)
		}
	}
	until := time.Now()
	if os.Getenv("VMALEAK_SOAK") != "" {
		until = until.Add(5 * time.Minute)
	}
	k := newKernel(t)
	k.careful = os.Getenv("VMALEAK_SEED") != ""
	for _, seed := range seeds {
		for i := 0; i < rounds || time.Now().Before(until); i++ {
			t.Logf("VMALEAK_SEED=%d, round %d", seed, i)
			k.round(t, rand.New(rand.NewPCG(seed, uint64(i))), 400)
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("succeeded %v", k.done)
	t.Logf("failed %v, %d compares, %d of them with dirty ranges, %d of which were wrong", k.refused, k.compares, k.dirty, k.healed)
	for _, op := range []Op{OpMmap, OpMunmap, OpMremap, OpMprotect, OpPkeyMprotect, OpShmat, OpShmdt} {
		if k.done[op] < 50 || k.refused[op] == 0 && op != OpMunmap {
			t.Errorf("%v: %d succeeded, %d failed: the test has lost its bite", op, k.done[op], k.refused[op])
		}
	}
	if k.done[OpBrk] == 0 {
		t.Log("brk is not ours: not tested")
	}
}

const (
	arenaPages = 256
	arenaStart = 0x100000000000
)

var (
	arena  = Range{arenaStart, arenaStart + arenaPages*pageBytes}
	around = Range{arena.Start - arena.Len(), arena.End + arena.Len()} // where calls may reach
)

// kernel makes calls and remembers what they did.
type kernel struct {
	s             *Space
	fds           []int // to map
	segments      []segment
	attached      []uint64 // addresses to shmdt
	heap          Range    // from the first break to the highest
	brk           uint64
	seq           uint64
	pending       []Range // dirty
	done, refused map[Op]int
	log           []Event

	compares, dirty, healed int
	careful                 bool // compare after every call
}

type segment struct{ id, size uint64 }

func newKernel(t *testing.T) *kernel {
	k := &kernel{done: map[Op]int{}, refused: map[Op]int{}}
	p, _, errno := unix.Syscall6(unix.SYS_MMAP, uintptr(around.Start), uintptr(around.Len()), 0,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE, ^uintptr(0), 0)
	if errno != 0 || uint64(p) != around.Start {
		t.Fatalf("place the arena: %v", errno)
	}
	k.fds = mustFiles(t)
	for n := range uint64(6) {
		id, _, errno := unix.Syscall(unix.SYS_SHMGET, unix.IPC_PRIVATE, uintptr((n*3+1)*pageBytes), unix.IPC_CREAT|0o600)
		if errno != 0 {
			t.Logf("shmget: %v", errno)
			break
		}
		t.Cleanup(func() { unix.Syscall(unix.SYS_SHMCTL, id, unix.IPC_RMID, 0) })
		k.segments = append(k.segments, segment{uint64(id), (n*3 + 1) * pageBytes})
	}
	t.Cleanup(func() { unix.Syscall(unix.SYS_MUNMAP, uintptr(around.Start), uintptr(around.Len()), 0) })
	b, _, _ := unix.Syscall(unix.SYS_BRK, 0, 0, 0)
	k.brk = uint64(b)
	k.heap = Range{(k.brk + pageBytes - 1) &^ (pageBytes - 1), (k.brk + pageBytes - 1) &^ (pageBytes - 1)}
	return k
}

// mustFiles is a file of each sort that mmap treats differently.
func mustFiles(t *testing.T) []int {
	t.Helper()
	var fds []int
	add := func(fd int, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		fds = append(fds, fd)
	}
	add(unix.MemfdCreate("a name with spaces", 0))
	if err := unix.Ftruncate(fds[0], 64*pageBytes); err != nil {
		t.Fatal(err)
	}
	add(unix.MemfdCreate("sealed", unix.MFD_ALLOW_SEALING))
	if err := unix.Ftruncate(fds[1], 64*pageBytes); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fds[1]), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err != nil {
		t.Fatal(err)
	}
	add(unix.Open("/dev/zero", unix.O_RDWR, 0))
	path := t.TempDir() + "/a\nfile"
	if err := os.WriteFile(path, make([]byte, 64*pageBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	add(unix.Open(path, unix.O_RDONLY, 0))
	add(unix.Open("/proc/self/stat", unix.O_RDONLY, 0)) // cannot be mapped
	return fds
}

// round empties the arena and makes n calls.
func (k *kernel) round(t *testing.T, r *rand.Rand, n int) {
	k.s = New(Options{FixedBreaks: !kernelAtLeast(t, 6, 17)})
	k.attached, k.pending, k.log = nil, nil, nil
	k.apply(&Event{Op: OpMunmap, Addr: around.Start, Len: around.Len()})
	if truth := mustMaps(t); k.heap.Len() != 0 { // what the round before left
		k.s.Reconcile(truth, []Range{k.heap}, PreExisting)
	}
	for range n {
		k.apply(k.random(r))
		if r.IntN(4) == 0 || len(k.pending) > 0 || k.careful {
			k.compare(t)
		}
		if t.Failed() {
			return
		}
	}
}

// apply makes the call that ev asks for, completes ev by its result and gives it to the model.
func (k *kernel) apply(ev *Event) {
	k.seq++
	ev.Seq = k.seq
	ev.Ret = syscallOf(ev)
	if ev.Op == OpBrk {
		ev.Addr = k.brk
		k.brk = uint64(ev.Ret)
		k.heap.End = max(k.heap.End, (k.brk+pageBytes-1)&^(pageBytes-1))
	}
	if ev.Op == OpShmat && !ev.Failed() {
		k.attached = append(k.attached, uint64(ev.Ret))
	}
	if ev.Failed() {
		k.refused[ev.Op]++
	} else {
		k.done[ev.Op]++
	}
	k.log = append(k.log, *ev)
	k.pending = append(k.pending, k.s.Apply(ev).Dirty...)
}

// compare holds the model against /proc/self/maps.
func (k *kernel) compare(t *testing.T) {
	t.Helper()
	k.compares++
	if err := k.s.Check(); err != nil {
		t.Errorf("%v after %s", err, describe(&k.log[len(k.log)-1]))
		return
	}
	ours := []Range{arena, k.heap}
	truth := mustMaps(t)
	diffs := within(coverage(k.s).diff(coverage(truth)), ours)
	if len(k.pending) > 0 {
		k.dirty++
		if len(diffs) > 0 {
			k.healed++
		}
		var only []Range
		for _, d := range k.pending {
			only = append(only, d.Intersect(arena), d.Intersect(k.heap))
		}
		k.pending = nil
		k.s.Reconcile(truth, only, Healed)
		diffs = within(coverage(k.s).diff(coverage(truth)), ours)
	}
	if len(diffs) > 0 {
		t.Errorf("model and kernel differ:")
		for _, d := range diffs {
			t.Logf("%v: have %v %#x, want %v %#x", d.Range, d.Have.Anon, uint8(d.Have.Prot), d.Want.Anon, uint8(d.Want.Prot))
		}
		t.Logf("calls there:\n%s", strings.Join(k.touching(diffs[0].Range), "\n"))
	}
}

// touching is the calls that may have had to do with r.
func (k *kernel) touching(r Range) []string {
	var out []string
	for _, ev := range k.log {
		n := max(ev.Len, ev.NewLen)
		for _, at := range []uint64{ev.Addr, ev.Target, uint64(ev.Ret)} {
			if r.Overlaps(Range{at, at + n}) || ev.Op == OpShmdt && !ev.Failed() {
				out = append(out, describe(&ev))
				break
			}
		}
	}
	return out[max(0, len(out)-60):]
}

// coverage is every area of a space as a view, opaque ones too, for a stricter Diff.
type coverageOf []piece

func coverage(s *Space) coverageOf {
	var out coverageOf
	for a := range s.All() {
		v := View{a.Kind != Opaque, a.Prot}
		if a.Kind == Opaque {
			v.Prot = 0x80 // its protection is nobody's business
		}
		out = append(out, piece{a.Range, v})
	}
	return out
}

func (c coverageOf) diff(want coverageOf) []Difference { return diffPieces(c, want) }

func mustMaps(t *testing.T) *Space {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseMaps(text, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func kernelAtLeast(t *testing.T, major, minor int) bool {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var a, b int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &a, &b); err != nil {
		t.Fatal(err)
	}
	return a > major || a == major && b >= minor
}
