package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"vmaleak/leak"
	"vmaleak/report"
	"vmaleak/symbolize"
	"vmaleak/symbolize/hotspot"
	"vmaleak/vma"
)

// chooseLargest takes, of a process that nobody has traced, the largest group of mappings. What a virtual machine uses for itself
// is none of it.
func chooseLargest(p *symbolize.Process, space *vma.Space) (*choice, error) {
	facts := leak.Facts{}
	var why []string
	if p.IsJVM {
		regions, err := jvmRegions(p.PID)
		if facts.Regions = regions; err != nil {
			why = append(why, fmt.Sprintf("what the JVM itself uses is not all known: %v", err))
		}
	}
	entry := untraced(p, space, facts)
	groups, err := groupsOf(p.PID, entry)
	if err != nil {
		return nil, fmt.Errorf("peek: %w", err)
	}
	if len(groups) == 0 {
		return nil, errors.New("peek: no anonymous memory but the program's own stacks and a virtual machine's is mapped; give --range")
	}
	g := groups[0]
	c := &choice{what: g.what()}
	for _, m := range g.rows {
		c.parts = append(c.parts, part{Range: rangeOf(m)})
	}
	text := "no trace tells what grows: this is the most anonymous memory of one kind"
	if p.IsJVM {
		text = "no trace tells what grows: this is the most outside of the Java heap, metaspace, code and stacks"
	}
	c.why = append([]string{text + " (--for 30s finds what grows)"}, why...)
	if len(groups) > 1 {
		next := groups[1]
		c.why = append(c.why, fmt.Sprintf("next: %s, %s (--mapping %x)", next.what(), report.Size(next.committed), next.largest().Start))
	}
	return c, nil
}

// jvmRegions is what a JVM has reserved for itself. With an error some may be missing.
func jvmRegions(pid int) ([]leak.Region, error) {
	vm, err := hotspot.Attach(pid)
	if err != nil {
		return nil, err
	}
	regions, err := vm.Regions()
	var out []leak.Region
	for _, r := range regions {
		out = append(out, leak.Region{Range: vma.Range{Start: r.Start, End: r.End}, Category: r.Purpose})
	}
	return out, err
}

// untraced is a process as a trace that begins now sees it.
func untraced(p *symbolize.Process, space *vma.Space, f leak.Facts) *leak.Entry {
	now := time.Now()
	proc := leak.Process{PID: p.PID, Name: p.Name}
	if p.IsJVM {
		proc.JVM = &leak.JVM{}
	}
	books := leak.New(leak.Options{})
	books.Open(proc, space, now)
	return books.Snapshot(now, leak.Header{Source: leak.SourceLive}, func(*leak.Space) leak.Facts { return f }).Processes[0]
}

// alike is mappings that seem to be of one kind.
type alike struct {
	unit                uint64 // that their lengths are multiples of; 0: each is of its own
	category            string
	rows                []*leak.Mapping
	committed, resident uint64
}

func (g *alike) what() string {
	n, length := 0, uint64(0)
	for _, m := range g.rows {
		n++
		length += m.Length
	}
	category := ""
	if g.category != "" && g.category != leak.Other {
		category = " (" + g.category + ")"
	}
	switch {
	case g.unit > 0 && length/g.unit == 1:
		return fmt.Sprintf("the mapping of %s B%s", report.Exact(g.unit), category)
	case g.unit > 0:
		return fmt.Sprintf("%d mappings of %s B%s", length/g.unit, report.Exact(g.unit), category)
	case n == 1:
		return fmt.Sprintf("the mapping %v%s", rangeOf(g.rows[0]), category)
	}
	return fmt.Sprintf("%d mappings%s", n, category)
}

func (g *alike) largest() vma.Range {
	return rangeOf(slices.MaxFunc(g.rows, func(a, b *leak.Mapping) int { return cmp.Compare(a.Length, b.Length) }))
}

const pagesBudget = 2 * time.Second

// groupsOf sorts the mappings that may leak into groups, the largest first. What is not in memory at all is left out.
func groupsOf(pid int, e *leak.Entry) ([]*alike, error) {
	var rows []*leak.Mapping
	var ranges []symbolize.PageRange
	for i := range e.Mappings {
		if m := &e.Mappings[i]; m.Start != nil && m.Committed > 0 && !ofTheVM(m) && m.Prot[:2] == "rw" {
			rows = append(rows, m)
			ranges = append(ranges, symbolize.PageRange(rangeOf(m)))
		}
	}
	pager, err := symbolize.OpenPager(pid)
	if err != nil {
		return nil, err
	}
	defer pager.Close()
	counts, err := pager.Count(ranges, pagesBudget)
	if err != nil {
		return nil, err
	}
	resident := map[*leak.Mapping]uint64{}
	for i, m := range rows {
		resident[m] = counts[i].Resident
	}
	groups := joinAlike(rows, resident)
	groups = slices.DeleteFunc(groups, func(g *alike) bool { return g.resident == 0 })
	slices.SortStableFunc(groups, func(a, b *alike) int { return cmp.Compare(b.committed, a.committed) })
	return groups, nil
}

// joinAlike puts mappings together: those of one length, and arenas.
func joinAlike(rows []*leak.Mapping, resident map[*leak.Mapping]uint64) []*alike {
	var groups []*alike
	type key struct {
		category string
		unit     uint64
	}
	byKey := map[key]*alike{}
	units := likelyUnits(rows)
	for _, m := range rows {
		k := key{unit: units[m.Length]}
		if m.Category != nil {
			k.category = *m.Category
		}
		if k.category == leak.MallocArena || k.category == leak.BrkHeap {
			k.unit = 0
		}
		g := byKey[k]
		if g == nil {
			g = &alike{unit: k.unit, category: k.category}
			byKey[k] = g
			groups = append(groups, g)
		}
		g.rows = append(g.rows, m)
		g.committed += m.Committed
		g.resident += resident[m]
	}
	return groups
}

// unitsOf is the lengths that each row's blocks may have, where the kernel has joined several in one row: a block of malloc of a
// round size has a page more, for its header. The longest comes first.
func unitsOf(length uint64) (units []uint64) {
	const page, round, smallest, most = 4096, 16, 33, 4096
	pages := length / page
	for k := uint64(1); k <= most && pages/k >= smallest; k++ {
		if pages%k == 0 && pages/k%round == 1 {
			units = append(units, length/k)
		}
	}
	return units
}

// likelyUnits is the unit of each length: the one of which most memory can be made. It only groups and names rows.
func likelyUnits(rows []*leak.Mapping) map[uint64]uint64 {
	made := map[uint64]uint64{}
	for _, m := range rows {
		for _, u := range unitsOf(m.Length) {
			made[u] += m.Committed
		}
	}
	likely := map[uint64]uint64{}
	for _, m := range rows {
		best := m.Length
		for _, u := range unitsOf(m.Length) {
			if made[u] > made[best] {
				best = u
			}
		}
		likely[m.Length] = best
	}
	return likely
}
