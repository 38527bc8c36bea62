package unwind

import (
	"bytes"
	"os"
	"testing"

	"go.opentelemetry.io/ebpf-profiler/support"
)

// walkRules walks a stack of made words; code address 0x10000+n has rule n. No other code exists.
func walkRules(t *testing.T, raw *Raw, rules ...rule) *trace {
	t.Helper()
	const code = 0x10000
	image, err := openImage(bytes.NewReader(ownVdso(t)))
	if err != nil {
		t.Fatal(err)
	}
	image.entry = ^uint64(0)
	m := &module{id: 1, image: image, read: true, table: &rows{}}
	for i, r := range rules {
		m.table.starts = append(m.table.starts, uint32(i))
		m.table.index = append(m.table.index, uint16(i))
		m.table.rules = append(m.table.rules, r)
	}
	p := &process{pid: os.Getpid(), places: newCache[uint64, place](64), vm: &virtualMachine{},
		areas: []area{{start: code, end: code + 4096, name: "[vdso]", mod: m}}}
	r := NewResolver(Options{})
	r.machine = amd64
	raw.PC += code
	r.walk(p, raw, wordsOf(raw), &r.trace)
	return &r.trace
}

func TestEndsOfWalks(t *testing.T) {
	const code, base = 0x10000, 0x8000
	up := rule{BaseReg: support.UnwindRegSp, Param: 8} // the return address is on top
	for _, c := range []struct {
		name   string
		words  []uint64
		fp     uint64
		rules  []rule
		limit  bool
		status Status
		reason string
		frames int
	}{
		{"the outermost frame", []uint64{code + 2}, 0, []rule{up, endRule}, false, Complete, "", 2},
		{"a stop with a frame pointer", []uint64{code + 2}, 9, []rule{up, endRule}, false, Failed, reasonNoRule, 2},
		{"a return to nowhere", []uint64{0x666}, 0, []rule{up}, false, Failed, reasonNoCode, 1},
		{"a null return address", []uint64{0}, 0, []rule{up}, false, Complete, "", 1},
		{"a null return address that is not marked", []uint64{0}, 9, []rule{up}, false, Failed, reasonNoCode, 1},
		{"the copy is full", []uint64{code + 1}, 0, []rule{up}, true, Truncated, reasonLimit, 2},
		{"the copy ended early", []uint64{code + 1}, 0, []rule{up}, false, Failed, reasonBeyond, 2},
		{"nothing was copied", nil, 0, []rule{up}, false, Failed, reasonNoCopy, 1},
		{"a frame pointer that leads back", []uint64{1}, base - 64, []rule{{BaseReg: support.UnwindRegFp, Param: 16}}, true, Failed, reasonLoop, 1},
		{"a goroutine", []uint64{code + 2}, base - 64, []rule{up, goSwitchRule}, false, Truncated, reasonGoroutine, 2},
		{"a Go program's outermost function", []uint64{code + 2}, 9, []rule{up, goEndRule}, false, Complete, "", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := &Raw{SP: base, Mem: wordsAt(base, c.words...).mem, Limited: c.limit}
			raw.Regs[amd64.fp] = c.fp
			got := walkRules(t, raw, c.rules...)
			if got.status != c.status || got.reason != c.reason || len(got.steps) != c.frames {
				t.Errorf("%s %q, %d frames; want %s %q, %d", got.status, got.reason, len(got.steps), c.status, c.reason, c.frames)
			}
		})
	}
}

// Where a page was not in memory there are zeros in the copy, which would be the outermost frame.
func TestAbsentPages(t *testing.T) {
	const code, base = 0x10000, 0x8ff0
	up := rule{BaseReg: support.UnwindRegSp, Param: 8}
	for _, c := range []struct {
		name   string
		words  []uint64
		absent uint32
		rule   rule
		status Status
		reason string
		frames int
	}{
		{"in the copy", []uint64{code + 1, code + 1, 0, 0}, 1 << 1, up, Failed, reasonAbsent, 3},
		{"after its end", []uint64{code + 1, code + 1}, 1<<1 | 1<<2, up, Failed, reasonAbsent, 3},
		{"elsewhere", []uint64{code + 1, code + 1, 0, 0}, 1 << 2, up, Complete, "", 3},
		{"half of a word", []uint64{code + 1, code + 1, 0, 0}, 1 << 1, rule{BaseReg: support.UnwindRegSp, Param: 20}, Failed, reasonAbsent, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := &Raw{SP: base, Mem: wordsAt(base, c.words...).mem, Absent: c.absent}
			got := walkRules(t, raw, c.rule, c.rule)
			if got.status != c.status || got.reason != c.reason || len(got.steps) != c.frames {
				t.Errorf("%s %q, %d frames; want %s %q, %d", got.status, got.reason, len(got.steps), c.status, c.reason, c.frames)
			}
		})
	}
}

func TestWalkOfManyFramesIsBounded(t *testing.T) {
	words := make([]uint64, 8000)
	for i := range words {
		words[i] = 0x10001
	}
	raw := &Raw{SP: 0x8000, Mem: wordsAt(0, words...).mem}
	got := walkRules(t, raw, rule{BaseReg: support.UnwindRegSp, Param: 8})
	if got.status != Truncated || got.reason != reasonDeep || len(got.steps) != maxFrames {
		t.Errorf("%s %q, %d frames", got.status, got.reason, len(got.steps))
	}
}

func TestTopOfAStackInNoCodeKeepsItsAddress(t *testing.T) {
	p := &process{pid: os.Getpid(), places: newCache[uint64, place](64), vm: &virtualMachine{}}
	r := NewResolver(Options{})
	r.walk(p, &Raw{PC: 0x666, SP: 0x8000}, &words{base: 0x8000}, &r.trace)
	s, _ := r.name(p, &r.trace)
	if len(s.Frames) != 1 || s.Frames[0].Module != unmapped || s.Frames[0].Offset != 0x666 || s.Reason != reasonNoCode {
		t.Errorf("%s", dump(s))
	}
}
