package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/ebpf-profiler/support"
)

// ownVdso is a small and whole ELF file that every machine has.
func ownVdso(tb testing.TB) []byte {
	tb.Helper()
	areas, err := readMaps(os.Getpid())
	if err != nil {
		tb.Fatal(err)
	}
	i := slices.IndexFunc(areas, func(a area) bool { return a.name == "[vdso]" })
	_, b, err := readMemory(os.Getpid(), &areas[i])
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func FuzzParseMaps(f *testing.F) {
	f.Add([]byte("7f00-7f10 r-xp 00000000 08:01 42   /lib/libc.so.6 (deleted)\n8000-9000 r-xp 0 00:00 0\n"))
	f.Add([]byte("ff-0 r-xp\n-- --x 0 0 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		areas, err := parseMaps(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range areas {
			if a.end <= a.start || i > 0 && areas[i-1].start > a.start {
				t.Fatalf("areas %+v", areas)
			}
			if got := findArea(areas[i:i+1], a.start); got == nil {
				t.Fatalf("%+v is not found", a)
			}
		}
	})
}

// FuzzImage reads all that is read of a file: the file is the target's.
func FuzzImage(f *testing.F) {
	vdso := ownVdso(f)
	f.Add(vdso, uint64(0x500))
	f.Add(vdso[:len(vdso)/2], uint64(0))
	if cc, err := exec.LookPath("cc"); err == nil {
		out := filepath.Join(f.TempDir(), "small")
		if err := exec.Command(cc, "-g", "-O2", "-nostdlib", "-shared", "-fPIC", "-pthread",
			"-Wl,-z,noseparate-code", "-o", out, "testdata/chain.c").Run(); err == nil {
			if b, err := os.ReadFile(out); err == nil {
				f.Add(b, uint64(0x400))
			}
		}
	}
	f.Fuzz(func(t *testing.T, file []byte, addr uint64) {
		began := time.Now()
		im, err := openImage(bytes.NewReader(file))
		if err != nil {
			return
		}
		m := &module{name: "fuzz", image: im}
		m.image.buildID = "" // no files of this machine
		table := m.rows()
		for i := 1; i < len(table.starts); i++ {
			if table.starts[i] <= table.starts[i-1] {
				t.Fatal("the rows are not sorted")
			}
		}
		m.rule(addr)
		im.address(addr)
		probes := []uint64{addr}
		for _, kind := range []elf.SectionType{elf.SHT_SYMTAB, elf.SHT_DYNSYM} {
			if tab := readSymtab(im, kind); tab != nil {
				probes = append(probes, tab.syms[0].addr)
			}
		}
		for _, at := range probes {
			if frames := m.named(at, os.Getpid(), new(int64)); len(frames) == 0 || len(frames) > maxInlined+1 {
				t.Fatalf("%d frames", len(frames))
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("%d bytes took %v", len(file), took)
		}
	})
}

// FuzzWalk walks any stack by any rules.
func FuzzWalk(f *testing.F) {
	image, err := openImage(bytes.NewReader(ownVdso(f)))
	if err != nil {
		f.Fatal(err)
	}
	const code = 0x10000
	stack := func(words ...uint64) (b []byte) {
		for _, w := range words {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		return b
	}
	rules := []byte{0, support.UnwindRegSp, 8, 0, 0, 1, byte(support.UnwindCommandStop), 0, 0, 0}
	f.Add(stack(code+1, code+2, 0), rules, uint64(code), uint64(0), uint32(0), false)
	f.Add(stack(0x8000, code+1, 0x8010, code+2), []byte{1, 0, 4, 0, 0}, uint64(code), uint64(0x8000), uint32(1), true)
	f.Fuzz(func(t *testing.T, mem, rules []byte, pc, fp uint64, absent uint32, arm bool) {
		r := NewResolver(Options{})
		if r.machine = amd64; arm {
			r.machine = arm64
		}
		m := &module{id: 1, image: image, read: true, table: &rows{}}
		for i := 0; i+5 <= len(rules) && i < 5*256; i += 5 {
			m.table.starts = append(m.table.starts, uint32(i/5))
			m.table.index = append(m.table.index, uint16(i/5))
			m.table.rules = append(m.table.rules, rule{Flags: rules[i], BaseReg: rules[i+1],
				Param: int32(int8(rules[i+2])), AuxBaseReg: rules[i+3], AuxParam: int32(int8(rules[i+4]))})
		}
		p := &process{pid: os.Getpid(), places: newCache[uint64, place](64), vm: &virtualMachine{},
			areas: []area{{start: code, end: code + 4096, name: "[vdso]", mod: m},
				{start: 2 * code, end: 2*code + 4096}, {start: 3 * code, end: 3*code + 4096, name: "[uprobes]"}}}
		raw := &Raw{PC: pc, SP: 0x8000, Mem: mem, Absent: absent, Returns: []Return{{SP: 0x8008, PC: code + 3}}}
		raw.Regs[6], raw.Regs[29], raw.Regs[30] = fp, fp, pc
		began := time.Now()
		r.walk(p, raw, wordsOf(raw), &r.trace)
		if took := time.Since(began); took > 20*maxWalk {
			t.Fatalf("took %v", took)
		}
		if n := len(r.trace.steps); n > maxFrames || r.trace.status == "" {
			t.Fatalf("%d frames, status %q", n, r.trace.status)
		}
		if r.trace.status != Complete && r.trace.reason == "" {
			t.Fatalf("%s without a reason", r.trace.status)
		}
	})
}
