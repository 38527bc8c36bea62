package hotspot

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// machines are the ways in which a VM may represent its objects.
var machines = []struct {
	name  string
	since int // the first JDK that has it
	args  []string
	until int // the last; 0: it still has it
}{
	{"default", 8, nil, 0},
	{"Serial", 8, []string{"-XX:+UseSerialGC"}, 0},
	{"Parallel", 8, []string{"-XX:+UseParallelGC"}, 0},
	{"Z", 17, []string{"-XX:+UseZGC"}, 0},
	{"Z with generations by choice", 21, []string{"-XX:+UseZGC", "-XX:+ZGenerational"}, 23},
	{"Shenandoah", 17, []string{"-XX:+UseShenandoahGC"}, 0},
	{"full references", 8, []string{"-XX:-UseCompressedOops"}, 0},
	{"full class pointers", 8, []string{"-XX:-UseCompressedOops", "-XX:-UseCompressedClassPointers"}, 26},
	{"aligned to 16", 8, []string{"-XX:ObjectAlignmentInBytes=16"}, 0},
	{"a heap based high", 8, []string{"-XX:HeapBaseMinAddress=40g"}, 0},
	{"compact headers", 24, []string{"-XX:+UseCompactObjectHeaders"}, 0},
	{"compact headers of Shenandoah", 24, []string{"-XX:+UseCompactObjectHeaders", "-XX:+UseShenandoahGC"}, 0},
	{"compact headers of Z", 24, []string{"-XX:+UseCompactObjectHeaders", "-XX:+UseZGC"}, 0},
	{"strings of two bytes", 11, []string{"-XX:-CompactStrings"}, 0},
	{"without attach and signals", 8, []string{"-Xrs", "-XX:+DisableAttachMechanism"}, 0},
}

// eachMachine runs a test with the program Named on every VM.
func eachMachine(t *testing.T, threads int, test func(t *testing.T, p *program, names map[int]string)) {
	for version, home := range jdks(t) {
		var major int
		if _, err := fmt.Sscan(version, &major); err != nil {
			t.Fatal(err)
		}
		classes := mustCompile(t, home, "8", "../testdata/Named.java")
		for _, m := range machines {
			if major < m.since || m.until != 0 && major > m.until {
				continue
			}
			t.Run(version+" "+m.name, func(t *testing.T) {
				p := mustRun(t, home, append(m.args, "-Xmx96m", "-cp", classes, "Named", fmt.Sprint(threads))...)
				test(t, p, p.named(threads+1))
			})
		}
	}
}

// check compares what was read with the truth: no name may be wrong, and it returns how many are missing.
func check(t *testing.T, threads []Thread, names map[int]string) (missing int) {
	t.Helper()
	found := map[int]bool{}
	for _, th := range threads {
		want, ours := names[th.TID]
		if !th.Named || !ours {
			continue
		}
		found[th.TID] = true
		if th.Name != want {
			t.Errorf("thread %d is called %q, want %q", th.TID, th.Name, want)
		}
		if th.Virtual != nil {
			t.Errorf("thread %d carries %+v", th.TID, *th.Virtual)
		}
	}
	return len(names) - len(found)
}

func TestNamesOfThreads(t *testing.T) {
	const count = 500
	eachMachine(t, count, func(t *testing.T, p *program, names map[int]string) {
		vm, err := Attach(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []string{"at once", "gc", "gc"} {
			if step == "gc" {
				p.tell("gc")
				p.line()
			}
			threads, err := vm.Threads()
			if err != nil {
				t.Fatalf("%s: %v", step, err)
			}
			if missing := check(t, threads, names); missing != 0 {
				t.Errorf("%s: %d names are missing", step, missing)
			}
			for _, th := range threads {
				addr, ok := vm.JavaThread(th.TID)
				if !ok || addr != th.Address {
					t.Errorf("%s: thread %d is at %#x (%v), want %#x", step, th.TID, addr, ok, th.Address)
				}
			}
			helpers := 0
			for _, th := range threads {
				if strings.Contains(th.Name, "CompilerThread") || th.Name == "Signal Dispatcher" {
					helpers++
				}
				if th.Name == "Attach Listener" {
					t.Errorf("%s: the VM has been attached to", step)
				}
			}
			if helpers == 0 {
				t.Errorf("%s: no compiler or signal thread among %d", step, len(threads))
			}
		}
		if addr, ok := vm.JavaThread(os.Getpid()); ok {
			t.Errorf("a thread of another process is at %#x", addr)
		}
	})
}

func TestNamesWhileObjectsMove(t *testing.T) {
	const count = 100
	eachMachine(t, count, func(t *testing.T, p *program, names map[int]string) {
		vm, err := Attach(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		p.tell("litter 1000")
		readings, missing, begin := 0, 0, time.Now()
		for ; time.Since(begin) < time.Second; readings++ {
			threads, err := vm.Threads()
			if err != nil {
				t.Fatal(err)
			}
			missing += check(t, threads, names)
		}
		p.line()
		all := readings * len(names)
		t.Logf("%d of %d names were missing in %d readings", missing, all, readings)
		if missing*100 > all {
			t.Errorf("more than 1 %% of the names were missing: %d of %d", missing, all)
		}
		threads, err := vm.Threads()
		if err != nil {
			t.Fatal(err)
		}
		if missing := check(t, threads, names); missing != 0 {
			t.Errorf("%d names are missing afterwards", missing)
		}
	})
}
