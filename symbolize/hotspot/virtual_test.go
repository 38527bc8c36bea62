package hotspot

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
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
	carriers := 0
	for _, th := range threads {
		mounted, ok := vm.MountedVirtualThread(th.TID)
		virtual, carries := want[th.TID]
		if carries != ok || carries != (th.Virtual != nil) {
			t.Errorf("thread %d (%s) carries a virtual thread: %v, by its TID %v, want %v", th.TID, th.Name, th.Virtual != nil, ok, carries)
			continue
		}
		if carries {
			carriers++
			if *th.Virtual != virtual || mounted != virtual {
				t.Errorf("thread %d carries %+v, by its TID %+v, want %+v", th.TID, *th.Virtual, mounted, virtual)
			}
			if !strings.HasPrefix(th.Name, "ForkJoinPool-1-worker-") {
				t.Errorf("the carrier is called %q", th.Name)
			}
		}
	}
	if carriers != 3 {
		t.Errorf("%d carriers, want 3", carriers)
	}
}
