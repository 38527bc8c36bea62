package unwind

import (
	"errors"
	"fmt"
	"os"
	"strconv"
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
	Mounts(stack []byte) bool
	Capture(tid int, sp uint64, stack []byte) *hotspot.Moment
}

// virtualMachine is the Java VM of a process, if it has one.
type virtualMachine struct {
	pid    int
	java   javaVM
	tried  time.Time     // when the last attempt to read it ended
	took   time.Duration // the last attempt
	synced time.Time
	cost   time.Duration    // of the last resync
	never  bool             // it is none
	later  bool             // it could not be read yet
	tids   *cache[int, int] // by ours, theirs; nil if they are the same
	used   uint64           // when a stack of the process was asked for last
	frames *cache[hotspot.Physical, []Frame]
	tasks  tasks
}

// The time between attempts to read a VM that is only starting, at least, and
// between readings of one whose frames could not be read.
const (
	vmAgain = 20 * time.Millisecond
	vmSync  = time.Millisecond
)

// What is kept per process.
const (
	maxJavaFrames = 16384 // with their names
	maxTIDs       = 4096
)

func (v *virtualMachine) contains(pc uint64) bool { return v.java != nil && v.java.Contains(pc) }

// attachVM is hotspot.Attach, but in tests.
var attachVM = hotspot.Attach

// attach reads the VM of a process that has libjvm mapped.
func (v *virtualMachine) attach(areas []area) {
	// What claims to be a VM may be slow to read, and fail again and again.
	if v.java != nil || v.never || time.Since(v.tried) < max(vmAgain, 8*v.took) || !hasLibjvm(areas) {
		return
	}
	began := time.Now()
	vm, err := attachVM(v.pid)
	v.tried, v.later = time.Now(), false
	v.took = v.tried.Sub(began)
	switch {
	case err == nil:
		v.java = vm
		v.frames = newCache[hotspot.Physical, []Frame](maxJavaFrames)
		if innerID(v.pid, v.pid) != v.pid {
			v.tids = newCache[int, int](maxTIDs)
		}
	case errors.Is(err, hotspot.ErrNotHotSpot):
		v.never = true
	default: // it is only starting, or its memory changes too fast
		v.later = true
	}
}

// capture reads what a stack of a virtual thread needs, before that has returned.
func (v *virtualMachine) capture(raw *Raw) *hotspot.Moment {
	if v.java == nil || !v.java.Mounts(raw.Mem) {
		return nil
	}
	return v.java.Capture(v.innerTID(raw.TID), raw.SP, raw.Mem)
}

// innerTID is a thread's number as the VM knows it, which may live in a PID
// namespace of its own.
func (v *virtualMachine) innerTID(tid int) int {
	if v.tids == nil {
		return tid
	}
	inner, ok := v.tids.get(tid)
	if !ok {
		inner = innerID(v.pid, tid)
		v.tids.put(tid, inner)
	}
	return inner
}

// innerID reads a thread's number in the innermost PID namespace that it is in.
func innerID(pid, tid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
	if err != nil {
		return tid
	}
	_, rest, _ := strings.Cut(string(b), "\nNSpid:")
	line, _, _ := strings.Cut(rest, "\n")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return tid
	}
	inner, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return tid
	}
	return inner
}

func hasLibjvm(areas []area) bool {
	for i := range areas {
		if strings.HasSuffix(areas[i].name, "/libjvm.so") {
			return true
		}
	}
	return false
}

// resync drops what is remembered of the VM's memory, and reports whether it did. The
// names of frames stay: a hotspot.Physical has one name for ever.
func (v *virtualMachine) resync() bool {
	if v.java == nil || time.Since(v.synced) < max(vmSync, 20*v.cost) {
		return false
	}
	began := time.Now()
	_ = v.java.Resync() // what cannot be read now fails when it is used
	v.synced = time.Now()
	v.cost = v.synced.Sub(began)
	return true
}

// javaFrame takes down a frame in the code cache and moves to its caller.
func (x *walker) javaFrame() bool {
	c := &x.java
	if c.PC != x.c.pc || c.SP != x.c.sp { // native code has called this
		*c = hotspot.Cursor{PC: x.c.pc, SP: x.c.sp, FP: x.c.fp, LR: x.c.lr, Top: x.c.top,
			Words: x.w, TID: x.p.vm.innerTID(x.raw.TID), Continued: x.continued, Moment: x.r.moment}
	}
	p, err := x.p.vm.java.Step(c)
	x.r.moment = c.Moment
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
