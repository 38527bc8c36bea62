package leak

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

// mustStack makes a stack of a text, innermost first: "function@module < ...",
// where a frame without a module is Java's and "?" no name.
func mustStack(text string) *Stack {
	st := &Stack{ID: "st1", Status: "complete"}
	for _, frame := range strings.Split(text, " < ") {
		name, module, native := strings.Cut(frame, "@")
		f := Frame{Kind: "java"}
		if native {
			f.Kind, f.Module = "native", &module
		}
		if native && name == "mmap" { // as where libc has debug symbols
			f.Kind = "inlined"
		}
		if name != "?" {
			f.Function = &name
		}
		st.Frames = append(st.Frames, f)
	}
	return st
}

const (
	malloced  = "mmap@libc.so.6 < sysmalloc@libc.so.6 < _int_malloc@libc.so.6 < malloc@libc.so.6"
	stripped  = "mmap@/usr/lib/libc.so.6 < ?@/usr/lib/libc.so.6 < ?@/usr/lib/libc.so.6 < malloc@/usr/lib/libc.so.6"
	grown     = "mprotect@libc.so.6 < grow_heap@libc.so.6 < sysmalloc@libc.so.6 < _int_malloc@libc.so.6 < malloc@libc.so.6"
	committed = "__mmap64@libc.so.6 < os::pd_commit_memory(char*, unsigned long, bool)@libjvm.so < os::commit_memory(char*, unsigned long, bool)@libjvm.so"
)

func TestTheAllocatingStackSaysWhatARowIsFor(t *testing.T) {
	mapped := vma.Owner{Op: vma.OpMmap, Flags: anonymous, Acquired: 1 << 20, Origin: vma.Traced}
	protected := vma.Owner{Op: vma.OpMprotect, Acquired: 1 << 20, Origin: vma.Traced}
	reserved := vma.Owner{Op: vma.OpMmap, Flags: anonymous | unix.MAP_NORESERVE, Acquired: 128 << 20, Origin: vma.Traced}
	odd := mapped
	odd.Acquired = 200 << 10
	for _, c := range []struct {
		stack string
		owner vma.Owner
		jvm   bool
		want  string
	}{
		{malloced + " < make@libapp.so", mapped, false, MallocChunk},
		{stripped + " < make@libapp.so", mapped, false, MallocChunk},
		{"mmap@a.out < sysmalloc@a.out < malloc@a.out < main@a.out", mapped, false, MallocChunk},
		{malloced + " < os::malloc(unsigned long, MEMFLAGS)@libjvm.so < Arena::grow(unsigned long)@libjvm.so", mapped, true, MallocChunk},
		{malloced + " < os::malloc(unsigned long)@libjvm.so < Unsafe_AllocateMemory0@libjvm.so", mapped, true, DirectBuffer},
		{stripped + " < ?@libjvm.so < jdk.internal.misc.Unsafe.allocateMemory0(long) < Mix.main()", mapped, true, DirectBuffer},
		{stripped + " < ?@libjvm.so < sun.misc.Unsafe.allocateMemory(long) < io.netty.X.y()", mapped, true, DirectBuffer},
		{malloced + " < init@libzip.so < java.util.zip.Deflater.init(int)", mapped, true, MallocChunk},
		{grown + " < os::malloc(unsigned long)@libjvm.so < Unsafe_AllocateMemory0@libjvm.so", protected, true, MallocArena},
		{"mmap@libc.so.6 < ?@libc.so.6 < malloc@libc.so.6", reserved, false, MallocArena},
		{"mmap@libc.so.6 < new_heap@libc.so.6 < arena_get2@libc.so.6 < malloc@libc.so.6", reserved, false, MallocArena},
		{"mmap@libc.so.6 < ?@libc.so.6 < pthread_create@libc.so.6 < os::create_thread(Thread*)@libjvm.so < JVM_StartThread@libjvm.so < java.lang.Thread.start0()", mapped, true, ThreadStack},
		{malloced + " < pthread_create@libc.so.6 < main@a.out", mapped, false, MallocChunk},
		{committed + " < metaspace::VirtualSpaceNode::commit_range(MetaWordImpl**)@libjvm.so < G1CollectedHeap::collect()@libjvm.so", mapped, true, Metaspace},
		{committed + " < CodeHeap::expand_by(unsigned long)@libjvm.so", mapped, true, CodeCache},
		{committed + " < G1PageBasedVirtualSpace::commit(unsigned long)@libjvm.so < HeapRegionManager::commit_regions(unsigned)@libjvm.so", mapped, true, JavaHeap},
		{committed + " < G1PageBasedVirtualSpace::commit(unsigned long)@libjvm.so < HeapRegionManager::commit_regions(unsigned)@libjvm.so", odd, true, GC},
		{committed + " < CardTable::resize_covered_region(MemRegion)@libjvm.so < PSOldGen::expand(unsigned long)@libjvm.so", mapped, true, GC},
		{committed + " < PSVirtualSpace::expand_by(unsigned long)@libjvm.so < ParallelScavengeHeap::x()@libjvm.so < Alloc.make()", mapped, true, JavaHeap},
		{committed + " < JfrVirtualMemory::commit()@libjvm.so < Parser::parse()@libjvm.so", mapped, true, Other},
		{committed + " < StackOverflow::create_stack_guard_pages()@libjvm.so", mapped, true, ThreadStack},
		{"mmap@libc.so.6 < grab@libleak.so < Java_Leak_grab@libleak.so < Leak.grab()", mapped, true, JNIMmap},
		{"mmap@libc.so.6 < LambdaForm.invoke() < Leak.grab()", mapped, true, JNIMmap},
		{"mmap@libc.so.6 < main@a.out", mapped, false, Other},
		{"runtime.sysMmap@app < runtime.sysReserve@app", mapped, false, Other},
		{"mmap@libc.so.6 < ?@libjemalloc.so.2 < malloc@libjemalloc.so.2 < main@a.out", mapped, false, MallocArena},
	} {
		st := mustStack(c.stack)
		b := builder{s: &Space{ledger: New(Options{})}, h: &Header{}, e: &Entry{},
			stacks: stacks{ask: func(uint32) *Stack { return st }, asked: map[uint32]*named{}}}
		if c.jvm {
			b.e.JVM = &JVM{}
		}
		c.owner.Stack = 1
		a := vma.Area{Range: vma.Range{Start: 0x7f0000001000, End: 0x7f0000001000 + c.owner.Acquired}, Owner: c.owner, Prot: 3, Kind: vma.Anon}
		if c.owner.Flags&unix.MAP_NORESERVE != 0 {
			a.Prot = 0
		}
		if got := b.category(&a); got != c.want {
			t.Errorf("%s of\n\t%s\nis %s, want %s", c.owner.Op, c.stack, got, c.want)
		}
	}
}

