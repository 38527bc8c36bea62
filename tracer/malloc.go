package tracer

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"vmaleak/bpf"
)

// Names of what bpf/malloc.h has.
const (
	mapBlocks   = "blocks"
	mapPendings = "pendings"
	mapLooked   = "looked"
	progSession = "malloc_session"
	progEnter   = "malloc_enter"
	progReturn  = "malloc_return"
)

// How probes in malloc are made.
const (
	Session = "session" // one program for entry and return; spares small blocks the return. From 6.13 on
	Pair    = "pair"    // one for each
)

// ErrNoMalloc says that a process has no malloc that can be followed.
var ErrNoMalloc = errors.New("it has no malloc that can be followed")

// mallocs is the probes in malloc of all processes.
type mallocs struct {
	spec   *ebpf.CollectionSpec // until the programs are loaded
	how    string               // Session or Pair; "" = not loaded yet
	coll   *ebpf.Collection
	looked []byte // the map of that name
	byPID  map[int]*mallocProbes
	used   uint32 // counters given out
}

// mallocProbes is the probes in the files of one process.
type mallocProbes struct {
	since   time.Time
	counter uint32 // index in the map looked
	files   map[fileID]string
	links   []closer
}

type closer interface{ Close() error }

// fd is a link that the kernel keeps by a descriptor.
type fd int

func (f fd) Close() error { return unix.Close(int(f)) }

func (p *mallocProbes) close() error {
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	p.links = nil
	return errors.Join(errs...)
}

func (m *mallocs) close() error {
	var errs []error
	for _, p := range m.byPID {
		errs = append(errs, p.close())
	}
	m.byPID = nil
	m.coll = nil // one of Tracer.progs
	if m.looked != nil {
		errs = append(errs, unix.Munmap(m.looked))
		m.looked = nil
	}
	m.how = ""
	return errors.Join(errs...)
}

// setMalloc prepares the maps of blocks, or leaves them out.
func (t *Tracer) setMalloc(spec *ebpf.CollectionSpec) error {
	if t.opt.Malloc == 0 {
		delete(spec.Maps, mapBlocks)
		delete(spec.Maps, mapPendings)
		delete(spec.Maps, mapLooked)
		return nil
	}
	spec.Maps[mapBlocks].MaxEntries = uint32(t.opt.Live)
	t.malloc.byPID, t.malloc.spec = map[int]*mallocProbes{}, spec
	return set(spec, "malloc_min", t.opt.Malloc)
}

// loadMalloc loads the programs once: one for entry and return, which spares small blocks the return,
// or one for each.
func (t *Tracer) loadMalloc() error {
	m := &t.malloc
	if m.how != "" {
		return nil
	}
	size := int(t.coll.Maps[mapLooked].MaxEntries()) * int(t.coll.Maps[mapLooked].ValueSize())
	var err error
	if m.looked == nil {
		if m.looked, err = unix.Mmap(t.coll.Maps[mapLooked].FD(), 0, size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
			return fmt.Errorf("map the counters of calls of malloc: %w", err)
		}
	}
	load := func(names ...string) error {
		one := *m.spec
		one.Programs = map[string]*ebpf.ProgramSpec{}
		for _, name := range names {
			one.Programs[name] = m.spec.Programs[name]
		}
		m.coll, err = ebpf.NewCollectionWithOptions(&one, ebpf.CollectionOptions{
			MapReplacements: t.replacements(&one), Programs: ebpf.ProgramOptions{KernelTypes: t.kernel}})
		return err
	}
	err = errors.ErrUnsupported
	if t.opt.Probes != Pair {
		if err = load(progSession); err == nil {
			m.how = Session
		}
	}
	if t.opt.Probes != Session && err != nil {
		if err = load(progEnter, progReturn); err == nil {
			m.how = Pair
		}
	}
	if err != nil {
		return fmt.Errorf("load the probes for malloc: %w; they need a kernel from 5.15 on with CONFIG_UPROBE_EVENTS", err)
	}
	t.progs = append(t.progs, m.coll) // what the kernel skips of them counts, too
	m.spec, t.kernel = nil, nil
	return nil
}

