package tracer

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"vmaleak/bpf"
)

// The back ends, best first.
const (
	LockSequence = "lock-sequence" // numbers drawn under the mmap lock: exact
	EnterExit    = "enter-exit"    // exact for programs whose threads do not race for addresses
)

// Backend is how the kernel half is attached.
type Backend struct {
	Mode     string
	Hooks    map[string]string // function -> "tracepoint", "tp_btf", or why it is not hooked
	Refused  []string          // back ends that were tried and why they do not work here
	NoStacks string            // why the stacks that were asked for are not copied; "" if they are
}

// Names of the kernel half's maps and programs (bpf/maps.h).
const (
	mapEvents    = "events"
	mapStacks    = "stacks"
	mapStates    = "states"
	mapUnclaimed = "unclaimed"
	mapSpaces    = "spaces"
	mapFollowed  = "followed"
	progRegister = "register_tasks"
)

// ErrRefused is any reason why the kernel half cannot run here.
var ErrRefused = errors.New("the kernel refused the probes")

// load tries the back ends in order and keeps the first that loads, attaches
// and sees our own calls.
func (t *Tracer) load() error {
	// Kernels before 5.11 count maps against RLIMIT_MEMLOCK; without the
	// privilege to raise it the load itself says so.
	memlock := rlimit.RemoveMemlock()
	modes := []string{LockSequence, EnterExit}
	if t.opt.Backend != "" {
		modes = []string{t.opt.Backend}
	}
	var refused []string
	var last error
	for _, mode := range modes {
		t.Backend = Backend{Mode: mode, Hooks: map[string]string{}, Refused: refused}
		err := t.loadMode(mode)
		if err == nil {
			err = t.probe()
		}
		if err == nil {
			return nil
		}
		if cerr := t.unload(); cerr != nil {
			err = errors.Join(err, cerr)
		}
		last = err
		refused = append(refused, fmt.Sprintf("%s: %v", mode, err))
	}
	if memlock != nil && errors.Is(last, unix.EPERM) {
		last = errors.Join(last, memlock)
	}
	return fmt.Errorf("%w: %w%s", ErrRefused, last, cure(last))
}

// cure is the likely remedy for a failed load.
func cure(err error) string {
	switch {
	case os.Geteuid() != 0 && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)):
		return "; run it as root: sudo vmaleak … (or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE)"
	case errors.Is(err, unix.EPERM):
		return "; a capability is missing (CAP_BPF, CAP_PERFMON, in containers also CAP_SYS_ADMIN on older kernels), or the kernel is locked down: vmaleak doctor says which"
	case errors.Is(err, os.ErrNotExist):
		return "; is tracefs mounted (mount -t tracefs tracefs /sys/kernel/tracing) and was the kernel built with CONFIG_FTRACE_SYSCALLS? vmaleak doctor says"
	case errors.Is(err, btf.ErrNotFound) || errors.Is(err, ebpf.ErrNotSupported):
		return "; the kernel is too old or has no BTF (CONFIG_DEBUG_INFO_BTF): vmaleak doctor says which"
	}
	return "; vmaleak doctor says what this kernel allows"
}

// hook is one program and where it goes.
type hook struct {
	prog     string
	point    string // of syscalls/, or "" for a BTF tracepoint
	optional bool
}

var numberedCalls = []string{"mmap", "munmap", "mremap", "brk", "mprotect", "pkey_mprotect", "shmat", "shmdt", "remap_file_pages"}

// hooks lists what a mode attaches, the lock last: a number drawn must find its report attached.
func hooks(mode string, lockArgs int) []hook {
	madvise := "sys_exit_madvise"
	if mode == EnterExit {
		madvise = "sys_enter_madvise"
	}
	hs := []hook{
		{prog: madvise, point: madvise, optional: true},
		{prog: "task_fork"}, {prog: "task_exec"}, {prog: "task_exit"},
		{prog: "space_end", optional: mode == EnterExit},
	}
	optional := map[string]bool{"pkey_mprotect": true, "remap_file_pages": true, "shmat": true, "shmdt": true}
	for _, call := range numberedCalls {
		if mode == EnterExit {
			if call != "remap_file_pages" {
				hs = append(hs, hook{prog: "plain_exit_" + call, point: "sys_exit_" + call, optional: optional[call]},
					hook{prog: "plain_enter_" + call, point: "sys_enter_" + call, optional: optional[call]})
			}
			continue
		}
		hs = append(hs, hook{prog: "sys_exit_" + call, point: "sys_exit_" + call, optional: optional[call]})
	}
	if mode == EnterExit {
		return hs
	}
	hs = append(hs, hook{prog: "sys_exit_clone", point: "sys_exit_clone"},
		hook{prog: "sys_exit_clone3", point: "sys_exit_clone3", optional: true},
		hook{prog: "sys_exit_fork", point: "sys_exit_fork", optional: true})
	if lockArgs == 3 {
		return append(hs, hook{prog: "lock_three"})
	}
	return append(hs, hook{prog: "lock_four"})
}

