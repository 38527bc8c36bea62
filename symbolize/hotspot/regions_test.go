package hotspot

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// collectors are the ways in which a VM may lay out its memory.
var collectors = []struct {
	name  string
	since int
	until int
	args  []string
}{
	{"G1", 8, 0, []string{"-XX:+UseG1GC"}},
	{"Serial", 8, 0, []string{"-XX:+UseSerialGC"}},
	{"Parallel", 8, 0, []string{"-XX:+UseParallelGC"}},
	{"Z", 17, 0, []string{"-XX:+UseZGC"}},
	{"Shenandoah", 17, 0, []string{"-XX:+UseShenandoahGC"}},
	{"no shared classes", 8, 0, []string{"-Xshare:off"}},
	{"full class pointers", 8, 26, []string{"-XX:-UseCompressedOops", "-XX:-UseCompressedClassPointers"}},
	{"compact headers", 24, 0, []string{"-XX:+UseCompactObjectHeaders"}},
}

// purposes are the words of the VM's own accounts (native memory tracking) for ours.
var purposes = map[string]string{
	"Java Heap": JavaHeap, "Class": ClassSpace, "Shared class space": ClassSpace, "Metaspace": Metaspace, "Code": CodeCache, "GC": GC,
	"Thread Stack": ThreadStack,
}

var trackedRange = regexp.MustCompile(`(?m)^\s*\[0x([0-9a-f]+) - 0x([0-9a-f]+)\] (reserved|committed).* for ([A-Za-z ]+?)(?: from)?$`)

// mustTrack returns what the VM itself says that it has reserved.
func mustTrack(tb testing.TB, home string, pid int) (reserved []Region) {
	tb.Helper()
	out, err := exec.Command(filepath.Join(home, "bin/jcmd"), strconv.Itoa(pid), "VM.native_memory", "detail").CombinedOutput()
	if err != nil {
		tb.Fatalf("jcmd: %v: %s", err, out)
	}
	for _, m := range trackedRange.FindAllStringSubmatch(string(out), -1) {
		start, err1 := strconv.ParseUint(m[1], 16, 64)
		end, err2 := strconv.ParseUint(m[2], 16, 64)
		if err1 != nil || err2 != nil {
			tb.Fatal(m)
		}
		if p := purposes[m[4]]; p != "" && start > 0 { // ZGC's memory before it is mapped begins at 0
			reserved = append(reserved, Region{Start: start, End: end, Purpose: p})
		}
	}
	if len(reserved) == 0 {
		tb.Fatalf("jcmd says %.2000s", out)
	}
	return reserved
}

// within reports whether all of r is in regions of its purpose.
func within(r Region, regions []Region) bool {
	for at := r.Start; at < r.End; {
		next := at
		for _, o := range regions {
			if o.Purpose == r.Purpose && o.Start <= at && at < o.End {
				next = max(next, o.End)
			}
		}
		if next == at {
			return false
		}
		at = next
	}
	return true
}

// eachCollector runs a test with the program Direct on every VM, with native memory tracking.
func eachCollector(t *testing.T, test func(t *testing.T, p *program, home string)) {
	for version, home := range jdks(t) {
		major, err := strconv.Atoi(version)
		if err != nil {
			t.Fatal(err)
		}
		classes := mustCompile(t, home, "8", "testdata/Direct.java")
		for _, c := range collectors {
			if major < c.since || c.until != 0 && major > c.until {
				continue
			}
			t.Run(version+" "+c.name, func(t *testing.T) {
				args := append([]string{"-XX:NativeMemoryTracking=detail", "-Xmx128m"}, c.args...)
				p := mustRun(t, home, append(args, "-cp", classes, "Direct")...)
				for p.line() != "READY" {
				}
				test(t, p, home)
			})
		}
	}
}

func TestRegionsAreTheVMsOwn(t *testing.T) {
	eachCollector(t, func(t *testing.T, p *program, home string) {
		for _, stripped := range []bool{false, true} {
			vm, err := Attach(p.pid())
			if err != nil {
				t.Fatal(err)
			}
			if stripped {
				vm.findLocals = nil
			}
			regions, err := vm.Regions()
			if err != nil {
				t.Errorf("stripped %v: %v", stripped, err)
			}
			checkRegions(t, vm, regions, mustTrack(t, home, p.pid()), stripped)
		}
	})
}

