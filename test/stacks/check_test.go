package stacks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vmaleak/symbolize/unwind"
)

// copied is how many bytes of a stack must be enough.
const copied = 60 << 10

// inHeap is the reason of stacks that end where a virtual thread's callers are not on it.
const inHeap = "callers in heap"

// tally is what became of the blocks of one run.
type tally struct {
	blocks, small, found int // small: whose stack is at most 60 KiB; found: of these, complete or continued
	complete, continued  int
	truncated, failed    int
	wrong, missing       int
	reasons              map[string]int
	examples             []string
	seen                 map[string]bool
}

func (t *tally) String() string {
	return fmt.Sprintf("%d blocks: %d complete, %d continued, %d truncated, %d failed; %d of %d up to 60 KiB found (%.2f %%); %d wrong, %d missing; reasons %v",
		t.blocks, t.complete, t.continued, t.truncated, t.failed, t.found, t.small, 100*float64(t.found)/float64(max(t.small, 1)), t.wrong, t.missing, t.reasons)
}

// example keeps one example of each kind of thread and fault.
func (t *tally) example(thread, fault, text string) {
	thread = strings.TrimRight(thread, "0123456789-")
	if key := thread + ": " + fault; !t.seen[key] && len(t.examples) < 12 {
		t.seen[key] = true
		t.examples = append(t.examples, text)
	}
}

// compare checks every block that the program told of.
func compare(told *truth, rec *recorder) *tally {
	t := &tally{reasons: map[string]int{}, seen: map[string]bool{}}
	for _, n := range slices.Sorted(maps.Keys(told.blocks)) {
		b := told.blocks[n]
		t.blocks++
		got, ok := rec.blocks[n]
		if !ok || got.stack == nil {
			t.missing++
			t.example(b.thread, "missing", fmt.Sprintf("block %d of %s: no stack", n, b.thread))
			continue
		}
		s := got.stack
		virtual := strings.HasPrefix(b.thread, "vt-")
		whole := s.Status == unwind.Complete || s.Status == unwind.Continued
		if got.bytes <= copied {
			t.small++
			if whole {
				t.found++
			}
		}
		switch s.Status {
		case unwind.Complete:
			t.complete++
		case unwind.Continued:
			t.continued++
		case unwind.Truncated:
			t.truncated++
		default:
			t.failed++
		}
		if !whole {
			t.reasons[string(s.Status)+": "+s.Reason]++
		}
		err := differs(told.chains[b.chain], s, whole, virtual)
		if function, counts := levels(b.thread); err == nil && whole && function != "" {
			n := 0
			for _, f := range s.Frames {
				if f.Function == function {
					n++
				}
			}
			if !slices.Contains(counts, n) {
				err = fmt.Errorf("%d levels of %s and not one of %v", n, function, counts)
			}
		}
		if cut := s.Status == unwind.Truncated && s.Reason != inHeap; err == nil && cut && !got.limited {
			err = errors.New("all of it was copied")
		}
		if err != nil {
			t.wrong++
			t.example(b.thread, "wrong", fmt.Sprintf("block %d of %s, %s %s: %v\n%s", n, b.thread, s.Status, s.Reason, err, list(s)))
		} else if !whole && got.bytes <= copied {
			t.example(b.thread, s.Reason, fmt.Sprintf("block %d of %s, %d bytes copied: %s: %s\n%s", n, b.thread, got.bytes, s.Status, s.Reason, list(s)))
		}
	}
	return t
}

// allocators are the frames between block and malloc, innermost first.
var allocators = []string{
	"jdk.internal.misc.Unsafe.allocateMemory0(long)", "jdk.internal.misc.Unsafe.allocateMemory(long)", "sun.misc.Unsafe.allocateMemory(long)",
}

// carrier are the frames below a virtual thread's own, that must be there and in this order.
var carrier = []string{
	"jdk.internal.vm.Continuation.enterSpecial(jdk.internal.vm.Continuation,boolean,boolean)",
	"jdk.internal.vm.Continuation.run()",
	"java.lang.VirtualThread.runContinuation()",
	"java.util.concurrent.ForkJoinWorkerThread.run()",
}

