//go:build amd64

package unwind

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const copyLimit = 64 << 10 // what the kernel half copies

// resolvePaused runs a program until it stands still and resolves its stack.
func resolvePaused(t *testing.T, prog string, args ...string) *Stack {
	t.Helper()
	pid, tid := startPaused(t, prog, args...)
	return NewResolver(Options{}).Resolve(snapshot(t, pid, tid, copyLimit))
}

// wantInner compares the frames from the first with a given function on: function,
// kind unless it is native, and :line where one is asked for.
func wantInner(t *testing.T, s *Stack, want ...string) {
	t.Helper()
	var got []string
	for i, name := range functions(s) {
		if f := s.Frames[i]; f.Line != 0 {
			name = fmt.Sprintf("%s:%d", name, f.Line)
		}
		got = append(got, name)
	}
	first := slices.Index(got, want[0])
	if first < 0 || len(got) < first+len(want) || !slices.Equal(got[first:first+len(want)], want) {
		t.Errorf("want the frames %q in\n%s", want, dump(s))
	}
}

func wantStatus(t *testing.T, s *Stack, status Status, reason string) {
	t.Helper()
	if s.Status != status || s.Reason != reason {
		t.Errorf("status %s %q, want %s %q\n%s", s.Status, s.Reason, status, reason, dump(s))
	}
}

func TestOptimizedCodeHasItsInlinedCallsAndLines(t *testing.T) {
	s := resolvePaused(t, build(t, "cc", "testdata/chain.c", "-O2", "-g", "-fomit-frame-pointer", "-pthread"))
	wantStatus(t, s, Complete, "")
	wantInner(t, s, "c:13", "b [inlined]:19", "a:29", "main:68")
	if last := s.Frames[len(s.Frames)-1]; last.Function != "_start" {
		t.Errorf("the outermost frame is %q", last.Function)
	}
	if f := s.Frames[1].File; filepath.Base(f) != "chain.c" {
		t.Errorf("file %q", f)
	}
}

func TestStrippedProgramGivesModuleAndOffset(t *testing.T) {
	prog := build(t, "cc", "testdata/chain.c", "-O2", "-pthread", "-s", "-Wl,--build-id")
	s := resolvePaused(t, prog)
	wantStatus(t, s, Complete, "")
	inside := 0
	for _, f := range s.Frames {
		if f.Module != prog {
			continue
		}
		inside++
		if f.Function != "" || f.Offset == 0 || len(f.BuildID) != 40 {
			t.Errorf("frame %+v", f)
		}
	}
	if inside != 4 { // c, a with b in it, main, _start
		t.Errorf("%d frames of the program\n%s", inside, dump(s))
	}
}

func TestThreadEndsWhereItWasCloned(t *testing.T) {
	for _, flags := range [][]string{{"-O2"}, {"-O0"}, {"-O2", "-static"}, {"-O2", "-static-pie"}, {"-O2", "-no-pie"}} {
		args := append([]string{"testdata/chain.c", "-g", "-pthread"}, flags...)
		s := resolvePaused(t, build(t, "cc", args...), "thread")
		wantStatus(t, s, Complete, "")
		wantInner(t, s, "c:13", "b [inlined]:19", "a:29")
		if last := s.Frames[len(s.Frames)-1].Function; !strings.HasPrefix(last, "clone") {
			t.Errorf("%v: the outermost frame is %q", flags, last)
		}
	}
}

func TestSignalHandlerLeadsToWhatItInterrupted(t *testing.T) {
	s := resolvePaused(t, build(t, "cc", "testdata/chain.c", "-O0", "-g", "-pthread"), "signal")
	wantStatus(t, s, Complete, "")
	wantInner(t, s, "c:13", "b [inlined]:19", "a:29", "handler:46", "<signal handler called>")
	wantInner(t, s, "main:61")
}

func TestDeepRecursionIsTruncatedAndSaysSo(t *testing.T) {
	prog := build(t, "cc", "testdata/chain.c", "-O1", "-fno-optimize-sibling-calls", "-pthread")
	count := func(s *Stack) (n int) {
		for _, f := range s.Frames {
			if f.Function == "deep" {
				n++
			}
		}
		return n
	}
	s := resolvePaused(t, prog, "deep", "3000")
	wantStatus(t, s, Truncated, reasonLimit)
	if n := count(s); n < 300 || n > 3000 {
		t.Errorf("%d levels of the recursion", n)
	}
	s = resolvePaused(t, prog, "deep", "300")
	wantStatus(t, s, Complete, "")
	if n := count(s); n != 301 {
		t.Errorf("%d levels of the recursion, want 301", n)
	}
}

func TestTemplatesAreDemangled(t *testing.T) {
	s := resolvePaused(t, build(t, "g++", "testdata/tmpl.cc", "-O2", "-g"))
	wantStatus(t, s, Complete, "")
	const str = "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >"
	wantInner(t, s, "pool::Arena<"+str+" >::grow(std::vector<"+str+", std::allocator<"+str+" > >&, unsigned int):16",
		"operator() [inlined]:26")
	wantInner(t, s, "main:30")
}

