package tracer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"vmaleak/bpf"
	"vmaleak/vma"
)

type snapshotKind int

const (
	seeding snapshotKind = iota
	audit
)

// snapshot is one reading of /proc/PID/maps on its way to being exact. The text
// is never atomic: it holds some of the changes with numbers in (s0, s1].
// Applying all of those once more makes it the space as it was at s1, since each
// sets its range absolutely, but for an mremap whose source may have been read
// after it moved: replay finds those and voids the snapshot.
type snapshot struct {
	kind   snapshotKind
	s0, s1 uint64
	truth  *vma.Space  // audit: the copy; seeding: nil, the model itself is made of the text
	moved  []vma.Range // sources that mremap took from the text
	void   bool
	origin vma.Origin
}

func (n *snapshot) done(seq uint64) bool { return seq >= n.s1 }

// replay applies ev to the copy, before it is applied to the model vm, and
// judges whether that is sound.
func (n *snapshot) replay(vm *vma.Space, ev *vma.Event) {
	if ev.Seq <= n.s0 || ev.Seq > n.s1 {
		return
	}
	on := n.truth
	if on == nil {
		on = vm
	}
	n.judge(on, ev)
	if n.truth != nil {
		n.truth.Apply(ev)
	}
}

func (n *snapshot) judge(on *vma.Space, ev *vma.Event) {
	page := on.PageSize
	up := func(l uint64) uint64 { return (l + page - 1) &^ (page - 1) }
	if ev.Failed() {
		return
	}
	touched := []vma.Range{{Start: ev.Addr, End: ev.Addr + up(max(ev.Len, 1))}}
	switch ev.Op {
	case vma.OpMmap, vma.OpShmat:
		touched[0] = vma.Range{Start: uint64(ev.Ret), End: uint64(ev.Ret) + up(max(ev.Len, 1))}
	case vma.OpMremap:
		touched = append(touched, vma.Range{Start: uint64(ev.Ret), End: uint64(ev.Ret) + up(ev.NewLen)})
	case vma.OpBrk:
		touched[0] = vma.Range{Start: min(ev.Addr, uint64(ev.Ret)), End: up(max(ev.Addr, uint64(ev.Ret)))}
	}
	for _, r := range touched {
		for _, m := range n.moved {
			if r.Overlaps(m) {
				n.void = true
			}
		}
	}
	if ev.Op != vma.OpMremap || ev.Len == 0 {
		return
	}
	src := vma.Range{Start: ev.Addr, End: ev.Addr + up(ev.Len)}
	fresh, plain, at := true, true, src.Start
	for a := range on.Over(src) {
		plain = plain && a.Start <= at && a.Kind.Exported()
		fresh = fresh && a.Start <= at && a.Origin == vma.Traced && a.Call > n.s0
		at = a.End
	}
	if at < src.End {
		fresh, plain = false, false
	}
	switch {
	case fresh:
	case plain:
		n.moved = append(n.moved, src)
	default:
		n.void = true
	}
}

// errGone says that a space has no process left to ask.
var errGone = errors.New("its process is gone")

// readMaps reads the map of s from one of its processes, with the last number drawn after.
func (t *Tracer) readMaps(s *Space) (*vma.Space, uint64, error) {
	err := error(errGone)
	for _, pid := range s.PIDs {
		if s.exits[pid] {
			continue
		}
		var truth *vma.Space
		if truth, err = t.readMapsOf(s, pid); err == nil {
			return truth, atomic.LoadUint64(&s.state.Lockseq), nil
		}
	}
	return nil, 0, err
}

func (t *Tracer) readMapsOf(s *Space, pid int) (*vma.Space, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/maps")
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, errGone
		}
		return nil, fmt.Errorf("read the map of process %d: %w (needs CAP_SYS_PTRACE)", pid, err)
	}
	defer f.Close()
	// The open file holds on to the space of that instant: make sure it is s.
	var now bpf.SpaceRef
	if err := t.coll.Maps[mapFollowed].Lookup(uint32(pid), &now); err != nil || now != ref(s) {
		return nil, errGone
	}
	text, err := readAll(f)
	if err != nil {
		return nil, fmt.Errorf("read the map of process %d: %w", pid, err)
	}
	if len(text) == 0 {
		if text, err = t.readTaskMaps(pid); err != nil {
			return nil, err
		}
	}
	truth, err := vma.ParseMaps(text, t.vmopt)
	if err != nil {
		return nil, fmt.Errorf("read the map of process %d: %w", pid, err)
	}
	if addr, err := startStack(pid); err == nil {
		truth.StackStart = addr
	}
	return truth, nil
}

// readTaskMaps is for a process whose first thread has exited: its own maps file is empty.
func (t *Tracer) readTaskMaps(pid int) ([]byte, error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil, errGone
	}
	for _, task := range tasks {
		if text, err := os.ReadFile(dir + "/" + task.Name() + "/maps"); err == nil && len(text) > 0 {
			return text, nil
		}
	}
	return nil, errGone
}

// readAll reads in large pieces: the fewer reads, the less the text is torn.
func readAll(r io.Reader) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(256 << 10)
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// seed makes the model of s from /proc/PID/maps, given that every change up to
// number s0 is complete; what differs from the model so far gets the origin.
func (t *Tracer) seed(s *Space, s0 uint64, origin vma.Origin) {
	truth, s1, err := t.readMaps(s)
	if err != nil {
		s.trouble = err.Error()
		s.retryAt = time.Now().Add(time.Second)
		s.ready = true // what is seen from now on is applied to what is known
		s.deaf = false
		t.run(s)
		return
	}
	s.dirty = s.dirty[:0]
	s.prior = nil
	s.ready, s.deaf = true, false
	s.snap = &snapshot{kind: seeding, s0: s0, s1: s1, origin: origin}
	_, d := s.vm.Reconcile(truth, nil, origin)
	t.h.Apply(s, &vma.Event{Time: time.Now().UnixNano()}, d)
	if s.snap.done(s.win.base) {
		t.snapped(s)
	}
	t.run(s)
}

// snapped is called when every number of the snapshot has been applied.
func (t *Tracer) snapped(s *Space) {
	n := s.snap
	s.snap = nil
	s.lastAudit = time.Now()
	if n.kind == audit {
		t.compare(s, n)
		return
	}
	if !n.void {
		s.tries = 0
		s.trouble = ""
		s.retryAt = time.Time{}
		return
	}
	const most = 5
	if s.tries++; s.tries > most {
		s.trouble = "its map changes faster than it can be read: trying again each second"
		s.retryAt = time.Now().Add(time.Second)
		return
	}
	t.seed(s, s.win.base, n.origin)
}
