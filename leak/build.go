package leak

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"vmaleak/vma"
)

// Snapshot makes the document of what is known at the instant at. facts is
// asked once for every space, and for an ended one only by the first snapshot
// after its End, even if the space was too small to be kept; it may be nil. Dead threads that own nothing are folded here.
func (l *Ledger) Snapshot(at time.Time, h Header, facts func(s *Space) Facts) *Snapshot {
	l.clock = max(l.clock, at.UnixNano())
	l.settle(false)
	if facts == nil {
		facts = func(*Space) Facts { return Facts{} }
	}
	snap := &Snapshot{Schema: Schema, Tool: h.Tool, Host: h.Host, Source: h.Source, Processes: []*Entry{},
		Warnings: append([]Warning{}, h.Warnings...)}
	if snap.Tool.Options == nil {
		snap.Tool.Options = map[string]string{}
	}
	if snap.Tool.Limits == nil {
		snap.Tool.Limits = map[string]int64{}
	}
	if !h.Undated {
		snap.StartedAt, snap.EndedAt = date(h.StartedAt), date(at)
	}
	var rebooked uint64
	for _, s := range l.dropped {
		f := facts(s)
		l.folded.lost += f.Events.Lost
	}
	l.dropped = nil
	for _, s := range l.live {
		b := builder{s: s, h: &h, at: at}
		b.build(facts(s))
		rebooked += b.rebooked
		snap.Processes = append(snap.Processes, b.e)
	}
	for _, s := range l.ended {
		if s.entry == nil {
			full := h
			full.Brief = false
			b := builder{s: s, h: &full, at: s.endedAt}
			b.build(facts(s))
			s.retain(b.e)
		}
		snap.Processes = append(snap.Processes, s.entry)
	}
	for _, e := range snap.Processes {
		snap.Events.Add(&e.Events)
	}
	if snap.Events.Untraced == nil {
		snap.Events.Untraced = map[string]uint64{}
	}
	if l.folded.count > 0 {
		snap.Warnings = append(snap.Warnings, Warning{"ended-folded", fmt.Sprintf(
			"ended address spaces beyond the %d largest were dropped, %d bytes and %d lost events together", l.opt.KeepEnded, l.folded.bytes, l.folded.lost), l.folded.count})
	}
	if l.late > 0 {
		snap.Warnings = append(snap.Warnings, Warning{"stacks-late",
			"stacks came too late, or not at all, to be shown with their memory", l.late})
	}
	if rebooked > 0 {
		snap.Warnings = append(snap.Warnings, Warning{"rebooked",
			"bytes whose owner changed without an event were booked again", rebooked})
	}
	return snap
}

// retain keeps the entry of an ended space and drops what it was made of.
func (s *Space) retain(e *Entry) {
	s.entry = e
	s.vm, s.threads, s.lastT, s.touched, s.poolsGone, s.floats, s.series, s.blocks, s.keeps = nil, nil, nil, nil, nil, nil, nil, nil, nil
	s.groups, s.turnover, s.eye, s.limits, s.free = nil, nil, nil, nil, nil
	s.all = track{}
}

// builder makes the entry of one space.
type builder struct {
	s        *Space
	h        *Header
	at       time.Time
	e        *Entry
	facts    map[vma.Thread]*ThreadFacts
	list     []*thread // in the order of e.Threads; nil books where a thread owns nothing and never did
	ids      []vma.Thread
	index    map[*thread]int
	likely   map[uint64]string // the only named pool that maps this size
	stacks   stacks
	rebooked uint64

	sums     map[kind]*sums // of what is outstanding
	limits   []Limit
	counters []Counter
	regions  []Region // in order, disjoint
	layout   []Region // of shapes
	shaped   bool     // layout was made
	pages    pages
	read     bool // somebody looked at the pages
	uses     [len(Categories)]use
	purposes map[uint32]purpose
	regime   regime
}

// tally counts the rows of one thread.
type tally struct {
	bytes, committed uint64
	calls            uint64
	last             int64
	memory           inMemory
	index            int // of the thread in the entry
}

