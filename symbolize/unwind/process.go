package unwind

import (
	"errors"
	"strings"
	"time"
)

// process is one process that stacks come from.
type process struct {
	pid    int
	start  string // of life, see startTime
	areas  []area
	mods   map[*module]bool
	places *cache[uint64, place]
	gone   bool
	read   time.Time // when areas were read
	cost   time.Duration
	vm     *virtualMachine
}

// place is what is known of one code address.
type place struct {
	area *area
	addr uint64 // of the module's own addresses
	rule rule
	why  string // why there is no rule
}

// Places kept per process, and how long its map is believed at least.
const (
	maxPlaces  = 8192
	mapsAtMost = time.Second           // without a look
	mapsAgain  = 50 * time.Millisecond // between looks because of a failure
)

// process returns what is known of a process, or learns it.
func (r *Resolver) process(pid int) (*process, string) {
	p := r.processes[pid]
	if p == nil {
		p = &process{pid: pid, start: startTime(pid), mods: map[*module]bool{},
			places: newCache[uint64, place](maxPlaces), vm: &virtualMachine{pid: pid}}
		if why := r.readAreas(p); why != "" {
			return nil, why
		}
		if len(r.processes) >= r.options.Processes {
			r.forgetOldest()
		}
		r.processes[pid] = p
	} else if age := time.Since(p.read); age > max(mapsAtMost, 100*p.cost) && !p.gone {
		_ = r.readAreas(p) // if it is gone, what is known still holds
	}
	r.clock++
	p.vm.used = r.clock
	return p, ""
}

// readAreas reads the map of a process. Areas that are as they were keep their
// module. It returns a reason if it cannot be read.
func (r *Resolver) readAreas(p *process) string {
	began := time.Now()
	defer func() { p.read, p.cost = time.Now(), time.Since(began) }()
	areas, err := readMaps(p.pid)
	if err == nil && startTime(p.pid) != p.start {
		err = errGone
	}
	if errors.Is(err, errGone) {
		p.gone = true
		return reasonGone
	}
	if err != nil {
		return reasonMaps
	}
	same := len(areas) == len(p.areas)
	used := map[*module]bool{}
	for i := range areas {
		a := &areas[i]
		if old := findArea(p.areas, a.start); old != nil && old.start == a.start &&
			old.inode == a.inode && old.offset == a.offset && old.name == a.name {
			a.mod, a.why = old.mod, old.why
			if a.mod != nil {
				used[a.mod] = true
			}
			same = same && old.end == a.end
		} else {
			same = false
		}
	}
	if same {
		return ""
	}
	for m := range p.mods {
		if !used[m] {
			r.modules.release(m)
			delete(p.mods, m)
		}
	}
	p.areas = areas
	p.places.clear()
	return ""
}

// refresh is for a walk that has failed: what it was based on may have changed.
// It reports whether anything was read anew. A process whose stacks fail again and
// again costs a bounded part of our time.
func (r *Resolver) refresh(p *process) bool {
	again := p.vm.resync()
	if p.gone || time.Since(p.read) < max(mapsAgain, 20*p.cost) || r.readAreas(p) != "" {
		return again
	}
	for i := range p.areas {
		if p.areas[i].mod == nil {
			p.areas[i].why = ""
		}
	}
	p.places.clear()
	return true
}

// module returns the file of an area, opened when it is first asked for.
func (r *Resolver) module(p *process, a *area) *module {
	if a.mod == nil && a.why == "" {
		a.mod, a.why = r.modules.load(p, a)
		if a.mod != nil && !p.mods[a.mod] {
			p.mods[a.mod] = true
			a.mod.users++
		}
		if a.mod == nil && p.gone {
			a.why = reasonGone
		}
	}
	return a.mod
}

// place finds out about a code address.
func (r *Resolver) place(p *process, at uint64) place {
	if pl, ok := p.places.get(at); ok {
		return pl
	}
	pl := place{area: findArea(p.areas, at), rule: noRule}
	if pl.area == nil {
		return place{rule: noRule, why: reasonNoCode} // not kept: it may be mapped yet
	}
	if m := r.module(p, pl.area); m == nil {
		pl.addr, pl.why = at-pl.area.start, pl.area.why
	} else if addr, ok := m.image.address(at - pl.area.start + pl.area.offset); !ok {
		pl.addr, pl.why = at-pl.area.start, reasonNoCode
	} else {
		if m.signalReturn(addr + 1) {
			addr++ // the kernel has called no instruction before it
		}
		pl.addr = addr
		pl.rule, pl.why = m.rule(addr)
	}
	p.places.put(at, pl)
	return pl
}

// maxEntry is how many bytes of code a program's entry has at most.
const maxEntry = 64

// rule returns the rule at an address, or why there is none.
func (m *module) rule(addr uint64) (rule, string) {
	t := m.rows()
	if m.goTab != nil {
		if f := m.goTab.find(addr); f != nil {
			return m.goTab.rule(f, addr), ""
		}
	}
	if found := t.find(addr); found != noRule {
		return found, ""
	}
	if m.signalReturn(addr) {
		return signalRule, ""
	}
	if addr-m.image.entry < maxEntry {
		return endRule, "" // the dynamic linker's: it is called by nobody
	}
	if m.why != "" {
		return noRule, m.why
	}
	return noRule, reasonNoRule
}

// isFile reports whether an area's code is in a file or the vdso.
func (a *area) isFile() bool {
	return a.name == "[vdso]" || a.inode != 0 && !strings.HasPrefix(a.name, "/memfd:") && !strings.HasPrefix(a.name, "/dev/")
}