func (t *Tracer) loadMode(mode string) error {
	spec, err := bpf.Load()
	if err != nil {
		return fmt.Errorf("read the compiled probes: %w", err)
	}
	spec.Maps[mapEvents].MaxEntries = uint32(t.opt.Ring)
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return fmt.Errorf("read the kernel's BTF (needs CONFIG_DEBUG_INFO_BTF): %w", err)
	}
	lockArgs := 0
	if mode == LockSequence {
		if lockArgs, err = tracepointArgs(kernel, "mmap_lock_acquire_returned"); err != nil {
			return err
		}
	}
	_, endErr := tracepointArgs(kernel, "exit_mmap")
	if err := set(spec, "no_exit_mmap", endErr != nil); err != nil {
		return err
	}
	if mode != LockSequence && mode != EnterExit {
		return fmt.Errorf("no back end %q: there are %s and %s", mode, LockSequence, EnterExit)
	}
	if err := t.setStacks(spec, mode); err != nil {
		return err
	}
	if err := t.setMalloc(spec); err != nil {
		return err
	}
	hs := hooks(mode, lockArgs)
	spec2 := *spec
	spec2.Programs = map[string]*ebpf.ProgramSpec{progRegister: spec.Programs[progRegister]}
	t.kernel = kernel
	if t.coll, err = ebpf.NewCollectionWithOptions(&spec2, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{KernelTypes: kernel}}); err != nil {
		return fmt.Errorf("load the maps and the iterator: %w", err)
	}
	for i := uint32(1); i < t.coll.Maps[mapStates].MaxEntries(); i++ {
		if err := t.coll.Maps[mapUnclaimed].Update(nil, i, ebpf.UpdateAny); err != nil {
			return fmt.Errorf("fill the queue of spaces: %w", err)
		}
	}
	if t.states, err = openStates(t.coll.Maps[mapStates]); err != nil {
		return err
	}
	if t.ring, err = ringbuf.NewReader(t.coll.Maps[mapEvents]); err != nil {
		return fmt.Errorf("open the events ring: %w", err)
	}
	if t.stacks.ring, err = ringbuf.NewReader(t.coll.Maps[mapStacks]); err != nil {
		return fmt.Errorf("open the stacks ring: %w", err)
	}
	for _, h := range hs {
		if err := t.attach(spec, h, endErr != nil); err != nil {
			return err
		}
	}
	return nil
}

// setStacks tells the kernel half which stacks to copy. Without any there is no room for them either.
func (t *Tracer) setStacks(spec *ebpf.CollectionSpec, mode string) error {
	ring, least := t.opt.StackRing, t.opt.StackMin
	if t.opt.Stacks && mode != LockSequence {
		t.Backend.NoStacks = "the " + mode + " back end copies no stacks: it is for kernels before 5.15, which do not hand out a task's registers"
	}
	if !t.opt.Stacks || mode != LockSequence {
		ring, least = os.Getpagesize(), ^uint64(0)
	}
	spec.Maps[mapStacks].MaxEntries = uint32(ring)
	return errors.Join(set(spec, "stack_min", least), set(spec, "stack_rate", uint32(t.opt.StackRate)))
}

// set gives a constant of the kernel half its value, before it is loaded.
func set(spec *ebpf.CollectionSpec, name string, value any) error {
	v := spec.Variables[name]
	if v == nil {
		return fmt.Errorf("set %s: there is no such constant", name)
	}
	if err := v.Set(value); err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	return nil
}

// attach loads one program against the maps in place and attaches it.
func (t *Tracer) attach(spec *ebpf.CollectionSpec, h hook, noEnd bool) error {
	name := h.prog
	if h.point != "" {
		name = strings.TrimPrefix(strings.TrimPrefix(h.point, "sys_exit_"), "sys_enter_")
	}
	if h.prog == "space_end" && noEnd {
		t.Backend.Hooks["exit_mmap"] = "none: this kernel has no such tracepoint"
		return nil
	}
	err := t.attachProgram(spec, h.prog, h.point)
	switch {
	case err == nil && h.point == "":
		t.Backend.Hooks[name] = "tp_btf"
	case err == nil:
		t.Backend.Hooks[name] = "tracepoint"
	case h.optional:
		t.Backend.Hooks[name] = "none: " + err.Error()
	default:
		return err
	}
	return nil
}

func (t *Tracer) attachProgram(spec *ebpf.CollectionSpec, prog, point string) error {
	ps := spec.Programs[prog]
	if ps == nil {
		return fmt.Errorf("attach %s: this architecture has no such call: %w", prog, os.ErrNotExist)
	}
	one := *spec
	one.Programs = map[string]*ebpf.ProgramSpec{prog: ps}
	coll, err := ebpf.NewCollectionWithOptions(&one, ebpf.CollectionOptions{
		MapReplacements: t.replacements(&one), Programs: ebpf.ProgramOptions{KernelTypes: t.kernel},
	})
	if err != nil {
		return fmt.Errorf("load %s: %w", prog, err)
	}
	t.progs = append(t.progs, coll)
	var l link.Link
	if point == "" {
		l, err = link.AttachTracing(link.TracingOptions{Program: coll.Programs[prog]})
	} else {
		l, err = link.Tracepoint("syscalls", point, coll.Programs[prog], nil)
	}
	if err != nil {
		return fmt.Errorf("attach %s: %w", prog, err)
	}
	t.links = append(t.links, l)
	return nil
}

// replacements are the maps in place, for every map that spec knows.
func (t *Tracer) replacements(spec *ebpf.CollectionSpec) map[string]*ebpf.Map {
	m := map[string]*ebpf.Map{}
	for name := range spec.Maps {
		if loaded := t.coll.Maps[name]; loaded != nil {
			m[name] = loaded
		}
	}
	return m
}

// tracepointArgs is how many arguments the kernel's tracepoint has.
func tracepointArgs(kernel *btf.Spec, name string) (int, error) {
	var td *btf.Typedef
	if err := kernel.TypeByName("btf_trace_"+name, &td); err != nil {
		return 0, fmt.Errorf("look up the tracepoint %s: %w", name, err)
	}
	if p, ok := td.Type.(*btf.Pointer); ok {
		if f, ok := p.Target.(*btf.FuncProto); ok {
			return len(f.Params) - 1, nil // the first is the caller's data
		}
	}
	return 0, fmt.Errorf("look up the tracepoint %s: its type is no function", name)
}
