package main

import (
	"strings"

	"vmaleak/leak"
	"vmaleak/symbolize"
)

// How many processes of a control group are looked at: at an interval, and for an export.
const (
	briefProcesses = 32
	fullProcesses  = 1024
)

// groupFacts adds the books of the target's control group, which may be nil, and the limits that its growth may meet.
func (s *session) groupFacts(t *target, f *leak.Facts, cg *symbolize.CGroup, brief bool) {
	pid, most := t.sp.PID(), fullProcesses
	if brief {
		most = briefProcesses
	}
	if f.CGroup = cgroup(cg); cg != nil {
		list, more := cg.Processes(most)
		for _, p := range list {
			f.CGroup.Processes = append(f.CGroup.Processes, leak.CGroupProcess{PID: p.PID, Comm: strings.ToValidUTF8(p.Comm, "\ufffd"),
				Anon: p.Anon, File: p.File, Shmem: p.Shmem, Swap: p.Swap})
		}
		f.CGroup.ProcessesMore = more
	}
	for _, l := range symbolize.ReadLimits(pid, cg, t.countMappings(brief)) {
		f.Limits = append(f.Limits, leak.Limit{Name: strings.ToValidUTF8(l.Name, "\ufffd"), Counter: strings.ToValidUTF8(l.Counter, "\ufffd"),
			Used: l.Used, Bytes: l.Limit})
	}
}

// countMappings is how many mappings the kernel counts: read for an export, and
// in between by how many more rows the ledger has, which does not merge as many.
func (t *target) countMappings(brief bool) uint64 {
	rows := int64(t.sp.VM().Len())
	if !brief || t.mappings == 0 {
		if n, err := symbolize.CountMappings(t.sp.PID()); err == nil {
			t.mappings, t.rows = int64(n), rows
		}
	}
	if t.mappings == 0 {
		return 0
	}
	return uint64(max(t.mappings+rows-t.rows, 1))
}

func cgroup(c *symbolize.CGroup) *leak.CGroup {
	if c == nil {
		return nil
	}
	g := &leak.CGroup{Path: strings.ToValidUTF8(c.Path, "\ufffd"), Max: c.Max, Current: c.Current, Anon: c.Anon, File: c.File, Shmem: c.Shmem,
		Kernel: c.Kernel, Sock: c.Sock, OOMKill: c.OOMKill, High: c.High, Swap: c.Swap, Processes: []leak.CGroupProcess{}}
	if c.Current != nil && c.Anon != nil && c.File != nil {
		rest := int64(*c.Current) - int64(*c.Anon) - int64(*c.File)
		for _, v := range [...]*uint64{c.Kernel, c.Sock} {
			if v != nil {
				rest -= int64(*v)
			}
		}
		g.Rest = &rest
	}
	return g
}
