package tracer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"

	"vmaleak/vma"
)

const kib = 1 << 10

// mustStacks is a mapper whose stacks are copied; older kernels say that they cannot.
func mustStacks(tb testing.TB, o Options, args ...string) *mapper {
	tb.Helper()
	o.Stacks = true
	m := mustMapper(tb, o, args...)
	if why := m.tr.Backend.NoStacks; why != "" {
		if m.tr.Backend.Mode == LockSequence {
			tb.Fatal(why)
		}
		tb.Skip(why)
	}
	return m
}

// callers walks the frame pointers of a stack, which the program keeps, and returns its functions.
func callers(tb testing.TB, raw *Stack, name func(uint64) string) (fs []string) {
	tb.Helper()
	fp := raw.Regs[map[string]int{"amd64": 6, "arm64": 29}[runtime.GOARCH]]
	for fp >= raw.SP && fp+16 <= raw.SP+uint64(len(raw.Mem)) {
		at := fp - raw.SP
		pc := binary.LittleEndian.Uint64(raw.Mem[at+8:])
		for _, r := range raw.Returns {
			if r.SP == fp+8 {
				pc = r.PC
			}
		}
		fs = append(fs, name(pc))
		next := binary.LittleEndian.Uint64(raw.Mem[at:])
		if next <= fp {
			break
		}
		fp = next
	}
	return fs
}

func TestStacksHoldTheCallers(t *testing.T) {
	m := mustStacks(t, Options{}, "calls")
	m.run()
	name := mustSymbols(t)
	ev, raw := m.stackOf(vma.OpMmap, 64*kib)
	if raw == nil {
		t.Fatalf("no stack: %+v", m.space.Events.Stacks)
	}
	if raw.PID != m.pid || raw.TID != m.pid || raw.Start != ev.Thread.Start {
		t.Errorf("it is of process %d, thread %d, %d, not of %d, %d", raw.PID, raw.TID, raw.Start, m.pid, ev.Thread.Start)
	}
	if !strings.Contains(name(raw.PC), "mmap") {
		t.Errorf("the program counter is in %q", name(raw.PC))
	}
	if runtime.GOARCH == "amd64" && (raw.Regs[7] != raw.SP || raw.Regs[0] != uint64(ev.Ret) || raw.Regs[4] != ev.Len) {
		t.Errorf("rsp %#x, rax %#x, rsi %#x of a stack at %#x that maps %#x bytes at %#x", raw.Regs[7], raw.Regs[0], raw.Regs[4], raw.SP, ev.Len, ev.Ret)
	}
	got := callers(t, raw, name)
	if i := slices.Index(got, "middle"); i < 0 || !slices.Equal(got[i:min(i+4, len(got))], []string{"middle", "outer", "each_kind", "main"}) {
		if j := slices.Index(got, "main"); i < 0 || j != i+2 || got[i+1] != "outer" { // each_kind inlined
			t.Errorf("the callers are %q", got)
		}
	}
	if raw.Limited || len(raw.Mem) >= 64*kib || len(raw.Mem) == 0 {
		t.Errorf("%d bytes of a small stack, limited: %v", len(raw.Mem), raw.Limited)
	}
	// Between the program's arguments and their strings the kernel leaves up to two pages that nobody touches.
	end, stack := raw.SP+uint64(len(raw.Mem)), mainStackEnd(t, m.pid)
	if end%4096 != 0 || end > stack || end+5*4096 < stack || knowsMappings(t) && end != stack {
		t.Errorf("the copy ends at %#x, the stack at %#x, absent %b", end, stack, raw.Absent)
	}
}

// knowsMappings reports whether the kernel tells where a stack ends.
func knowsMappings(t *testing.T) bool {
	t.Helper()
	err := features.HaveProgramHelper(ebpf.TracePoint, asm.FnFindVma)
	if err != nil && !errors.Is(err, ebpf.ErrNotSupported) {
		t.Fatal(err)
	}
	return err == nil
}

