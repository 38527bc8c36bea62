package unwind

import (
	"errors"

	"go.opentelemetry.io/ebpf-profiler/nativeunwind/stackdeltatypes"
	"go.opentelemetry.io/ebpf-profiler/support"
)

// cursor is the frame that a walk has come to.
type cursor struct {
	pc, sp, fp, lr uint64
	top            bool // pc was interrupted, not left by a call; on arm64 lr is then live
}

// at is an address inside the instruction that the frame stands at: a return
// address may already belong to the next function.
func (c *cursor) at() uint64 {
	if c.top {
		return c.pc
	}
	return c.pc - 1
}

var (
	errEnd     = errors.New("the outermost frame")
	errNoRule  = errors.New("no rule")
	errNoSense = errors.New("the rule makes no sense")
	errSwitch  = errors.New("the caller is on another stack")
)

// machine is what differs between architectures. Both are compiled
// everywhere, so that both are tested everywhere.
type machine struct {
	fp, sp, lr uint8 // in DWARF's numbering; lr is 0 where the stack has the return address
	step       func(c *cursor, r rule, w *words) (cursor, error)
	call       func(p [8]byte) bool // whether these bytes end in a call
	signal     signalFrame
}

// Rules of our own beside those of the extraction.
var (
	noRule     = stackdeltatypes.UnwindInfoInvalid
	signalRule = stackdeltatypes.UnwindInfoSignal
	// Go knows its outermost functions, and those that change to another stack.
	endRule      = stackdeltatypes.UnwindInfoStop
	goEndRule    = rule{Flags: support.UnwindFlagCommand, Param: 100}
	goSwitchRule = rule{Flags: support.UnwindFlagCommand, Param: 101}
)

// signalFrame says where the kernel saves registers in front of a handler, from
// the stack pointer that the handler returns with.
type signalFrame struct{ pc, sp, fp, lr uint64 }

var amd64 = &machine{fp: 6, sp: 7, step: stepAMD64, call: callAMD64,
	signal: signalFrame{pc: 40 + 16*8, sp: 40 + 15*8, fp: 40 + 10*8}} // ucontext.uc_mcontext

var arm64 = &machine{fp: 29, sp: 31, lr: 30, step: stepARM64, call: callARM64,
	signal: signalFrame{pc: 312 + 32*8, sp: 312 + 31*8, fp: 312 + 29*8, lr: 312 + 30*8}} // siginfo, then ucontext

// next moves to the caller by a rule.
func (m *machine) next(c *cursor, r rule, w *words) (cursor, error) {
	if r.Flags&support.UnwindFlagCommand == 0 {
		return m.step(c, r, w)
	}
	switch r.Param {
	case support.UnwindCommandStop:
		// The ABI has the outermost frame marked by a frame pointer of 0. The
		// extraction says stop for rules it does not understand, too.
		if c.fp == 0 {
			return *c, errEnd
		}
		return *c, errNoRule
	case support.UnwindCommandSignal:
		return m.interrupted(c, w)
	case support.UnwindCommandFramePointer:
		return m.byFramePointer(c, w)
	case support.UnwindCommandPLT:
		// A lazy PLT entry is 16 bytes; it has pushed from its byte 11 on.
		cfa := c.sp + 8
		if c.at()&15 >= 11 {
			cfa += 8
		}
		pc, err := w.Word(cfa - 8)
		return cursor{pc: pc, sp: cfa, fp: c.fp}, err
	}
	return *c, errNoRule
}

// interrupted moves to what a signal has interrupted.
func (m *machine) interrupted(c *cursor, w *words) (n cursor, err error) {
	n.top = true
	for _, reg := range []struct {
		to *uint64
		at uint64
	}{{&n.pc, m.signal.pc}, {&n.sp, m.signal.sp}, {&n.fp, m.signal.fp}, {&n.lr, m.signal.lr}} {
		if reg.at == 0 {
			continue
		}
		if *reg.to, err = w.Word(c.sp + reg.at); err != nil {
			return *c, err
		}
	}
	return n, nil
}

// byFramePointer moves to the caller of a frame that begins with the saved frame
// pointer and the return address.
func (m *machine) byFramePointer(c *cursor, w *words) (cursor, error) {
	if c.fp < c.sp {
		return *c, errNoSense
	}
	fp, err := w.Word(c.fp)
	if err != nil {
		return *c, err
	}
	pc, err := w.Word(c.fp + 8)
	if err != nil {
		return *c, err
	}
	return cursor{pc: m.strip(pc), sp: c.fp + 16, fp: fp}, nil
}

// strip removes what arm64 signs return addresses with.
func strip(pc uint64) uint64 { return pc & (1<<48 - 1) }

func (m *machine) strip(pc uint64) uint64 {
	if m.lr == 0 {
		return pc
	}
	return strip(pc)
}

func stepAMD64(c *cursor, r rule, w *words) (cursor, error) {
	var base uint64
	switch r.BaseReg {
	case support.UnwindRegSp:
		base = c.sp
	case support.UnwindRegFp:
		base = c.fp
	default: // other registers are not tracked
		return *c, errNoRule
	}
	cfa := base + uint64(int64(r.Param))
	if r.Flags&support.UnwindFlagDerefCfa != 0 {
		pre, post := stackdeltatypes.UnpackDerefParam(r.Param)
		v, err := w.Word(base + uint64(int64(pre)))
		if err != nil {
			return *c, err
		}
		cfa = v + uint64(int64(post))
	}
	if r.Flags&support.UnwindFlagRegisterRA != 0 {
		return *c, errNoRule // only with registers that are not tracked
	}
	if cfa <= c.sp {
		return *c, errNoSense
	}
	n := cursor{sp: cfa, fp: c.fp}
	var err error
	if n.pc, err = w.Word(cfa - 8); err != nil {
		return *c, err
	}
	switch r.AuxBaseReg {
	case support.UnwindRegCfa:
		n.fp, err = w.Word(cfa + uint64(int64(r.AuxParam)))
	case support.UnwindRegFp:
		n.fp, err = w.Word(c.fp + uint64(int64(r.AuxParam)))
	}
	return n, err
}

func stepARM64(c *cursor, r rule, w *words) (n cursor, err error) {
	switch r.BaseReg {
	case support.UnwindRegSp:
		n.sp = c.sp + uint64(int64(r.Param))
	case support.UnwindRegFp:
		n.sp = c.fp + uint64(int64(r.Param))
	default:
		return *c, errNoRule
	}
	n.fp = c.fp
	switch r.AuxBaseReg {
	case support.UnwindRegLr:
		// Only a frame that calls nobody still has its return address there.
		if !c.top {
			return *c, errNoRule
		}
		if n.sp < c.sp {
			return *c, errNoSense
		}
		n.pc = strip(c.lr)
		return n, nil
	case support.UnwindRegCfa:
		at := n.sp + uint64(int64(r.AuxParam))
		if n.pc, err = w.Word(at); err != nil {
			return *c, err
		}
		if r.Flags&support.UnwindFlagFrame != 0 {
			if n.fp, err = w.Word(at - 8); err != nil {
				return *c, err
			}
		}
	default:
		return *c, errNoRule
	}
	if n.sp <= c.sp {
		return *c, errNoSense
	}
	n.pc = strip(n.pc)
	return n, nil
}