func checkRegions(t *testing.T, vm *VM, regions, truth []Region, stripped bool) {
	t.Helper()
	z := vm.isSet("UseZGC")
	count, stacks := map[string]int{}, 0
	for i, r := range regions {
		if i > 0 && regions[i-1].End > r.Start || r.Start >= r.End {
			t.Errorf("%+v after %+v", r, regions[max(i-1, 0)])
		}
		count[r.Purpose]++
		if r.Purpose == ThreadStack && r.TID != 0 {
			stacks++
		}
		if more := z && r.Purpose == JavaHeap; !more && !within(r, truth) { // ZGC may use more addresses than it has reserved
			t.Errorf("stripped %v: %#x-%#x is not all of %s: %+v", stripped, r.Start, r.End, r.Purpose, ofPurpose(truth, r.Purpose))
		}
	}
	for _, r := range truth {
		// What cannot be found is small, or is a node of metaspace of which only a part is in use.
		known, part := within(r, regions), stripped && r.Purpose == Metaspace
		if !known && !part && r.Purpose != GC && r.Purpose != ThreadStack {
			t.Errorf("stripped %v: %#x-%#x is of %s, but only %+v are", stripped, r.Start, r.End, r.Purpose, ofPurpose(regions, r.Purpose))
		} else if !known && r.Purpose == GC && r.End-r.Start >= 1<<20 && vm.isSet("UseG1GC") {
			t.Errorf("stripped %v: %#x-%#x (%d KiB) of G1's tables is not found", stripped, r.Start, r.End, (r.End-r.Start)>>10)
		} else if !known && r.End-r.Start >= 1<<20 {
			t.Logf("stripped %v: %#x-%#x (%d KiB) of %s is not found", stripped, r.Start, r.End, (r.End-r.Start)>>10, r.Purpose)
		}
	}
	threads, err := vm.Threads()
	if err != nil {
		t.Fatal(err)
	}
	if stacks != count[ThreadStack] || stacks < 5 || stacks > len(threads)+1 {
		t.Errorf("%d stacks, %d of them with a thread, of %d threads", count[ThreadStack], stacks, len(threads))
	}
	if count[Metaspace] == 0 || count[GC] == 0 && !z {
		t.Errorf("%v", count)
	}
}

func ofPurpose(regions []Region, purpose string) (some []Region) {
	for _, r := range regions {
		if r.Purpose == purpose {
			some = append(some, r)
		}
	}
	return some
}

func TestRegionsAreCutToBeDisjoint(t *testing.T) {
	got := disjoint([]Region{
		{Start: 40, End: 50, Purpose: GC}, {Start: 0, End: 30, Purpose: JavaHeap}, {Start: 10, End: 20, Purpose: GC},
		{Start: 25, End: 40, Purpose: GC}, {Start: 60, End: 70, Purpose: ThreadStack, TID: 1}, {Start: 70, End: 80, Purpose: ThreadStack, TID: 2},
	})
	want := []Region{{Start: 0, End: 30, Purpose: JavaHeap}, {Start: 30, End: 50, Purpose: GC},
		{Start: 60, End: 70, Purpose: ThreadStack, TID: 1}, {Start: 70, End: 80, Purpose: ThreadStack, TID: 2}}
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
}

func TestRegionsOfAVMThatLies(t *testing.T) {
	for _, jdk := range fakeJDKs {
		v := newBuiltVM(t, jdk)
		vm, err := New(v, v.symbol)
		if err != nil {
			t.Fatal(err)
		}
		regions, err := vm.Regions()
		if err == nil || !strings.Contains(err.Error(), "java heap") {
			t.Errorf("%d: a VM without heap and threads: %v", jdk, err)
		}
		if len(regions) != 1 || regions[0].Purpose != CodeCache {
			t.Errorf("%d: %+v", jdk, regions)
		}
	}
}
