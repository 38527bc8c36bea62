package unwind

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"runtime"

	"vmaleak/symbolize/hotspot"
)

// Options of a Resolver.
type Options struct {
	Stacks    int // distinct stacks of usual depth that are kept; 0 means 16,384
	Processes int // processes that are known at once; 0 means 256
}

// Stats counts what a Resolver has done.
type Stats struct {
	Resolved uint64 // calls of Resolve
	Repeated uint64 // of these, answered by a stack known before
	Retried  uint64 // walks made twice, since something may have changed under the first
	Likely   uint64 // virtual threads whose name was not read in time: it is that of others like them, or left out
}

// usualFrames is how many frames a stack usually has: of deeper ones fewer are kept.
const usualFrames = 32

// Resolver names stacks. One goroutine owns it.
type Resolver struct {
	options   Options
	machine   *machine
	processes map[int]*process
	modules   modules
	clock     uint64
	stats     Stats
	read      int // modules whose tables had been read at the last Rest

	trace    trace
	moment   *hotspot.Moment // of the stack that is being resolved
	bytes    []byte
	named    [][]Frame // of the trace's steps
	seeds    [2]maphash.Seed
	walked   *cache[[2]uint64, *Stack] // by physical frames
	distinct *cache[string, *Stack]    // by names
}

