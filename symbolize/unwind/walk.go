package unwind

import (
	"errors"
	"strings"
	"time"

	"vmaleak/symbolize/hotspot"
)

// Bounds of one walk. 400 levels of interpreted recursion fit.
const (
	maxFrames = 4096
	maxWalk   = 50 * time.Millisecond
)

// unmapped stands for the module of an address, itself the offset, that is in no area of code.
const unmapped = "[unmapped]"

// step is one physical frame: native code at a place, or a frame of the VM.
type step struct {
	mod  *module // nil of code in no file
	area string  // then the area's name
	addr uint64  // in the module, or from the area's start
	java hotspot.Physical
}

// trace is what a walk has found.
type trace struct {
	steps  []step
	status Status
	reason string
}

func (t *trace) end(s Status, reason string) { t.status, t.reason = s, reason }

// walker is the state of one walk.
type walker struct {
	r     *Resolver
	p     *process
	w     *words
	m     *machine
	raw   *Raw
	c     cursor
	t     *trace
	limit deadline

	java      hotspot.Cursor
	continued bool   // the frames from here on are from a virtual thread's heap
	guessed   string // why the result is not to be trusted in full
	returns   []Return
}

// walk finds the physical frames of a stack.
func (r *Resolver) walk(p *process, raw *Raw, w *words, t *trace) {
	t.steps = t.steps[:0]
	x := walker{r: r, p: p, w: w, m: r.machine, raw: raw, t: t, returns: raw.Returns,
		limit: deadline{time.Now().Add(maxWalk)}}
	x.c = cursor{pc: raw.PC, sp: raw.SP, fp: raw.Regs[x.m.fp], top: true}
	if x.m.lr != 0 {
		x.c.lr = raw.Regs[x.m.lr]
	}
	w.missed = 0
	for n := 0; ; n++ {
		if n == maxFrames {
			t.end(Truncated, reasonDeep)
			return
		}
		if n&63 == 63 && x.limit.passed() {
			t.end(Failed, reasonSlow)
			return
		}
		if done := x.frame(); done {
			return
		}
	}
}

// frame takes down the frame at the cursor and moves to its caller. It reports
// whether the walk has ended.
func (x *walker) frame() bool {
	if x.c.pc == 0 && x.c.fp == 0 {
		return x.stop(errEnd) // marked as the ABI has it
	}
	if x.p.vm.contains(x.c.pc) {
		return x.javaFrame()
	}
	pl := x.r.place(x.p, x.c.at())
	if pl.area == nil {
		if len(x.t.steps) == 0 {
			x.t.steps = append(x.t.steps, step{area: unmapped, addr: x.c.pc})
		}
		x.t.end(Failed, pl.why)
		return true
	}
	if pl.area.name == "[uprobes]" && len(x.returns) > 0 && !x.c.top {
		// arm64: the address was in a register when it was replaced, so that
		// words.restore has not found it.
		x.c.pc, x.returns = x.returns[0].PC, x.returns[1:]
		return false
	}
	s := step{mod: pl.area.mod, addr: pl.addr}
	if s.mod == nil {
		s.area = pl.area.name
	}
	x.t.steps = append(x.t.steps, s)
	next, err := x.nativeNext(&pl)
	if err != nil {
		return x.stop(err)
	}
	if next.sp <= x.c.sp && !x.c.top && !x.continued {
		return x.stop(errNoSense)
	}
	x.c = next
	return false
}

// nativeNext finds the caller of a native frame, by its rule or by a guess.
func (x *walker) nativeNext(pl *place) (cursor, error) {
	switch {
	case pl.rule != noRule:
		switch pl.rule {
		case goEndRule:
			return x.c, errEnd
		case goSwitchRule: // the caller is on another stack, which may be in the copy by chance only
			next, err := x.m.byFramePointer(&x.c, x.w)
			if err != nil {
				err = errSwitch
			}
			return next, err
		}
		return x.m.next(&x.c, pl.rule, x.w)
	case pl.why == reasonJIT && x.p.vm.later:
		return x.c, errUnknown(reasonNoVM)
	case pl.why == reasonJIT:
		next, err := x.m.byFramePointer(&x.c, x.w)
		if err == nil && !x.isReturn(next.pc) {
			err = errNoSense
		}
		if err != nil {
			return next, errUnknown(pl.why)
		}
		x.guess(reasonJIT)
		return next, nil
	case pl.area.mod != nil:
		next, ok := x.scan(pl.area.mod)
		if !ok {
			return next, errUnknown(pl.why)
		}
		if x.guess(reasonGuessed); strings.Contains(pl.area.mod.name, "musl") {
			x.guess(reasonMusl)
		}
		return next, nil
	}
	return x.c, errUnknown(pl.why)
}

// errUnknown is the end of a walk for one of the reasons.
type errUnknown string

func (e errUnknown) Error() string { return string(e) }

// guess remembers that what follows is not certain. The most telling reason is kept.
func (x *walker) guess(reason string) {
	if x.guessed == "" || x.guessed == reasonGuessed {
		x.guessed = reason
	}
}

// stop ends the walk.
func (x *walker) stop(err error) bool {
	var unknown errUnknown
	switch {
	case errors.Is(err, errEnd) && x.guessed != "":
		x.t.end(Failed, x.guessed)
	case errors.Is(err, errEnd) && x.continued:
		x.t.end(Continued, "")
	case errors.Is(err, errEnd):
		x.t.end(Complete, "")
	case errors.As(err, &unknown):
		x.t.end(Failed, string(unknown))
	case errors.Is(err, errSwitch):
		x.t.end(Truncated, reasonGoroutine)
	case errors.Is(err, hotspot.ErrBeyond):
		x.beyond()
	case errors.Is(err, errNoRule):
		x.t.end(Failed, reasonNoRule)
	default:
		x.t.end(Failed, reasonLoop)
	}
	if x.guessed != "" {
		x.t.end(Failed, x.guessed)
	}
	return true
}

// beyond says why a word of the stack is not in the copy.
func (x *walker) beyond() {
	switch above := x.w.missed >= x.w.base; {
	case len(x.w.mem) == 0:
		x.t.end(Failed, reasonNoCopy)
	case x.w.gap(x.w.missed):
		x.t.end(Failed, reasonAbsent)
	case above && x.raw.Limited:
		x.t.end(Truncated, reasonLimit)
	case above:
		x.t.end(Failed, reasonBeyond)
	default:
		x.t.end(Failed, reasonLoop)
	}
}
