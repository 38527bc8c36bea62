package hotspot

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestMountedVirtualThreads(t *testing.T) {
	ran := false
	for version, home := range jdks(t) {
		major, err := strconv.Atoi(version)
		if err != nil {
			t.Fatal(err)
		}
		if major < 21 {
			continue
		}
		ran = true
		classes := mustCompile(t, home, "21", "testdata/Virtual.java")
		for _, args := range [][]string{nil, {"-XX:+UseZGC"}, {"-XX:+UseCompactObjectHeaders"}, {"-XX:-UseCompressedOops"}} {
			if len(args) > 0 && strings.Contains(args[0], "Compact") && major < 24 {
				continue
			}
			t.Run(version+strings.Join(args, " "), func(t *testing.T) { mountedVirtualThreads(t, home, classes, args) })
		}
	}
	if !ran {
		skip(t, "needs a JDK 21 or later")
	}
}

func mountedVirtualThreads(t *testing.T, home, classes string, args []string) {
	p := mustRun(t, home, append(args, "-Xmx96m", "-Djdk.virtualThreadScheduler.parallelism=3", "-cp", classes, "Virtual", "request-7", "", "a-9-b")...)
	want := map[int]Virtual{}
	for line := p.line(); line != "ready"; line = p.line() {
		var tid int
		var v Virtual
		if _, err := fmt.Sscanf(line+" -", "V %d %d %s", &tid, &v.ID, &v.Name); err != nil {
			t.Fatalf("the program says %q: %v", line, err)
		}
		v.Name = strings.TrimSuffix(v.Name, "-") // the empty name
		want[tid] = v
	}
	vm, err := Attach(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	threads, err := vm.Threads()
	if err != nil {
		t.Fatal(err)
	}
	unknown := *vm
	unknown.cont = contLayout{} // as JDK 21 has it
	carriers := 0
	for _, th := range threads {
		virtual, carries := want[th.TID]
		if carries != (th.Virtual != nil) {
			t.Errorf("thread %d (%s) carries a virtual thread: %v, want %v", th.TID, th.Name, th.Virtual != nil, carries)
		}
		if !carries {
			continue
		}
		carriers++
		sp, stack := stackOf(t, p.pid(), th.TID)
		for name, vm := range map[string]*VM{"": vm, " by the whole stack": &unknown} {
			m := vm.Capture(th.TID, sp, stack)
			if m.Virtual == nil || *m.Virtual != virtual || *th.Virtual != virtual {
				t.Errorf("thread %d carries %+v, its stack%s says %+v (%v), want %+v", th.TID, th.Virtual, name, m.Virtual, m.err, virtual)
			}
		}
		entry := vm.Capture(th.TID, sp, stack).entry
		if !vm.Mounts(stack) || vm.Mounts(stack[entry-sp:]) {
			t.Errorf("thread %d: what its stack shows", th.TID)
		}
		stack[entry-sp+vm.cont.entrySize-word]++
		if m := vm.Capture(th.TID, sp, stack); m.Virtual != nil {
			t.Errorf("the stack of another thread is taken for %+v's", *m.Virtual)
		}
		if !strings.HasPrefix(th.Name, "ForkJoinPool-1-worker-") {
			t.Errorf("the carrier is called %q", th.Name)
		}
	}
	if carriers != 3 {
		t.Errorf("%d carriers, want 3", carriers)
	}
}

// stackOf copies the stack of a thread that waits in a system call.
func stackOf(t *testing.T, pid, tid int) (sp uint64, stack []byte) {
	t.Helper()
	var fields []string // of the call: its number, six arguments, stack pointer, pc
	for deadline := time.Now().Add(10 * time.Second); len(fields) != 9; {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", pid, tid))
		if err != nil {
			t.Fatal(err)
		}
		if fields = strings.Fields(string(text)); len(fields) != 9 && time.Now().After(deadline) {
			t.Fatalf("thread %d is in no call: %s", tid, text)
		}
	}
	var err error
	if sp, err = strconv.ParseUint(fields[7], 0, 64); err != nil {
		t.Fatal(err)
	}
	for to := sp &^ (pageSize - 1); len(stack) < 64<<10; {
		to += pageSize
		more, err := (reader{ProcessMemory{pid}}).bytes(sp+uint64(len(stack)), int(to-sp)-len(stack))
		if err != nil {
			break
		}
		stack = append(stack, more...)
	}
	return sp, stack
}