// differs compares the Java frames of a stack with what the JVM said they were. If it is whole nothing may be missing, else
// only outer frames may.
func differs(want []frame, s *unwind.Stack, whole, virtual bool) error {
	var got []frame
	for _, f := range s.Frames {
		if f.Kind == unwind.Java || f.Kind == unwind.Inlined && f.Module == "" { // else inlined native code
			got = append(got, frame{f.Function, f.Line})
		}
	}
	for i, name := range allocators {
		if i >= len(got) {
			if whole {
				return fmt.Errorf("only %d Java frames", len(got))
			}
			return nil
		}
		if got[i].function != name {
			return fmt.Errorf("frame %d is %v and not %s", i, got[i], name)
		}
	}
	got = got[len(allocators):]
	for i, w := range want {
		if i >= len(got) {
			if whole {
				return fmt.Errorf("it ends after %d of %d frames, before %v", i, len(want), w)
			}
			return nil
		}
		// The JVM was asked in the line after that of the allocation.
		if got[i].function != w.function || got[i].line != w.line && i > 0 {
			return fmt.Errorf("frame %d of %d is %v and not %v", i, len(want), got[i], w)
		}
	}
	got = got[len(want):]
	if !virtual {
		if len(got) > 0 {
			return fmt.Errorf("%d frames too many, first %v", len(got), got[0])
		}
		return nil
	}
	next := 0
	for i, f := range got {
		if next < len(carrier) && f.function == carrier[next] {
			next++
		} else if next == 0 {
			return fmt.Errorf("frame %d after the virtual thread's is %v and not its carrier's", i, f)
		}
	}
	if whole && next < len(carrier) {
		return fmt.Errorf("no %s below the virtual thread", carrier[next])
	}
	return nil
}

// levels is how often a thread that is named for its recursion calls the function of that recursion, which neither the JVM
// nor the tracer has to say: recurse-400, virtual-100-5 at its bottom and halfway.
func levels(thread string) (function string, counts []int) {
	words := strings.Split(thread, "-")
	switch n := func(i int) int { v, _ := strconv.Atoi(words[i]); return v }; {
	case len(words) == 3 && words[1] == "recurse":
		return "StackScenarios.down(int,int)", []int{n(2)}
	case len(words) > 4 && words[0] == "vt":
		return "StackVirtual$Task.down(int)", []int{n(2), n(2) - n(2)/2 + 1}
	}
	return "", nil
}

// list prints a stack, without the middle of a long one.
func list(s *unwind.Stack) string {
	var b strings.Builder
	for i, f := range s.Frames {
		if i == 40 && len(s.Frames) > 60 {
			fmt.Fprintf(&b, "  … %d more\n", len(s.Frames)-60)
		}
		if i >= 40 && i < len(s.Frames)-20 && len(s.Frames) > 60 {
			continue
		}
		fmt.Fprintf(&b, "  %-8s %s %s:%d %s+%#x\n", f.Kind, f.Function, f.File, f.Line, f.Module, f.Offset)
	}
	return b.String()
}

// text is the account with its examples.
func (t *tally) text() string { return t.String() + "\n" + strings.Join(t.examples, "\n") }

// check fails the test unless the run was right.
func (t *tally) check(tb testing.TB) {
	tb.Helper()
	tb.Log(t)
	if t.blocks == 0 {
		tb.Fatal("the program allocated nothing")
	}
	if t.wrong > 0 || t.missing > 0 || float64(t.found) < 0.999*float64(t.small) {
		tb.Error(t.text())
	}
}

// checkVirtual fails the test if a frame was missing, or too few callers were found.
func (t *tally) checkVirtual(tb testing.TB) {
	tb.Helper()
	tb.Log(t)
	late := t.reasons["truncated: "+inHeap]
	if t.blocks == 0 || t.wrong > 0 || t.missing > 0 || t.found+late < t.small {
		tb.Error(t.text())
	}
	if t.continued < t.blocks/2 {
		tb.Errorf("only %d of %d stacks went on in the heap\n%s", t.continued, t.blocks, t.text())
	}
}