func (b *builder) build(f Facts) {
	s, p := b.s, &b.s.p
	b.rebooked = s.Rebase()
	s.full = false
	b.e = &Entry{
		PID: positive(p.PID), PIDs: append([]int{}, p.PIDs...), NSPID: positive(p.NSPID), Space: p.Space,
		ParentSpace: text(p.Parent), Exec: p.Exec, StartedAt: date(p.StartedAt), TracedSince: b.date(s.openedAt),
		WatchedNS: max(int64(b.at.Sub(s.openedAt)), 0),
		Name:      text(p.Name), Comm: text(p.Comm), Exe: text(p.Exe), Cmdline: []string{},
		Exited: s.Ended(), EndedBy: text(s.endedBy), Verified: f.Verified, UnverifiedBecause: text(f.UnverifiedBecause),
		Backend: Backend{Mode: cmp.Or(p.Backend.Mode, "none"), Hooks: map[string]string{}},
		Events:  f.Events.clone(), CGroup: p.CGroup, Unit: text(p.Unit), Pod: text(p.Pod), Container: text(p.Container),
		JVM: p.JVM, Effects: f.Effects,
		Stacks: []Stack{}, Mappings: []Mapping{}, Accounts: []Account{}, Pools: []Pool{},
		Suspects: []Suspect{}, Retained: []Retained{}, Series: []Series{},
		brief: b.h.Brief,
	}
	for _, a := range p.Cmdline {
		b.e.Cmdline = append(b.e.Cmdline, clean(a))
	}
	for k, v := range p.Backend.Hooks {
		b.e.Backend.Hooks[k] = v
	}
	if s.Ended() {
		b.e.EndedAt = b.date(s.endedAt)
	}
	if f.CGroup != nil {
		b.e.CGroup = f.CGroup
	}
	b.e.Limits = append([]Limit{}, f.Limits...)
	if f.Resident != nil {
		n := *f.Resident
		b.e.Totals.Resident, s.resident = &n, &n
	}
	b.regions, b.pages.list, b.read = sorted(f.Regions), f.Pages, f.Pages != nil
	if f.JVM != nil {
		b.e.JVM = f.JVM
	}
	b.e.Counters = append([]Counter{}, f.Counters...)
	b.limits, b.counters = f.Limits, f.Counters
	b.stacks = stacks{ask: s.ledger.opt.Stack, asked: map[uint32]*named{}}
	b.e.Events.Stacks.Pending += s.ledger.pendingOf(s)
	b.malloc(f.Malloc)
	b.threads(f.Threads)
	b.mappings()
	b.categories(&f)
	b.likelyPools()
	b.blocks(f.Blocks)
	b.look()
	b.grew()
	b.books()
	b.growth()
	b.suspects()
	if !b.h.Brief {
		b.series()
	}
	b.e.MallocRegime = b.regimeOf(f.Malloc)
	b.retained()
	b.e.Stacks = b.stacks.list()
}

// threads folds who is gone and lists the others, in order of TID and start.
func (b *builder) threads(known []ThreadFacts) {
	s := b.s
	b.facts = make(map[vma.Thread]*ThreadFacts, len(known))
	for i := range known {
		f := &known[i]
		b.facts[f.Thread] = f
		if t := s.threads[f.Thread]; t != nil {
			t.pool = f.group()
		}
	}
	if len(known) > 0 {
		s.foldThreads(func(t *thread) bool {
			f := b.facts[t.id]
			if f == nil {
				return b.h.Source == SourceLive
			}
			return !f.Alive && b.h.Source == SourceLive
		})
	}
	for id := range s.threads {
		b.ids = append(b.ids, id)
	}
	for i := range known {
		if f := &known[i]; f.Alive && s.threads[f.Thread] == nil {
			b.ids = append(b.ids, f.Thread)
		}
	}
	slices.SortFunc(b.ids, compareThreads)
	b.ids = slices.Compact(b.ids)
	b.index = make(map[*thread]int, len(s.threads))
	for i, id := range b.ids {
		t := s.threads[id]
		b.list = append(b.list, t)
		if t != nil {
			for c := range t.all() {
				c.count = tally{index: i}
			}
			b.index[t] = i
		}
	}
	b.e.ThreadsGone = s.gone
}

func compareThreads(x, y vma.Thread) int {
	return cmp.Or(cmp.Compare(x.TID, y.TID), cmp.Compare(x.Start, y.Start))
}

// alive is whether a thread lives, nil if the source cannot tell.
func (b *builder) alive(f *ThreadFacts) *bool {
	alive := f != nil && f.Alive && !b.s.Ended()
	if b.h.Source != SourceLive && !alive && !b.s.Ended() {
		return nil
	}
	return &alive
}

// date is t, nil if unknown or if only times of day are known.
func (b *builder) date(t time.Time) *time.Time {
	if b.h.Undated {
		return nil
	}
	return date(t)
}

// unix is the time ns after the Unix epoch, in the snapshot's time zone.
func (b *builder) unix(ns int64) *time.Time {
	if ns == 0 || b.h.Undated {
		return nil
	}
	t := time.Unix(0, ns).In(b.at.Location())
	return &t
}

// date is t without its monotonic clock, nil if zero.
func date(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.Round(0)
	return &t
}

// text is s as valid UTF-8, nil if empty.
func text(s string) *string {
	if s == "" {
		return nil
	}
	s = clean(s)
	return &s
}

// clean is s with every byte that is not UTF-8 replaced.
func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// positive is n, nil if unknown.
func positive(n int) *int {
	if n <= 0 {
		return nil
	}
	return &n
}
