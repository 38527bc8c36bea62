package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"vmaleak/leak"
	"vmaleak/report"
	"vmaleak/symbolize"
	"vmaleak/symbolize/malloc"
)

// trimState is what malloc holds free in a process, and what of it is in memory. Sizes are bytes.
type trimState struct {
	At         time.Time    `json:"at"`
	Anon       uint64       `json:"anon"` // resident, of no file
	Categories []trimMemory `json:"categories"`
	Incomplete string       `json:"incomplete"` // why what is free is a lower bound
}

// trimMemory is the memory of one category: malloc's, and the rest. Of the rest only Resident is told.
type trimMemory struct {
	Category     string `json:"category"`
	Arenas       int    `json:"arenas"`
	Resident     uint64 `json:"resident"`
	Free         uint64 `json:"free"`
	FreeResident uint64 `json:"free_resident"`
	KeptResident uint64 `json:"kept_resident"`
}

// readTrimState reads it from outside.
func readTrimState(pid int) (trimState, error) {
	s := trimState{At: time.Now()}
	r, err := malloc.Read(pid, malloc.Options{Time: trimTime})
	if err != nil {
		return s, err
	}
	arenas := trimMemory{Category: leak.MallocArena}
	brk := trimMemory{Category: leak.BrkHeap}
	for i := range r.Arenas {
		a := &r.Arenas[i]
		m := &arenas
		if a.Main {
			m = &brk
		}
		m.Arenas++
		m.Free += a.Free
		m.FreeResident += a.Trimmable
		m.KeptResident += a.TopResident
		if a.Incomplete != "" {
			s.Incomplete = a.Incomplete
		}
		n, err := residentBytes(pid, a.Heaps)
		if err != nil {
			return s, err
		}
		m.Resident += n
	}
	memory, err := symbolize.ReadResidency(pid)
	if err != nil {
		return s, err
	}
	s.Anon = memory.Anon
	rest := trimMemory{Category: "rest", Resident: s.Anon - min(s.Anon, arenas.Resident+brk.Resident)}
	s.Categories = []trimMemory{arenas, brk, rest}
	return s, nil
}

// residentBytes is how much of the ranges is in memory.
func residentBytes(pid int, ranges []malloc.Range) (n uint64, err error) {
	p, err := symbolize.OpenPager(pid)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	var pages []symbolize.PageRange
	for _, r := range ranges {
		pages = append(pages, symbolize.PageRange{Start: r.Start &^ (uint64(os.Getpagesize()) - 1), End: r.End})
	}
	slices.SortFunc(pages, func(a, b symbolize.PageRange) int { return cmp.Compare(a.Start, b.Start) })
	counts, err := p.Count(pages, trimTime)
	for _, c := range counts {
		n += c.Resident
	}
	return n, err
}

// text shows the state before the trim.
func (s *trimState) text(w io.Writer, p *symbolize.Process) error {
	var free, given, kept uint64
	for _, m := range s.Categories {
		free, given, kept = free+m.Free, given+m.FreeResident, kept+m.KeptResident
	}
	atLeast := ""
	if s.Incomplete != "" {
		atLeast = "at least "
	}
	fmt.Fprintf(w, "%s %d: %s of anonymous memory is resident; malloc holds %s%s free, of which a trim gives back %s%s\n",
		report.Line(p.Name, 60), p.PID, report.Size(s.Anon), atLeast, report.Size(free), atLeast, report.Size(given))
	if s.Incomplete != "" {
		fmt.Fprintf(w, "not all was read: %s\n", s.Incomplete)
	}
	if kept >= 1<<20 {
		fmt.Fprintf(w, "%s more is free at the ends of arenas: a trim leaves it, and it is used first\n", report.Size(kept))
	}
	return nil
}

// text shows what came back, by category.
func (t *trimmed) text(w io.Writer) error {
	fmt.Fprintf(w, "trimmed in %v: %s of anonymous memory came back\n", time.Duration(t.TookNS).Round(time.Millisecond), difference(t.Before.Anon, t.After.Anon))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "CATEGORY\tARENAS\tBEFORE\tAFTER\tCAME BACK\tFORETOLD\tSTILL FREE\t")
	for i, b := range t.Before.Categories {
		a := t.After.Categories[i]
		if b.Arenas == 0 {
			fmt.Fprintf(tw, "%s\t\t%s\t%s\t%s\t\t\t\n", b.Category, report.Size(b.Resident), report.Size(a.Resident), difference(b.Resident, a.Resident))
			continue
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t\n", b.Category, b.Arenas, report.Size(b.Resident), report.Size(a.Resident),
			difference(b.Resident, a.Resident), report.Size(b.FreeResident), report.Size(a.FreeResident+a.KeptResident))
	}
	return tw.Flush()
}

// difference is what went, with a sign if it grew.
func difference(before, after uint64) string {
	if after > before {
		return "-" + report.Size(after-before)
	}
	return report.Size(before - after)
}