// A large frame that was never touched hides no caller, and its pages are no zeros.
func TestAHollowFrameHidesNoCaller(t *testing.T) {
	m := mustStacks(t, Options{}, "hollow", "16")
	if !knowsMappings(t) {
		t.Skip("this kernel does not tell where a stack ends (before 5.17)")
	}
	m.run()
	_, raw := m.stackOf(vma.OpMmap, 64*kib)
	if raw == nil || raw.Limited {
		t.Fatalf("stack %v: %+v", raw != nil, m.space.Events.Stacks)
	}
	got := callers(t, raw, mustSymbols(t))
	if i := slices.Index(got, "middle"); i < 0 || !slices.Equal(got[i:min(i+4, len(got))], []string{"middle", "outer", "hollow", "main"}) {
		t.Errorf("the callers are %q", got)
	}
	below, at := int(raw.SP%4096), 0
	for n := range bits.OnesCount32(raw.Absent) {
		at += bits.TrailingZeros32(raw.Absent >> at)
		page := raw.Mem[at*4096-below : min((at+1)*4096-below, len(raw.Mem))]
		if n < 3 && slices.ContainsFunc(page, func(b byte) bool { return b != 0 }) {
			t.Errorf("page %d of the copy is absent and holds something", at)
		}
		at++
	}
	if n := bits.OnesCount32(raw.Absent); n < 3 {
		t.Errorf("of a frame of 16 KiB %d pages are absent: %b", n, raw.Absent)
	}
}

// A frame that goes on beyond the limit: what is above it was not looked at.
func TestAHollowFrameBeyondTheLimit(t *testing.T) {
	m := mustStacks(t, Options{}, "hollow", "256")
	m.run()
	_, raw := m.stackOf(vma.OpMmap, 64*kib)
	if raw == nil || len(raw.Mem) > 8*kib || raw.Limited != knowsMappings(t) {
		t.Fatalf("stack %+v", raw)
	}
	if n := bits.OnesCount32(raw.Absent); knowsMappings(t) && n < 15 {
		t.Errorf("%d pages are absent: %b", n, raw.Absent)
	}
}

// mainStackEnd is the end of the row [stack] of a process.
func mainStackEnd(t *testing.T, pid int) (end uint64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasSuffix(line, "[stack]\n") {
			var start uint64
			if _, err := fmt.Sscanf(line, "%x-%x", &start, &end); err != nil {
				t.Fatal(err)
			}
		}
	}
	return end
}

func TestStacksOfWhatAcquires(t *testing.T) {
	m := mustStacks(t, Options{}, "calls")
	m.run()
	for _, c := range []struct {
		what string
		op   vma.Op
		len  uint64
		want bool
	}{
		{"a mapping", vma.OpMmap, 64 * kib, true},
		{"a mapping below the least size", vma.OpMmap, 28 * kib, false},
		{"a shared mapping", vma.OpMmap, 72 * kib, false},
		{"a reservation", vma.OpMmap, 256 * kib, true},
		{"an mprotect that opens", vma.OpMprotect, 76 * kib, true},
		{"an mprotect that closes", vma.OpMprotect, 80 * kib, false},
		{"an mremap that grows", vma.OpMremap, 84 * kib, true},
		{"an mremap that shrinks in place", vma.OpMremap, 88 * kib, false},
		{"an mremap that moves", vma.OpMremap, 60 * kib, true},
		{"a break that grows", vma.OpBrk, 92 * kib, true},
		{"a break that grows by less than the least size", vma.OpBrk, 4 * kib, false},
	} {
		ev, raw := m.stackOf(c.op, c.len)
		if (raw != nil) != c.want || (ev.Stack != 0) != c.want {
			t.Errorf("%s: ticket %#x, stack %v, want %v", c.what, ev.Stack, raw != nil, c.want)
		}
	}
}

func TestStacksOff(t *testing.T) {
	m := mustMapper(t, Options{}, "calls")
	m.run()
	if len(m.stacks) > 0 || m.space.Events.Stacks != (StackCounters{}) || m.tr.Backend.NoStacks != "" {
		t.Errorf("%d stacks, %+v, %q", len(m.stacks), m.space.Events.Stacks, m.tr.Backend.NoStacks)
	}
	if n := m.tr.coll.Maps[mapStacks].MaxEntries(); n != uint32(os.Getpagesize()) {
		t.Errorf("a ring of %d bytes for nothing", n)
	}
}

func TestADeepStackIsLimited(t *testing.T) {
	m := mustStacks(t, Options{}, "deep", "100")
	m.run()
	_, raw := m.stackOf(vma.OpMmap, 68*kib)
	if raw == nil || !raw.Limited || len(raw.Mem) != 64*kib {
		t.Fatalf("stack %v", raw != nil)
	}
	got := callers(t, raw, mustSymbols(t))
	if n := len(got); n < 50 || n > 64 || slices.ContainsFunc(got[2:], func(f string) bool { return f != "deep" }) {
		t.Errorf("%d callers of 1 KiB in 64 KiB: %q", n, got)
	}
}