// FollowMalloc begins to follow the blocks of a process, of at least Options.Malloc bytes, in every file
// that it has mapped and that defines malloc; again, it looks for files that were mapped since.
// It returns how many files it added. Without any, at all, the error is ErrNoMalloc.
func (t *Tracer) FollowMalloc(pid int) (added int, err error) {
	if t.opt.Malloc == 0 {
		return 0, nil
	}
	files, why, err := mallocFiles(pid)
	if err != nil {
		return 0, err
	}
	defer func() {
		for i := range files {
			files[i].f.Close()
		}
	}()
	p := t.malloc.byPID[pid]
	if len(files) == 0 {
		if p != nil {
			return 0, nil
		}
		return 0, fmt.Errorf("follow malloc of process %d: %w: %s", pid, ErrNoMalloc, why)
	}
	if err := t.loadMalloc(); err != nil {
		return 0, fmt.Errorf("follow malloc of process %d: %w", pid, err)
	}
	if p == nil {
		p = &mallocProbes{since: time.Now(), files: map[fileID]string{}}
		if t.malloc.used+1 < t.coll.Maps[mapLooked].MaxEntries() {
			t.malloc.used++
			p.counter = t.malloc.used // 0: those for which there is no counter of their own
		}
		t.malloc.byPID[pid] = p
	}
	for i := range files {
		f := &files[i]
		if _, done := p.files[f.id]; done {
			continue
		}
		if err := t.probeFile(pid, p, f); err != nil {
			if len(p.files) == 0 {
				delete(t.malloc.byPID, pid)
			}
			return added, errors.Join(fmt.Errorf("follow malloc of process %d in %s: %w", pid, f.path, err))
		}
		p.files[f.id] = f.path
		added++
	}
	return added, nil
}

// probeFile attaches to each function of the file, or to none.
func (t *Tracer) probeFile(pid int, p *mallocProbes, f *mallocFile) (err error) {
	path := fmt.Sprintf("/proc/self/fd/%d", f.f.Fd())
	cookie := func(call uint64) uint64 { return call | uint64(p.counter)<<8 }
	if t.malloc.how == Session {
		var offsets, cookies []uint64
		for _, fn := range f.functions {
			offsets, cookies = append(offsets, fn.offset), append(cookies, cookie(fn.call))
		}
		l, err := sessionLink(t.malloc.coll.Programs[progSession], path, pid, offsets, cookies)
		if err == nil {
			p.links = append(p.links, l)
		}
		return err
	}
	before := len(p.links)
	defer func() {
		if err != nil {
			for _, l := range p.links[before:] {
				err = errors.Join(err, l.Close())
			}
			p.links = p.links[:before]
		}
	}()
	ex, err := link.OpenExecutable(path)
	if err != nil {
		return err
	}
	for _, fn := range f.functions {
		o := &link.UprobeOptions{Address: fn.offset, PID: pid, Cookie: cookie(fn.call)}
		if fn.call != bpf.CallFree { // before the entry: a return must find what the entry left
			l, err := ex.Uretprobe(fn.name, t.malloc.coll.Programs[progReturn], o)
			if err != nil {
				return fmt.Errorf("probe the return of %s: %w", fn.name, err)
			}
			p.links = append(p.links, l)
		}
		l, err := ex.Uprobe(fn.name, t.malloc.coll.Programs[progEnter], o)
		if err != nil {
			return fmt.Errorf("probe %s: %w", fn.name, err)
		}
		p.links = append(p.links, l)
	}
	return nil
}

// sessionLink attaches prog to entry and return of functions of a process: what cilium/ebpf does for
// links of the kind uprobe_multi, for the kind uprobe_session, which it does not know.
func sessionLink(prog *ebpf.Program, path string, pid int, offsets, cookies []uint64) (fd, error) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return 0, err
	}
	const linkCreate, traceUprobeSession = 28, 57 // BPF_LINK_CREATE, BPF_TRACE_UPROBE_SESSION
	attr := struct {
		prog, target, kind, flags uint32
		path, offsets, ref        uint64
		cookies                   uint64
		count, multi, pid, pad    uint32
	}{
		prog: uint32(prog.FD()), kind: traceUprobeSession,
		path: uint64(uintptr(unsafe.Pointer(name))), offsets: uint64(uintptr(unsafe.Pointer(&offsets[0]))),
		cookies: uint64(uintptr(unsafe.Pointer(&cookies[0]))), count: uint32(len(offsets)), pid: uint32(pid),
	}
	n, _, errno := unix.Syscall(unix.SYS_BPF, linkCreate, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(name)
	runtime.KeepAlive(offsets)
	runtime.KeepAlive(cookies)
	if errno != 0 {
		return 0, fmt.Errorf("attach the session of probes: %w", os.NewSyscallError("bpf", errno))
	}
	return fd(n), nil
}

// MallocCalls is how many calls of malloc's family, of any size, the process has made since it is followed.
func (t *Tracer) MallocCalls(pid int) uint64 {
	p := t.malloc.byPID[pid]
	if p == nil || t.malloc.looked == nil {
		return 0
	}
	const line = 64
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&t.malloc.looked[p.counter*line])))
}
