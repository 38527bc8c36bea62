package hotspot

import (
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// compilers are the ways in which a VM may make and keep code.
var compilers = []struct {
	name  string
	since int
	args  []string
}{
	{"default", 8, nil},
	{"C1", 8, []string{"-XX:TieredStopAtLevel=1"}},
	{"C2", 8, []string{"-XX:-TieredCompilation"}},
	{"interpreter", 8, []string{"-Xint"}},
	{"one code heap", 9, []string{"-XX:-SegmentedCodeCache"}},
	{"Z", 17, []string{"-XX:+UseZGC"}},
	{"compact headers", 24, []string{"-XX:+UseCompactObjectHeaders"}},
}

// eachCompiler runs a test with the program Busy, which sleeps by then, on every VM.
func eachCompiler(t *testing.T, test func(t *testing.T, vm *VM, pid int)) {
	for version, home := range jdks(t) {
		major, err := strconv.Atoi(version)
		if err != nil {
			t.Fatal(err)
		}
		classes := mustCompile(t, home, "8", "testdata/Busy.java")
		for _, c := range compilers {
			if major < c.since {
				continue
			}
			t.Run(version+" "+c.name, func(t *testing.T) {
				p := mustRun(t, home, append(c.args, "-Xmx128m", "-cp", classes, "Busy", "1500")...)
				for p.line() != "READY" {
				}
				vm, err := Attach(p.pid())
				if err != nil {
					t.Fatal(err)
				}
				if vm.Version().Major != major {
					t.Fatalf("it says to be %v", vm.Version())
				}
				test(t, vm, p.pid())
			})
		}
	}
}

// eachBlob calls each with every blob of the code cache, block by block from the beginning of each heap.
func (vm *VM) eachBlob(tb testing.TB, each func(b *blob)) {
	tb.Helper()
	for _, h := range vm.code.heaps {
		for block := h.low; block < h.high; {
			length, err := vm.u64(block + vm.code.length)
			if vm.code.lengthWidth == 4 {
				length = uint64(uint32(length))
			}
			if err != nil || length == 0 { // not committed, or never used
				break
			}
			end := block + length<<h.shift
			used, err := vm.u8(block + vm.code.used)
			if err != nil {
				tb.Fatal(err)
			}
			if used == blockUsed {
				b, err := vm.blobAround(end - 1)
				if errors.Is(err, ErrGone) { // freed since
					block = end
					continue
				}
				if err != nil {
					tb.Fatal(err)
				}
				if b.addr != block+vm.code.headerSize {
					tb.Fatalf("the segment map leads from %#x to %#x, not to %#x", end-1, b.addr, block+vm.code.headerSize)
				}
				each(b)
			}
			block = end
		}
	}
}

// described lists the pcs of an nmethod that its compiler described.
func (vm *VM) described(tb testing.TB, b *blob) (offsets []uint32, d debug) {
	tb.Helper()
	if b.debugErr != nil {
		tb.Fatal(b.debugErr)
	}
	d = b.debug
	for at := d.pcs.begin; at < d.pcs.end; at += vm.debug.pcSize {
		pc, err := vm.u32(at + vm.debug.pcOffset)
		if err != nil {
			tb.Fatal(err)
		}
		scope, err := vm.u32(at + vm.debug.pcScope)
		if err != nil {
			tb.Fatal(err)
		}
		if int32(pc) >= 0 && scope != 0 {
			offsets = append(offsets, pc)
		}
	}
	return offsets, d
}

var functionForm = regexp.MustCompile(`^[^()/;]+(/<hidden>)?\.(<init>|<clinit>|[^.()/;<>]+)\(([^()/;]|/<hidden>)*\)$`)

// calls are the bytecodes that a frame with a callee may stand at; the VM replaces them with its own, from 203 on.
func calls(opcode uint8) bool { return opcode >= 182 && opcode <= 186 || opcode >= 203 }

func TestEveryNameInTheCodeCache(t *testing.T) {
	source, err := os.ReadFile("testdata/Busy.java")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(source), "\n")
	eachCompiler(t, func(t *testing.T, vm *VM, pid int) {
		var blobs, gone, nmethods, pcs, inlined, ours int
		vm.eachBlob(t, func(b *blob) {
			blobs++
			if !vm.Contains(b.codeBegin) {
				t.Errorf("%s at %#x is not in the code cache", b.name, b.addr)
			}
			if b.codeEnd > b.codeBegin {
				if found, err := vm.blobFor(b.codeEnd - 1); err != nil || *found != *b {
					t.Errorf("%s at %#x is found as %v, %v", b.name, b.addr, found, err)
				}
			}
			frames, err := vm.Expand(b.physical(b.codeBegin))
			if errors.Is(err, ErrGone) {
				gone++
				return
			}
			if err != nil || len(frames) == 0 {
				t.Errorf("%s at %#x: %v, %v", b.name, b.addr, frames, err)
				return
			}
			if !b.isNmethod() {
				if frames[0].Kind != "stub" || frames[0].Function != b.name {
					t.Errorf("%s at %#x is called %v", b.name, b.addr, frames)
				}
				return
			}
			nmethods++
			offsets, d := vm.described(t, b)
			for _, offset := range offsets {
				pcs++
				frames, err := vm.Expand(b.physical(b.codeBegin + uint64(offset)))
				if err != nil {
					t.Errorf("compilation %d, pc %d: %v", b.compileID, offset, err)
					continue
				}
				scopes, near, err := vm.scopesAt(d, offset)
				if err != nil || near || len(scopes) != len(frames) {
					t.Fatalf("%v, %v, %v for %v", scopes, near, err, frames)
				}
				inlined += len(frames) - 1
				for i, f := range frames {
					if kind := map[bool]string{false: "inlined", true: "java"}[i == len(frames)-1]; f.Kind != kind || f.Near {
						t.Errorf("frame %d of %d: %v", i, len(frames), f)
					}
					if !functionForm.MatchString(f.Function) || !utf8.ValidString(f.Function+f.File) {
						t.Errorf("a function called %q in %q", f.Function, f.File)
					}
					if f.File == "Busy.java" {
						ours++
						if f.Line < 1 || f.Line > len(lines) || !strings.HasPrefix(f.Function, "Busy") {
							t.Errorf("%v", f)
						}
					}
					if i > 0 { // it called the frame before
						m, err := vm.method(scopes[i].method)
						if err != nil {
							t.Fatal(err)
						}
						if op, err := vm.u8(m.code + uint64(scopes[i].bci)); err != nil || !calls(op) {
							t.Errorf("bytecode %d, %v at the call of %s in %s", op, err, frames[i-1].Function, f.Function)
						}
					}
				}
			}
		})
		checkCallStub(t, vm)
		t.Logf("%d blobs, %d of them gone, %d nmethods, %d pcs, %d inlined frames, %d frames of ours", blobs, gone, nmethods, pcs, inlined, ours)
		if strings.HasSuffix(t.Name(), "interpreter") {
			return
		}
		if gone > 5 || nmethods < 50 || pcs < 100 || ours < 10 {
			t.Error("that is not what the program does")
		}
		if vm.Version().Major >= 9 {
			checkAgainstList(t, vm, pid)
		}
	})
}

// checkCallStub looks at the stub by which all threads come to Java.
func checkCallStub(t *testing.T, vm *VM) {
	t.Helper()
	back, err := vm.u64(vm.walk.callStub)
	if err != nil {
		t.Fatal(err)
	}
	b, err := vm.blobFor(back)
	if err != nil {
		t.Fatal(err)
	}
	frames, err := vm.Expand(b.physical(back))
	if err != nil || len(frames) != 1 || frames[0].Function != "StubRoutines::call_stub" {
		t.Errorf("the call stub is called %v, %v", frames, err)
	}
}