// Every call is accounted for: its stack is taken, or counted as what it is.
func TestTheRateIsCapped(t *testing.T) {
	m := mustStacks(t, Options{StackRate: 80}, "many", "3000", "2000")
	m.run()
	c, with := m.space.Events.Stacks, 0
	asked := 0
	for _, ev := range m.events {
		if ev.Op == vma.OpMmap && ev.Len == 64*kib {
			asked++
			if ev.Stack >= vma.Ticket {
				with++
			}
		}
	}
	if asked != 3000 || c.Taken+c.RateLimited != 3000 || c.Dropped+c.Failed != 0 || uint64(with) != c.Taken || with != len(m.stacks) {
		t.Errorf("%d calls, %d with a ticket, %d stacks: %+v", asked, with, len(m.stacks), c)
	}
	if c.RateLimited == 0 || with < 80 { // of at least 1.5 s, so of 11 windows of 10
		t.Errorf("%d a second are too many or too few: %+v", 80, c)
	}
}

func TestTenThousandStacksWithoutADrop(t *testing.T) {
	m := mustStacks(t, Options{StackRate: 1 << 20}, "many", "10000", "2000") // a machine that stutters catches up
	m.run()
	if c := m.space.Events.Stacks; c != (StackCounters{Taken: 10000}) || len(m.stacks) != 10000 || m.tr.Unjoined() != 0 {
		t.Errorf("%d stacks, %d without an event: %+v", len(m.stacks), m.tr.Unjoined(), c)
	}
	if m.space.Events.Lost != 0 {
		t.Errorf("%d events were lost", m.space.Events.Lost)
	}
}

// A ring of stacks that is far too small loses stacks and no events.
func TestAFullRingLosesNoEvent(t *testing.T) {
	m := mustStacks(t, Options{StackRing: 128 * kib, StackRate: 1 << 20}, "many", "20000", "0")
	m.run()
	c := m.space.Events.Stacks
	if c.Dropped == 0 || c.Taken+c.Dropped != 20000 || uint64(len(m.stacks)) != c.Taken || m.tr.Unjoined() != 0 {
		t.Errorf("%d stacks, %d without an event: %+v", len(m.stacks), m.tr.Unjoined(), c)
	}
	if m.space.Events.Lost != 0 || m.space.Events.Applied < 40000 {
		t.Errorf("%d events were applied, %d lost", m.space.Events.Applied, m.space.Events.Lost)
	}
}

// A full ring of events loses events, not the order of things: no stack is another call's.
func TestALostEventLeavesItsStackBehind(t *testing.T) {
	m := mustStacks(t, Options{Ring: os.Getpagesize(), StackRate: 1 << 20}, "many", "20000", "0")
	m.run()
	if m.space.Events.Lost == 0 {
		t.Fatal("the ring was too large for the test")
	}
	for _, ev := range m.events {
		if raw := m.stacks[ev.Stack]; raw != nil && runtime.GOARCH == "amd64" && raw.Regs[0] != uint64(ev.Ret) {
			t.Fatalf("the stack of a call that returned %#x came with one that returned %#x", raw.Regs[0], ev.Ret)
		}
	}
	t.Logf("%d events lost, %d stacks unjoined so far: %+v", m.space.Events.Lost, m.tr.Unjoined(), m.space.Events.Stacks)
}

// Another tool's uretprobe puts its own address where the return address was.
func TestAForeignUretprobeHidesNoCaller(t *testing.T) {
	m := mustStacks(t, Options{}, "calls")
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Kprobe, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	bin, err := buildMapper()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := link.OpenExecutable(bin)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"inner", "middle"} {
		l, err := exe.Uretprobe(f, prog, nil)
		if err != nil {
			t.Skipf("this kernel has no uretprobes: %v", err)
		}
		defer l.Close()
	}
	m.run()
	_, raw := m.stackOf(vma.OpMmap, 64*kib)
	if raw == nil || len(raw.Returns) != 2 {
		t.Fatalf("stack %+v", raw)
	}
	name := mustSymbols(t)
	if got := []string{name(raw.Returns[0].PC), name(raw.Returns[1].PC)}; !slices.Equal(got, []string{"middle", "outer"}) {
		t.Errorf("the functions return to %q", got)
	}
	if got := callers(t, raw, name); !slices.Contains(got, "middle") || !slices.Contains(got, "outer") {
		t.Errorf("the callers are %q", got)
	}
}
