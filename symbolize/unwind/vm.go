package unwind

import (
	"errors"
	"strings"
	"time"

	"vmaleak/symbolize/hotspot"
)

// javaVM is what is used of a HotSpot VM.
type javaVM interface {
	Contains(pc uint64) bool
	Step(c *hotspot.Cursor) (hotspot.Physical, error)
	Expand(p hotspot.Physical) ([]hotspot.Frame, error)
	Resync() error
}

// virtualMachine is the Java VM of a process, if it has one.
type virtualMachine struct {
	pid    int
	java   javaVM
	tried  time.Time
	never  bool // it is none
	gen    uint64
	used   uint64 // when a stack of the process was asked for last
	frames *cache[hotspot.Physical, []Frame]
}

// vmAgain is the time between attempts to read a VM that is only starting.
const vmAgain = 20 * time.Millisecond

// maxJavaFrames are kept with their names per process.
const maxJavaFrames = 16384

func (v *virtualMachine) contains(pc uint64) bool { return v.java != nil && v.java.Contains(pc) }

// attach reads the VM of a process that has libjvm mapped.
func (v *virtualMachine) attach(areas []area) {
	if v.java != nil || v.never || time.Since(v.tried) < vmAgain || !hasLibjvm(areas) {
		return
	}
	v.tried = time.Now()
	switch vm, err := hotspot.Attach(v.pid); {
	case err == nil:
		v.java = vm
		v.frames = newCache[hotspot.Physical, []Frame](maxJavaFrames)
	case errors.Is(err, hotspot.ErrNotHotSpot):
		v.never = true
	}
}

func hasLibjvm(areas []area) bool {
	for i := range areas {
		if strings.HasSuffix(areas[i].name, "/libjvm.so") {
			return true
		}
	}
	return false
}

// resync drops what is remembered of the VM's memory.
func (v *virtualMachine) resync() {
	if v.java == nil {
		return
	}
	v.gen++
	v.frames.clear()
	_ = v.java.Resync() // what cannot be read now fails when it is used
}

// javaFrame takes down a frame in the code cache and moves to its caller.
func (x *walker) javaFrame() bool {
	c := &x.java
	if c.PC != x.c.pc || c.SP != x.c.sp { // native code has called this
		*c = hotspot.Cursor{PC: x.c.pc, SP: x.c.sp, FP: x.c.fp, LR: x.c.lr, Top: x.c.top,
			Words: x.w, TID: x.raw.TID, Continued: x.continued}
	}
	p, err := x.p.vm.java.Step(c)
	if p != (hotspot.Physical{}) {
		x.t.steps = append(x.t.steps, step{java: p})
	}
	switch {
	case errors.Is(err, hotspot.ErrBeyond):
		return x.stop(err)
	case errors.Is(err, hotspot.ErrInHeap):
		x.t.end(Truncated, reasonInHeap)
		return true
	case err != nil:
		return x.stop(errUnknown(reasonVM))
	case c.SP <= x.c.sp && !c.Continued:
		return x.stop(errNoSense)
	}
	x.c = cursor{pc: c.PC, sp: c.SP, fp: c.FP, lr: c.LR, top: c.Top}
	x.continued = c.Continued
	return false
}

// javaNames are the frames of a step of the VM, innermost first.
func (v *virtualMachine) names(p hotspot.Physical) ([]Frame, bool) {
	if f, ok := v.frames.get(p); ok {
		return f, true
	}
	named, err := v.java.Expand(p)
	if err != nil || len(named) == 0 {
		return []Frame{{Kind: Java, Module: "[code cache]", Offset: p.Addr + uint64(p.Pos)}}, false
	}
	frames := make([]Frame, len(named))
	for i, f := range named {
		frames[i] = Frame{Kind: Kind(f.Kind), Function: f.Function, File: f.File, Line: f.Line}
	}
	v.frames.put(p, frames)
	return frames, true
}