func TestRegionsComeBeforeStacks(t *testing.T) {
	regions := sorted([]Region{
		{Range: vma.Range{Start: 0x5000, End: 0x9000}, Category: GC},
		{Range: vma.Range{Start: 0x1000, End: 0x6000}, Category: JavaHeap},
		{Range: vma.Range{Start: 0x6000, End: 0x7000}, Category: "no such"},
	})
	for _, c := range []struct {
		r    vma.Range
		want string
	}{
		{vma.Range{Start: 0x1000, End: 0x3000}, JavaHeap},
		{vma.Range{Start: 0x5000, End: 0x9000}, GC},       // most of it
		{vma.Range{Start: 0x8000, End: 0xa000}, GC},       // half
		{vma.Range{Start: 0x8000, End: 0xb000}, "nobody"}, // less
		{vma.Range{Start: 0x9000, End: 0xb000}, "nobody"},
	} {
		got := "nobody"
		if r := regionOf(regions, c.r); r != nil {
			got = r.Category
		}
		if got != c.want {
			t.Errorf("%v is %s, want %s", c.r, got, c.want)
		}
	}
}

func TestPlaceTellsArenasAndStacksFromBeforeTheTrace(t *testing.T) {
	text := `10000000-14000000 rw-p 00000000 00:00 0
7f0000000000-7f0000021000 rw-p 00000000 00:00 0
7f0000021000-7f0004000000 ---p 00000000 00:00 0
7f0004000000-7f0004010000 rw-p 00000000 00:00 0
7f0004010000-7f0044000000 ---p 00000000 00:00 0
7f0050000000-7f0050004000 ---p 00000000 00:00 0
7f0050004000-7f0050100000 rw-p 00000000 00:00 0
7f0050100000-7f0050101000 ---p 00000000 00:00 0
7f0050101000-7f0050901000 rw-p 00000000 00:00 0
7f0060000000-7f0060012345 rw-p 00000000 00:00 0
`
	text = strings.Replace(text, "60012345", "60012000", 1)
	vm, err := vma.ParseMaps([]byte(text), vma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := New(Options{})
	l.Open(Process{PID: 7, Space: "s1"}, vm, epoch)
	e := l.Snapshot(epoch, Header{Source: SourceLive}, nil).Processes[0]
	var got []string
	for _, m := range e.Mappings {
		got = append(got, *m.Category)
	}
	want := []string{Other, MallocArena, MallocArena, Other, Other, ThreadStack, ThreadStack, ThreadStack, ThreadStack, Other}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("categories are %v, want %v", got, want)
	}
}
