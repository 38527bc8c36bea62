package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"vmaleak/leak"
)

// tableHead is the columns behind PID and NAME.
var tableHead = [...]struct {
	title string
	width int
}{{"COMMIT", 6}, {"HEAP", 5}, {"OFFHEAP", 7}, {"FREE", 5}, {"+/h", 6}, {"ENDS", 6}, {"VERDICT", 8}}

// Table writes one row for each live process of the snapshots, what grows first, then the largest.
// A row takes 80 columns at most.
func Table(w io.Writer, snaps ...*leak.Snapshot) error {
	type row struct {
		of *leak.Entry
		at *time.Time
	}
	var rows []row
	for _, s := range snaps {
		for _, e := range s.Processes {
			if !e.Exited {
				rows = append(rows, row{e, s.EndedAt})
			}
		}
	}
	slices.SortFunc(rows, func(x, y row) int {
		a, b := x.of, y.of
		return cmp.Or(cmp.Compare(gravity(b), gravity(a)), cmp.Compare(b.Totals.Committed, a.Totals.Committed), cmp.Compare(pid(a), pid(b)), cmp.Compare(a.Space, b.Space))
	})
	out := bufio.NewWriter(w)
	line := func(pid, name string, cells ...string) {
		fmt.Fprintf(out, "%s %s", right(pid, 7), left(name, 22))
		for i, c := range cells {
			out.WriteString(" " + right(c, tableHead[i].width))
		}
		out.WriteByte('\n')
	}
	var titles []string
	for _, c := range tableHead {
		titles = append(titles, c.title)
	}
	line("PID", "NAME", titles...)
	for _, r := range rows {
		e := r.of
		heap, off := heaps(e)
		verdict, ends := "-", "-"
		if len(e.Suspects) > 0 {
			s := &e.Suspects[0]
			if verdict = verdictWord(s); s.ExhaustedAt != nil {
				ends = clock(s.ExhaustedAt, r.at)
				if r.at == nil || s.ExhaustedAt.Sub(*r.at) < 18*time.Hour {
					ends = s.ExhaustedAt.Format("15:04")
				}
			}
		}
		line(fmt.Sprint(pid(e)), processName(e), size(e.Totals.Committed), sizeOr(heap), sizeOr(off),
			sizeOr(freeInside(e)), rate(grows(e)), ends, verdict)
	}
	return out.Flush()
}

// gravity puts verdicts in order.
func gravity(e *leak.Entry) int {
	if len(e.Suspects) == 0 {
		return 0
	}
	return 1 + slices.Index([]string{"suspicious", "growing", "leak"}, e.Suspects[0].Verdict)
}

// heaps is what is committed of the Java heap, and of everything else; nil where there is none or it is not known.
func heaps(e *leak.Entry) (heap, off *uint64) {
	if e.JVM == nil || e.JVM.Heap == nil || e.JVM.Heap.Committed == nil {
		return nil, nil
	}
	rest := e.Totals.Committed - min(*e.JVM.Heap.Committed, e.Totals.Committed)
	return e.JVM.Heap.Committed, &rest
}

// freeInside is what malloc holds free, nil where that is not known.
func freeInside(e *leak.Entry) *uint64 {
	if e.Malloc == nil || e.Malloc.UnknownBecause != nil {
		return nil
	}
	var n uint64
	for i := range e.Malloc.Uses {
		n += e.Malloc.Uses[i].Free
	}
	return &n
}

// grows is the growth of a process: of all its memory, or of the pool that
// grows most where the whole cannot be told.
func grows(e *leak.Entry) *int64 {
	best := e.Growth.PerHour
	for i := range e.Pools {
		if g := e.Pools[i].Growth.PerHour; g != nil && (best == nil || *g > *best && e.Growth.PerHour == nil) {
			best = g
		}
	}
	return best
}

func pid(e *leak.Entry) int {
	if e.PID == nil {
		return 0
	}
	return *e.PID
}