func TestGoProgramUnwindsByItsOwnTable(t *testing.T) {
	for _, flags := range []string{"", "-s -w"} {
		s := resolvePaused(t, build(t, "go", "-ldflags="+flags, "./testdata/gochain"))
		wantStatus(t, s, Complete, "")
		wantInner(t, s, "main.(*pool).leak:13", "main.inlined [inlined]:18", "main.outer[go.shape.string]:23", "main.main:29")
		if last := s.Frames[len(s.Frames)-1].Function; last != "runtime.goexit" {
			t.Errorf("the outermost frame is %q", last)
		}
	}
}

func TestMuslIsGuessedAndSaysSo(t *testing.T) {
	s := resolvePaused(t, build(t, "musl-gcc", "testdata/chain.c", "-O2", "-g"))
	wantStatus(t, s, Failed, reasonMusl)
	wantInner(t, s, "c:13", "b [inlined]:19", "a:29", "main:68")
}

func TestVdsoHasFrames(t *testing.T) {
	pid, tid := startPaused(t, build(t, "cc", "testdata/chain.c", "-O2", "-g", "-pthread"))
	raw := snapshot(t, pid, tid, copyLimit)
	r := NewResolver(Options{})
	p, _ := r.process(pid)
	i := slices.IndexFunc(p.areas, func(a area) bool { return a.name == "[vdso]" })
	m := r.module(p, &p.areas[i])
	// As if pause had been called by a function of the vdso that has done nothing yet.
	syms := readSymtab(m.image, 11).syms
	raw.Mem = append([]byte(nil), append(le64(raw.PC), raw.Mem...)...)
	raw.PC, raw.SP = p.areas[i].start+syms[0].addr, raw.SP-8
	s := r.Resolve(raw)
	wantStatus(t, s, Complete, "")
	if f := s.Frames[0]; f.Module != "[vdso]" || f.Function == "" {
		t.Errorf("innermost frame %+v", f)
	}
	wantInner(t, s, "c:13", "b [inlined]:19")
}

func TestReturnAddressOfUretprobeIsPutBack(t *testing.T) {
	pid, tid := startPaused(t, build(t, "cc", "testdata/chain.c", "-O2", "-g", "-pthread"))
	raw := snapshot(t, pid, tid, copyLimit)
	r := NewResolver(Options{})
	want := r.Resolve(raw)
	// Two functions with a uretprobe each: their return addresses lead to the trampoline.
	p := r.processes[pid]
	const trampoline = 0x7fffffffe000
	above := slices.IndexFunc(p.areas, func(a area) bool { return a.start > trampoline }) // [vsyscall]
	p.areas = slices.Insert(p.areas, above, area{start: trampoline, end: trampoline + 4096, name: "[uprobes]"})
	for at := raw.SP; at < raw.SP+2048 && len(raw.Returns) < 2; at += 8 {
		w := wordsOf(raw)
		pc, _ := w.Word(at)
		if a := findArea(p.areas, pc); a != nil && filepath.Base(a.name) == "prog" {
			raw.Returns = append(raw.Returns, Return{SP: at, PC: pc})
			copy(raw.Mem[at-raw.SP:], le64(trampoline))
		}
	}
	if got := r.Resolve(raw); got != want || len(raw.Returns) != 2 {
		t.Errorf("with uretprobes:\n%swithout:\n%s", dump(got), dump(want))
	}
}

func TestEqualStacksAreOnePointerAcrossProcesses(t *testing.T) {
	prog := build(t, "cc", "testdata/chain.c", "-O2", "-g", "-pthread")
	r := NewResolver(Options{})
	pid1, tid1 := startPaused(t, prog)
	pid2, tid2 := startPaused(t, prog)
	a := r.Resolve(snapshot(t, pid1, tid1, copyLimit))
	b := r.Resolve(snapshot(t, pid2, tid2, copyLimit))
	if a != b || len(a.ID) != 16 {
		t.Errorf("two stacks:\n%s%s", dump(a), dump(b))
	}
	if st := r.Stats(); st.Resolved != 2 || st.Repeated != 1 {
		t.Errorf("stats %+v", st)
	}
	if other := resolvePaused(t, prog, "thread"); other.ID == a.ID {
		t.Error("another stack has the same id")
	}
}

func TestProcessThatIsGone(t *testing.T) {
	prog := build(t, "cc", "testdata/chain.c", "-O2", "-g", "-pthread")
	pid, tid := startPaused(t, prog)
	raw := snapshot(t, pid, tid, copyLimit)
	r := NewResolver(Options{})
	want := r.Resolve(raw)
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of the process", func() bool { _, err := readMaps(pid); return err != nil })
	if got := r.Resolve(raw); got != want {
		t.Errorf("what was known is lost:\n%s", dump(got))
	}
	r.Forget(pid)
	wantStatus(t, r.Resolve(raw), Failed, reasonGone)
}

func TestCodeInNoFileIsGuessedByFramePointersAndSaysSo(t *testing.T) {
	s := resolvePaused(t, build(t, "cc", "testdata/jit.c", "-O1", "-g"))
	wantStatus(t, s, Failed, reasonJIT)
	wantInner(t, s, "leaf:10")
	wantInner(t, s, "main:20")
	var anon *Frame
	for i := range s.Frames {
		if s.Frames[i].Module == "[anon]" {
			anon = s.Frames[i]
		}
	}
	if anon == nil || anon.Offset != 5 {
		t.Errorf("the made code's frame is %+v\n%s", anon, dump(s))
	}
}
