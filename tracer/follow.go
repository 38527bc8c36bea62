package tracer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/prometheus/procfs"

	"vmaleak/bpf"
	"vmaleak/vma"
)

// ErrGone says that there is no such process (any more).
var ErrGone = errors.New("no such process")

// Follow registers the space of a running process and seeds its model. The
// process's children and execs are followed too.
func (t *Tracer) Follow(pid int) error {
	if err := t.Expect(pid); err != nil {
		return err
	}
	// A child that it forks before its own space is registered waits for the next pass.
	for pass := 0; pass < 5 && (pass == 0 || t.unregistered()); pass++ {
		if err := t.registerAll(); err != nil {
			return err
		}
	}
	var r bpf.SpaceRef
	if err := t.coll.Maps[mapFollowed].Lookup(uint32(pid), &r); err != nil || r.Space == 0 {
		_ = t.coll.Maps[mapFollowed].Delete(uint32(pid)) // it may never have been there
		if _, serr := os.Stat("/proc/" + strconv.Itoa(pid)); serr != nil {
			return fmt.Errorf("follow process %d: %w", pid, ErrGone)
		}
		if f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/maps"); err == nil {
			f.Close()
		} else {
			return fmt.Errorf("follow process %d: %w (needs CAP_SYS_PTRACE)", pid, err)
		}
		return fmt.Errorf("follow process %d: it has no address space (a kernel thread or a zombie), or %d spaces are followed already", pid, t.coll.Maps[mapStates].MaxEntries()-1)
	}
	s := t.newSpace(r.Space, r.Gen, pid)
	if s.PID() != pid {
		t.share(s, pid)
		return nil
	}
	if !s.opened {
		t.openSeeded(s)
	}
	t.scanAt = time.Time{}
	return nil
}

// unregistered reports whether a followed process has no space yet.
func (t *Tracer) unregistered() bool {
	var pid uint32
	var r bpf.SpaceRef
	for it := t.coll.Maps[mapFollowed].Iterate(); it.Next(&pid, &r); {
		if r.Space == 0 {
			return true
		}
	}
	return false
}

// Expect follows a process only from its next exec on: for a command about to start.
func (t *Tracer) Expect(pid int) error {
	err := t.coll.Maps[mapFollowed].Update(uint32(pid), bpf.SpaceRef{}, ebpf.UpdateNoExist)
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return fmt.Errorf("follow process %d: %w", pid, err)
	}
	return nil
}

// Follows reports whether the process is followed.
func (t *Tracer) Follows(pid int) bool {
	var r bpf.SpaceRef
	return t.coll.Maps[mapFollowed].Lookup(uint32(pid), &r) == nil
}

// registerAll lets the iterator give a slot to every followed process that has none.
func (t *Tracer) registerAll() error {
	it, err := link.AttachIter(link.IterOptions{Program: t.coll.Programs[progRegister]})
	if err != nil {
		return fmt.Errorf("attach the task iterator: %w", err)
	}
	defer func() { _ = it.Close() }() // a link that pins nothing
	r, err := it.Open()
	if err != nil {
		return fmt.Errorf("open the task iterator: %w", err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("run the task iterator: %w", err)
	}
	return nil
}

// register finds a child that was forked before its parent was registered.
func (t *Tracer) register(parent *Space) {
	if err := t.registerAll(); err != nil {
		parent.trouble = err.Error()
	}
	t.scanAt = time.Time{}
}

// unfollow lets go of a process that runs on: ourselves, after the probe.
func (t *Tracer) unfollow(pid int) {
	for _, s := range t.bySlot {
		if s.PID() != pid {
			continue
		}
		// Not there any more means that the kernel half has let go itself.
		_ = t.coll.Maps[mapSpaces].Delete(s.state.Mm)
		_ = t.coll.Maps[mapFollowed].Delete(uint32(pid))
		t.ignored = ref(s)
		delete(t.bySlot, s.slot)
		// The slot stays taken: records of it may still be in the ring.
	}
}

// startStack is mm->start_stack, which tells the row of the main stack that is named.
func startStack(pid int) (uint64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name may hold spaces and parentheses: count from the last one.
	i := bytes.LastIndexByte(text, ')')
	fields := bytes.Fields(text[i+1:])
	const startstack = 28 - 3
	if i < 0 || len(fields) <= startstack {
		return 0, fmt.Errorf("parse /proc/%d/stat: too short", pid)
	}
	return strconv.ParseUint(string(fields[startstack]), 10, 64)
}

// ModelOptions is what the model must know of the running kernel.
func ModelOptions() (vma.Options, error) {
	o := vma.Options{PageSize: uint64(os.Getpagesize())}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return o, fmt.Errorf("open /proc: %w", err)
	}
	mem, err := fs.Meminfo()
	if err != nil {
		return o, fmt.Errorf("read /proc/meminfo: %w", err)
	}
	if mem.Hugepagesize != nil {
		o.HugePage = *mem.Hugepagesize << 10
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return o, fmt.Errorf("read the kernel's version: %w", err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(release), "%d.%d", &major, &minor); err != nil {
		return o, fmt.Errorf("parse the kernel's version %q: %w", release, err)
	}
	o.FixedBreaks = major < 6 || major == 6 && minor < 17
	return o, nil
}

// PIDs is the thread groups that are followed and have not ended.
func (t *Tracer) PIDs() []int {
	var pids []int
	for _, s := range t.bySlot {
		if !s.opened || s.gone() {
			continue
		}
		for _, pid := range s.PIDs {
			if !s.exits[pid] {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