// NewResolver returns a Resolver that knows no process yet.
func NewResolver(o Options) *Resolver {
	if o.Stacks <= 0 {
		o.Stacks = 16384
	}
	if o.Processes <= 0 {
		o.Processes = 256
	}
	r := &Resolver{options: o, machine: amd64, processes: map[int]*process{},
		modules: modules{limit: 64, known: map[fileKey]*module{}},
		seeds:   [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		walked:  newCache[[2]uint64, *Stack](o.Stacks * usualFrames), distinct: newCache[string, *Stack](o.Stacks * usualFrames)}
	frames := func(s *Stack) int { return len(s.Frames) + 1 }
	r.walked.weigh, r.distinct.weigh = frames, frames
	if runtime.GOARCH == "arm64" {
		r.machine = arm64
	}
	return r
}

// maxPrepared is how many modules are read ahead.
const maxPrepared = 64

// Prepare reads the modules of a process and their tables, so that its first
// stack does not wait for them. It is not needed, and what it cannot read is
// tried again with the first stack.
func (r *Resolver) Prepare(pid int) error {
	p, why := r.process(pid)
	if p == nil {
		return errors.New("prepare the stacks of a process: " + why)
	}
	p.vm.attach(p.areas)
	for i := range p.areas[:min(len(p.areas), maxPrepared)] {
		if m := r.module(p, &p.areas[i]); m != nil && m.names == nil {
			m.rows()
			m.names = readNames(m, pid, &r.modules.debug)
		}
	}
	return nil
}

// Resolve names the frames of a stack. It never returns nil. Equal stacks are
// one pointer as long as they are kept; their ID is equal for ever. It may
// write to raw.Mem.
func (r *Resolver) Resolve(raw *Raw) *Stack {
	r.stats.Resolved++
	r.moment = nil
	if p := r.processes[raw.PID]; p != nil {
		r.moment = p.vm.capture(raw) // before all else, as it passes
	}
	p, why := r.process(raw.PID)
	if p == nil {
		return r.intern(&Stack{Status: Failed, Reason: why})
	}
	p.vm.attach(p.areas)
	w := wordsOf(raw)
	w.restore(raw.Returns, func(pc uint64) bool {
		a := findArea(p.areas, pc)
		return a != nil && a.name == "[uprobes]"
	})
	t := &r.trace
	r.walk(p, raw, w, t)
	s, sure := r.known(p, t)
	if (t.status == Failed || !sure) && r.refresh(p) {
		r.stats.Retried++
		p.vm.attach(p.areas)
		r.walk(p, raw, w, t)
		s, _ = r.known(p, t)
	}
	return r.withTask(p, raw, s)
}

// known returns the stack of a trace, with names. It reports whether all names
// could be read.
func (r *Resolver) known(p *process, t *trace) (*Stack, bool) {
	key := r.key(p, t)
	if s, ok := r.walked.get(key); ok {
		r.stats.Repeated++
		return s, true
	}
	s, sure := r.name(p, t)
	if sure {
		r.walked.put(key, s)
	}
	return s, sure
}

// name puts names to a trace.
func (r *Resolver) name(p *process, t *trace) (*Stack, bool) {
	s := &Stack{Status: t.status, Reason: t.reason}
	sure, named := true, r.named[:0]
	for i := range t.steps {
		st := &t.steps[i]
		switch {
		case st.java.Kind != 0:
			frames, ok := p.vm.names(st.java)
			if !ok && s.Status != Failed {
				s.Status, s.Reason = Failed, reasonVM
			}
			sure = sure && ok
			named = append(named, frames)
		case st.mod != nil:
			named = append(named, st.mod.named(st.addr, p.pid, &r.modules.debug))
		default:
			name := st.area
			if name == "" {
				name = "[anon]"
			}
			named = append(named, []Frame{{Kind: Native, Module: name, Offset: st.addr}})
		}
	}
	r.named = named
	s.Frames = pointers(named)
	if p.vm.java != nil {
		s.entry = entryOf(s.Frames)
	}
	return r.intern(s), sure
}

// pointers are to all frames of a stack, which stay where they are: most stacks
// are of frames that others have, too.
func pointers(named [][]Frame) []*Frame {
	n := 0
	for _, frames := range named {
		n += len(frames)
	}
	all := make([]*Frame, 0, n)
	for _, frames := range named {
		for i := range frames {
			all = append(all, &frames[i])
		}
	}
	return all
}

// intern returns the one stack that is equal to s.
func (r *Resolver) intern(s *Stack) *Stack {
	s.ID = idOf(s)
	key := s.ID + s.Task
	if known, ok := r.distinct.get(key); ok {
		return known
	}
	r.distinct.put(key, s)
	return s
}

// key hashes the physical frames of a trace. The two seeds are secret, so that a
// target cannot arrange for two stacks to be taken for one.
func (r *Resolver) key(p *process, t *trace) [2]uint64 {
	b := append(r.bytes[:0], t.status...)
	b = append(append(b, t.reason...), 0)
	java := false
	for i := range t.steps {
		s := &t.steps[i]
		switch {
		case s.java.Kind != 0:
			java = true
			b = append(b, byte(s.java.Kind))
			b = binary.LittleEndian.AppendUint64(b, s.java.Addr)
			b = binary.LittleEndian.AppendUint32(b, s.java.Pos)
			b = binary.LittleEndian.AppendUint32(b, s.java.Check)
		case s.mod != nil:
			b = binary.LittleEndian.AppendUint32(append(b, 0xff), s.mod.id)
			b = binary.LittleEndian.AppendUint64(b, s.addr)
		default:
			b = append(append(append(b, 0xfe), s.area...), 0)
			b = binary.LittleEndian.AppendUint64(b, s.addr)
		}
	}
	if java {
		b = binary.LittleEndian.AppendUint64(b, uint64(p.pid))
		b = append(b, p.start...)
	}
	r.bytes = b
	return [2]uint64{maphash.Bytes(r.seeds[0], b), maphash.Bytes(r.seeds[1], b)}
}

// Forget drops what is kept of a process: it has ended, or runs another program.
func (r *Resolver) Forget(pid int) {
	p := r.processes[pid]
	if p == nil {
		return
	}
	for m := range p.mods {
		r.modules.release(m)
	}
	delete(r.processes, pid)
}

// forgetOldest makes room for a process.
func (r *Resolver) forgetOldest() {
	var oldest *process
	for _, p := range r.processes {
		if oldest == nil || p.vm.used < oldest.vm.used {
			oldest = p
		}
	}
	r.Forget(oldest.pid)
}

// Rest lets go of what can be read again and was not used since it was called
// last: debug information, which takes more than all else. It reports whether
// that, or tables read meanwhile, has left garbage that is worth collecting.
func (r *Resolver) Rest() bool {
	left, read := false, 0
	for _, m := range r.modules.known {
		if m.names != nil {
			left = m.names.lines.rest() || left
		}
		if m.read {
			read++
		}
	}
	left = left || read > r.read
	r.read = read
	return left
}

// Stats returns the counts so far.
func (r *Resolver) Stats() Stats { return r.stats }
