package hotspot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
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

// listed is what the VM itself says of its code: the names of compilations by id.
func listed(tb testing.TB, pid, major int) map[uint32]string {
	tb.Helper()
	jcmd, err := exec.LookPath("jcmd")
	if err != nil {
		skip(tb, "needs jcmd in PATH")
	}
	out, err := exec.Command(jcmd, strconv.Itoa(pid), "Compiler.codelist").CombinedOutput()
	if err != nil {
		tb.Fatalf("jcmd: %v: %s", err, out)
	}
	names := map[uint32]string{}
	for _, line := range strings.Split(string(out), "\n") {
		// id level state class.method(descriptor) [addresses]
		var id uint32
		var level, state int
		var name string
		if n, _ := fmt.Sscan(line, &id, &level, &state, &name); n != 4 {
			continue
		}
		open := strings.IndexByte(name, '(')
		if open < 0 {
			tb.Fatalf("codelist says %q", line)
		}
		types, err := parameters(name[open:])
		if err != nil {
			tb.Fatalf("codelist says %q: %v", line, err)
		}
		names[id] = printable(masked(name[:open], major) + types)
	}
	return names
}

var (
	printedLambda = regexp.MustCompile(`(\$\$Lambda)(\$[0-9]+)?/0x[0-9a-f]+`)
	printedHidden = regexp.MustCompile(`/0x[0-9a-f]+`)
)

// masked turns what the VM prints for classes that it names itself into what we print. Before 15 the address is printed, but
// it is no part of the class's name.
func masked(name string, major int) string {
	name = printedLambda.ReplaceAllString(name, "$1"+hiddenMask)
	if major < 15 {
		return printedHidden.ReplaceAllString(name, "")
	}
	return printedHidden.ReplaceAllString(name, hiddenMask)
}

// checkAgainstList compares the names of all compilations with what the VM itself says. They come and go meanwhile: what was
// there before and after must be there in between.
func checkAgainstList(t *testing.T, vm *VM, pid int) {
	before := listed(t, pid, vm.Version().Major)
	if err := vm.Resync(); err != nil {
		t.Fatal(err)
	}
	names := map[uint32]string{}
	vm.eachBlob(t, func(b *blob) {
		if b.isNmethod() {
			frames, err := vm.Expand(b.physical(b.codeBegin))
			if errors.Is(err, ErrGone) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			names[b.compileID] = printable(frames[len(frames)-1].Function)
		}
	})
	after := listed(t, pid, vm.Version().Major)
	compared := 0
	for id, name := range before {
		if after[id] == name {
			compared++
			if names[id] != name {
				t.Errorf("compilation %d is %s, named %q", id, name, names[id])
			}
		}
	}
	t.Logf("%d names of %d equal those of Compiler.codelist", compared, len(names))
	if compared < 50 {
		t.Error("that is too little to be true")
	}
}

// printable leaves out what jcmd does not print right: characters of two units.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xffff || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}

func TestAttachAsAVMStarts(t *testing.T) {
	for version, home := range jdks(t) {
		t.Run(version, func(t *testing.T) {
			classes := mustCompile(t, home, "8", "testdata/Busy.java")
			p := mustRun(t, home, "-Xmx128m", "-cp", classes, "Busy", "100")
			refused := map[string]int{}
			for deadline := time.Now().Add(20 * time.Second); ; {
				vm, err := Attach(p.pid())
				if err == nil {
					if !vm.Contains(vm.code.heaps[0].low) {
						t.Errorf("the first heap begins at %#x", vm.code.heaps[0].low)
					}
					break
				}
				if !errors.Is(err, ErrNotHotSpot) && !errors.Is(err, ErrNotReady) {
					t.Logf("%v", err) // libjvm.so is being mapped
				}
				refused[err.Error()]++
				if time.Now().After(deadline) {
					t.Fatalf("never attached: %v", refused)
				}
			}
			t.Log(refused)
		})
	}
}

func TestNoHotSpot(t *testing.T) {
	if _, err := Attach(os.Getpid()); !errors.Is(err, ErrNotHotSpot) {
		t.Errorf("this process: %v", err)
	}
	for name, maps := range map[string]string{
		"OpenJ9": "7f00-7f01 r--p 00000000 00:00 1 /opt/java/lib/default/libj9vm29.so\n7f01-7f02 r--p 00000000 00:00 1 /opt/java/lib/server/libjvm.so\n",
		"none":   "7f00-7f01 r--p 00000000 00:00 1 /lib/libjvm.so.1\n7f00-7f01 r--p 00001000 00:00 1 /lib/libjvm.so\n7f00-7f01 rw-p 00000000 00:00 0\n",
	} {
		if base, err := parseLibjvm(strings.NewReader(maps)); !errors.Is(err, ErrNotHotSpot) {
			t.Errorf("%s: %#x, %v", name, base, err)
		}
	}
	base, err := parseLibjvm(strings.NewReader("7f00-7f01 r--p 00000000 00:00 1                    /a dir/libjvm.so (deleted)\n"))
	if err != nil || base != 0x7f00 {
		t.Errorf("deleted: %#x, %v", base, err)
	}
}

// busy is a VM to measure.
func busy(b *testing.B) int {
	for _, home := range jdks(b) {
		p := mustRun(b, home, "-Xmx128m", "-cp", mustCompile(b, home, "8", "testdata/Busy.java"), "Busy", "1500")
		for p.line() != "READY" {
		}
		return p.pid()
	}
	return 0
}

func BenchmarkAttach(b *testing.B) {
	pid := busy(b)
	for b.Loop() {
		if _, err := Attach(pid); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExpand(b *testing.B) {
	vm, err := Attach(busy(b))
	if err != nil {
		b.Fatal(err)
	}
	var frames []Physical
	vm.eachBlob(b, func(nm *blob) {
		if nm.kind == blobNmethod {
			offsets, _ := vm.described(b, nm)
			for _, offset := range offsets {
				frames = append(frames, nm.physical(nm.codeBegin+uint64(offset)))
			}
		}
	})
	all := func(b *testing.B, forget func(i int)) {
		for i := 0; b.Loop(); i++ {
			forget(i)
			if _, err := vm.Expand(frames[i%len(frames)]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("known", func(b *testing.B) { all(b, func(int) {}) })
	b.Run("new, pages known", func(b *testing.B) {
		all(b, func(int) { clear(vm.expanded); clear(vm.expandedOld) })
	})
	b.Run("new, pages forgotten for each 40", func(b *testing.B) {
		all(b, func(i int) {
			clear(vm.expanded)
			clear(vm.expandedOld)
			if i%40 == 0 {
				vm.cache.Drop()
			}
		})
	})
}
