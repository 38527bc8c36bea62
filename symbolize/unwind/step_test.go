package unwind

import (
	"encoding/binary"
	"errors"
	"testing"

	"go.opentelemetry.io/ebpf-profiler/support"

	"vmaleak/symbolize/hotspot"
)

func wordsAt(base uint64, values ...uint64) *words {
	w := &words{base: base}
	for _, v := range values {
		w.mem = binary.LittleEndian.AppendUint64(w.mem, v)
	}
	return w
}

func TestRulesOfBothMachines(t *testing.T) {
	const sp, fp, cfa, lr = support.UnwindRegSp, support.UnwindRegFp, support.UnwindRegCfa, support.UnwindRegLr
	command := func(n int32) rule { return rule{Flags: support.UnwindFlagCommand, Param: n} }
	for _, c := range []struct {
		name string
		m    *machine
		r    rule
		from cursor
		want cursor
		err  error
	}{
		{"a frame without frame pointer", amd64, rule{BaseReg: sp, Param: 16}, cursor{sp: 0x100, fp: 7},
			cursor{pc: 0xa1, sp: 0x110, fp: 7}, nil},
		{"the frame pointer is saved", amd64, rule{BaseReg: fp, Param: 16, AuxBaseReg: cfa, AuxParam: -16}, cursor{sp: 0x100, fp: 0x108},
			cursor{pc: 0xa2, sp: 0x118, fp: 0xa1}, nil},
		{"the canonical frame is in memory", amd64, rule{Flags: support.UnwindFlagDerefCfa, BaseReg: fp, Param: -8}, cursor{sp: 0x100, fp: 0x120},
			cursor{pc: 0xa1, sp: 0x110, fp: 0x120}, nil},
		{"by frame pointer", amd64, command(support.UnwindCommandFramePointer), cursor{sp: 0x100, fp: 0x108},
			cursor{pc: 0xa2, sp: 0x118, fp: 0xa1}, nil},
		{"a PLT entry that has pushed", amd64, command(support.UnwindCommandPLT), cursor{pc: 0x100b, sp: 0x100, top: true},
			cursor{pc: 0xa1, sp: 0x110}, nil},
		{"a PLT entry that has not", amd64, command(support.UnwindCommandPLT), cursor{pc: 0x100a, sp: 0x100, top: true},
			cursor{pc: 0xa0, sp: 0x108}, nil},
		{"the outermost frame", amd64, command(support.UnwindCommandStop), cursor{sp: 0x100}, cursor{}, errEnd},
		{"a stop that is none", amd64, command(support.UnwindCommandStop), cursor{sp: 0x100, fp: 8}, cursor{}, errNoRule},
		{"the stack shrinks", amd64, rule{BaseReg: fp, Param: 16}, cursor{sp: 0x100, fp: 0x80}, cursor{}, errNoSense},
		{"beyond the copy", amd64, rule{BaseReg: sp, Param: 4096}, cursor{sp: 0x100}, cursor{}, hotspot.ErrBeyond},
		{"a register that is not tracked", amd64, rule{BaseReg: support.UnwindRegX86R11, Param: 8}, cursor{sp: 0x100}, cursor{}, errNoRule},

		{"a leaf", arm64, rule{BaseReg: sp, AuxBaseReg: lr}, cursor{sp: 0x100, lr: 0xff00_0000_0000_0b0b, top: true},
			cursor{pc: 0x0b0b, sp: 0x100}, nil},
		{"a leaf that has called", arm64, rule{BaseReg: sp, AuxBaseReg: lr}, cursor{sp: 0x100, lr: 0xb0b}, cursor{}, errNoRule},
		{"a frame with both registers", arm64,
			rule{Flags: support.UnwindFlagFrame, BaseReg: sp, Param: 32, AuxBaseReg: cfa, AuxParam: -24}, cursor{sp: 0x100},
			cursor{pc: 0xa1, sp: 0x120, fp: 0xa0}, nil},
		{"the link register only", arm64, rule{BaseReg: sp, Param: 16, AuxBaseReg: cfa, AuxParam: -16}, cursor{sp: 0x100, fp: 9},
			cursor{pc: 0xa0, sp: 0x110, fp: 9}, nil},
		{"arm64 by frame pointer", arm64, command(support.UnwindCommandFramePointer), cursor{sp: 0x100, fp: 0x108},
			cursor{pc: 0xa2, sp: 0x118, fp: 0xa1}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := wordsAt(0x100, 0xa0, 0xa1, 0xa2, 0x110, 0xa4)
			got, err := c.m.next(&c.from, c.r, w)
			if !errors.Is(err, c.err) || err == nil && got != c.want {
				t.Errorf("got %+v, %v; want %+v, %v", got, err, c.want, c.err)
			}
		})
	}
}

func TestSignalFramesGiveTheInterruptedRegisters(t *testing.T) {
	const base = 0x1000
	values := make([]uint64, 128)
	for i := range values {
		values[i] = base + 8*uint64(i)
	}
	for _, c := range []struct {
		m    *machine
		want cursor
	}{ // each word holds its own address
		{amd64, cursor{pc: base + 168, sp: base + 160, fp: base + 120, top: true}},
		{arm64, cursor{pc: base + 568, sp: base + 560, fp: base + 544, lr: base + 552, top: true}},
	} {
		got, err := c.m.next(&cursor{sp: base}, signalRule, wordsAt(base, values...))
		if err != nil || got != c.want {
			t.Errorf("got %+v, %v; want %+v", got, err, c.want)
		}
	}
}

func TestCallsAreTold(t *testing.T) {
	for _, c := range []struct {
		bytes [8]byte
		call  bool
	}{
		{[8]byte{0x90, 0x90, 0x90, 0xe8, 1, 2, 3, 4}, true},
		{[8]byte{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0}, true},  // call *%rax
		{[8]byte{0x90, 0x90, 0x90, 0x90, 0x90, 0x41, 0xff, 0xd3}, true},  // call *%r11
		{[8]byte{0x90, 0x90, 0xff, 0x15, 1, 2, 3, 4}, true},              // call *x(%rip)
		{[8]byte{0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x50, 0x18}, true},  // call *24(%rax)
		{[8]byte{0x90, 0x90, 0x90, 0x90, 0xff, 0x54, 0x24, 0x08}, true},  // call *8(%rsp)
		{[8]byte{0x90, 0xff, 0x14, 0xc5, 1, 2, 3, 4}, true},              // call *table(,%rax,8)
		{[8]byte{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0}, false}, // jmp *%rax
		{[8]byte{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90}, false}, // nop
		{[8]byte{0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0, 0x90}, false}, // a call and one more
	} {
		if got := callAMD64(c.bytes); got != c.call {
			t.Errorf("% x is a call: %v", c.bytes, got)
		}
	}
	for op, call := range map[uint32]bool{0x94000010: true, 0xd63f0100: true, 0xd61f0100: false, 0xd503201f: false} {
		var p [8]byte
		binary.LittleEndian.PutUint32(p[4:], op)
		if callARM64(p) != call {
			t.Errorf("%#x is a call: %v", op, !call)
		}
	}
}
