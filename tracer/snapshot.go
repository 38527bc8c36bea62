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

	"golang.org/x/sys/unix"

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
// sets its range absolutely, but for three, which leave ranges in doubt: an
// mremap whose source may have been read after it moved, an mprotect that
// stopped at a hole which may have been filled since, and a failed call that
// does not tell what it changed.
type snapshot struct {
	kind    snapshotKind
	s0, s1  uint64
	truth   *vma.Space // audit: the copy; seeding: nil, the model itself is made of the text
	sources []source
	known   ranges // what calls after s0 have set outright: the text does not matter there any more
	doubt   ranges // where the text and the events do not tell; another snapshot must
}

// Bounds of what is noted, and so of what one more call costs. What finds no
// room may be in doubt for no reason, no worse.
const (
	maxKnown   = 1 << 14
	maxSources = 1 << 12
)

// source is what a call took from the text: right if nothing changed there
// afterwards, else what it was made into is in doubt.
type source struct{ from, into vma.Range }

func (n *snapshot) done(seq uint64) bool { return seq >= n.s1 }

// replay applies ev to the copy, before it is applied to the model vm, and
// notes what it leaves in doubt.
func (n *snapshot) replay(vm *vma.Space, ev *vma.Event) {
	if ev.Seq <= n.s0 || ev.Seq > n.s1 {
		return
	}
	on := n.truth
	if on == nil {
		on = vm
	}
	n.judge(on, ev)
	n.known = n.known[:min(len(n.known), maxKnown)]
	if n.truth != nil {
		n.question(n.truth.Apply(ev).Dirty...)
	}
}

// question puts ranges in doubt, and what calls have made of them since.
func (n *snapshot) question(list ...vma.Range) {
	for len(list) > 0 {
		r := list[0]
		list = list[1:]
		if n.doubt.covers(r) {
			continue
		}
		n.doubt = n.doubt.add(r)
		for _, src := range n.sources {
			if src.from.Overlaps(r) {
				list = append(list, src.into)
			}
		}
	}
}

func (n *snapshot) judge(on *vma.Space, ev *vma.Event) {
	from, into := extent(on.PageSize, ev)
	stopped := ev.Errno() == int64(unix.ENOMEM) && (ev.Op == vma.OpMprotect || ev.Op == vma.OpPkeyMprotect)
	if target, ok := refused(on.PageSize, ev); ok && (!n.known.covers(from) || n.doubt.overlaps(from)) {
		n.question(from, target)
	}
	if ev.Failed() && !stopped {
		return
	}
	for _, src := range n.sources {
		if src.from.Overlaps(from) || src.from.Overlaps(into) {
			n.question(src.into)
		}
	}
	if stopped {
		// It went up to the first hole, and which one that was the text tells
		// only if nothing in the range changed later.
		n.took(source{from, from})
		if n.doubt.overlaps(from) {
			n.question(from)
		}
		return
	}
	n.doubt = carry(n.doubt, on.PageSize, ev)
	if ev.Op == vma.OpMmap || ev.Op == vma.OpMunmap || ev.Op == vma.OpBrk {
		n.known = n.known.add(from)
	}
	if ev.Op != vma.OpMremap || ev.Len == 0 {
		return
	}
	known, whole, plain, end := n.known.covers(from), true, true, from.Start
	for a := range on.Over(from) {
		whole = whole && a.Start <= end
		plain = plain && a.Kind.Exported()
		end = a.End
	}
	whole = whole && end >= from.End
	n.known = n.known.without(into)
	if from.Start != into.Start && ev.Flags&unix.MREMAP_DONTUNMAP == 0 {
		n.known = n.known.add(from) // a hole
	}
	switch {
	case n.doubt.overlaps(from), !whole, !known && !plain:
		n.question(into)
	case known:
		n.known = n.known.add(into)
	default:
		n.took(source{from, into})
	}
}

// took notes a source.
func (n *snapshot) took(src source) {
	if len(n.sources) >= maxSources {
		n.question(src.into)
		return
	}
	n.sources = append(n.sources, src)
}

// errGone says that a space has no process left to ask.
var errGone = errors.New("its process is gone")

// readMaps reads the map of s from one of its processes, with the last number drawn after.
func (t *Tracer) readMaps(s *Space) (*vma.Space, uint64, error) {
	err := errGone
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
	switch {
	case errors.Is(err, unix.ESRCH):
		text = nil // the process, or its first thread only, is gone
	case err != nil:
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
	if addr, err := startStack(pid); err == nil && addr != 0 { // 0: its first thread has exited
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
// What that leaves in doubt the audits that follow put right, however often
// audits are wanted.
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
	if s.settled {
		origin = vma.Healed // it is older than what was known before
	}
	s.dirty, s.prior = nil, nil
	s.trouble, s.retryAt = "", time.Time{}
	s.ready, s.deaf = true, false
	s.settling, s.origin = true, origin
	s.snap = &snapshot{kind: seeding, s0: s0, s1: s1}
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
	for _, r := range n.doubt {
		s.dirty = s.dirty.add(r)
	}
	t.settled(s)
}

// settled ends a seed once nothing is in doubt any more, else asks for the next audit.
func (t *Tracer) settled(s *Space) {
	switch {
	case len(s.dirty) > 0:
		t.wantAudit(s, time.Now(), dirtyEvery)
	case s.settling:
		s.settling, s.settled, s.origin = false, true, vma.Healed
	}
}
