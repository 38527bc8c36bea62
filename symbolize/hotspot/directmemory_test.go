package hotspot

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

const shadedNetty = "shaded.io.netty.util.internal.PlatformDependent"

// eachDirect runs a test with the program Direct on every VM, and a copy of Netty's class that it may load.
func eachDirect(t *testing.T, args []string, test func(t *testing.T, p *program, netty string)) {
	for version, home := range jdks(t) {
		major, err := strconv.Atoi(version)
		if err != nil {
			t.Fatal(err)
		}
		classes, netty := mustCompile(t, home, "8", "testdata/Direct.java"), mustCompile(t, home, "8", "testdata/shaded/PlatformDependent.java")
		for _, m := range machines {
			if major < m.since || m.until != 0 && major > m.until {
				continue
			}
			t.Run(version+" "+m.name, func(t *testing.T) {
				p := mustRun(t, home, append(append(m.args, "-Xmx96m"), append(args, "-cp", classes, "Direct")...)...)
				for p.line() != "READY" {
				}
				test(t, p, netty)
			})
		}
	}
}

// mustRead reads the counters by their class.
func mustRead(t *testing.T, vm *VM) map[string]DirectMemory {
	t.Helper()
	list, err := vm.DirectMemory()
	if err != nil {
		t.Error(err)
	}
	byClass := map[string]DirectMemory{}
	for _, d := range list {
		byClass[d.Class] = d
	}
	if len(byClass) != len(list) {
		t.Errorf("a class twice: %v", list)
	}
	return byClass
}

func TestDirectMemoryIsCountedExactly(t *testing.T) {
	eachDirect(t, nil, func(t *testing.T, p *program, netty string) {
		vm, err := Attach(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		limit := p.figures("pool", 4)[3] // Parallel's largest heap changes; the limit is what it was at the start
		checkBits := func(step string) {
			t.Helper()
			want := p.figures("pool", 4)
			d := mustRead(t, vm)["java.nio.Bits"]
			if !about(d.Used, want[0], 0) || !about(d.Capacity, want[1], 0) || !about(d.Count, want[2], 0) || !about(d.Limit, limit, 0) {
				t.Errorf("%s: %s of %s bytes, capacity %s, %s buffers, the VM says %d, and %d", step, show(d.Used), show(d.Limit), show(d.Capacity), show(d.Count), want[:3], limit)
			}
		}
		checkBits("before the first buffer")
		p.tell("hold 23 1000003")
		p.line()
		checkBits("23 buffers")
		if _, ok := mustRead(t, vm)[shadedNetty]; ok {
			t.Error("Netty counts before it was loaded")
		}
		p.tell("load " + netty + " " + shadedNetty)
		p.line()
		for _, n := range []uint64{0, 1 << 40, 23 * 16777216} {
			p.tell(fmt.Sprint("count ", n))
			p.line()
			if d := mustRead(t, vm)[shadedNetty]; d.Field != "DIRECT_MEMORY_COUNTER" || !about(d.Used, n, 0) || !about(d.Limit, 987654321, 0) {
				t.Errorf("Netty counts %s of %s, not %d", show(d.Used), show(d.Limit), n)
			}
		}
		p.tell("litter 200")
		p.line()
		checkBits("after collections")
		p.tell("drop")
		p.line()
		d, ok := mustRead(t, vm)[shadedNetty]
		if ok && !vm.heap.concurrent { // the others unload when they like
			t.Errorf("an unloaded Netty counts %s", show(d.Used))
		}
		if ok && !about(d.Used, 23*16777216, 0) {
			t.Errorf("Netty counts %s", show(d.Used))
		}
		checkBits("after classes were unloaded")
	})
}

func TestDirectMemoryWhileObjectsMove(t *testing.T) {
	eachDirect(t, nil, func(t *testing.T, p *program, netty string) {
		vm, err := Attach(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		p.tell("hold 7 1000")
		p.line()
		p.tell("load " + netty + " " + shadedNetty)
		p.line()
		p.tell("count 777")
		p.line()
		p.tell("litter 700")
		readings, missing := 0, 0
		for begin := time.Now(); time.Since(begin) < 600*time.Millisecond; readings++ {
			list, err := vm.DirectMemory()
			if err != nil && len(list) == 2 {
				t.Errorf("nothing is missing: %v", err)
			}
			missing += 2 - len(list)
			for _, d := range list {
				if want := map[string]uint64{"java.nio.Bits": 7000, shadedNetty: 777}[d.Class]; !about(d.Used, want, 0) {
					t.Errorf("%s counts %s, not %d", d.Class, show(d.Used), want)
				}
			}
		}
		p.line()
		t.Logf("%d of %d counters were missing in %d readings", missing, 2*readings, readings)
		if missing*4 > 2*readings {
			t.Error("more than a quarter")
		}
		if list := mustRead(t, vm); len(list) != 2 {
			t.Errorf("afterwards: %v", list)
		}
	})
}

func TestTheLimitOfDirectMemory(t *testing.T) {
	for version, home := range jdks(t) {
		classes := mustCompile(t, home, "8", "testdata/Direct.java")
		p := mustRun(t, home, "-Xmx96m", "-XX:MaxDirectMemorySize=50m", "-cp", classes, "Direct")
		for p.line() != "READY" {
		}
		vm, err := Attach(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []string{"before", "after"} {
			if d := mustRead(t, vm)["java.nio.Bits"]; step == "after" && !about(d.Limit, 50<<20, 0) || d.Limit != nil && *d.Limit != 50<<20 {
				t.Errorf("%s %s: %s", version, step, show(d.Limit))
			}
			p.tell("hold 1 10")
			p.line()
		}
	}
}

func TestCountersOfAVMThatLies(t *testing.T) {
	for _, jdk := range fakeJDKs {
		v := newBuiltVM(t, jdk)
		vm, err := New(v, v.symbol)
		if err != nil {
			t.Fatal(err)
		}
		if list, err := vm.DirectMemory(); err == nil || len(list) != 0 {
			t.Errorf("%d: %v, %v", jdk, list, err)
		}
		if u, err := vm.HeapUsage(); err == nil || u != (Usage{}) {
			t.Errorf("%d: %v, %v", jdk, u, err)
		}
		if s, err := vm.Spaces(); err == nil && s.CodeCache.Used != nil && *s.CodeCache.Used > *s.CodeCache.Committed {
			t.Errorf("%d: %v", jdk, s)
		}
	}
}
