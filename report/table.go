package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"

	"vmaleak/leak"
)

// Table writes one row for each live process of the snapshots, largest first.
// A row takes 80 columns at most.
func Table(w io.Writer, snaps ...*leak.Snapshot) error {
	var rows []*leak.Entry
	for _, s := range snaps {
		for _, e := range s.Processes {
			if !e.Exited {
				rows = append(rows, e)
			}
		}
	}
	slices.SortFunc(rows, func(a, b *leak.Entry) int {
		return cmp.Or(cmp.Compare(b.Totals.Committed, a.Totals.Committed), cmp.Compare(pid(a), pid(b)), cmp.Compare(a.Space, b.Space))
	})
	out := bufio.NewWriter(w)
	line := func(pid, name string, cells ...string) {
		fmt.Fprintf(out, "%s %s", right(pid, 8), left(name, 31))
		for _, c := range cells {
			fmt.Fprintf(out, " %s", right(c, 7))
		}
		out.WriteByte('\n')
	}
	line("PID", "NAME", "MAPPED", "COMMIT", "RES", "HELD", "+/h")
	for _, e := range rows {
		line(fmt.Sprint(pid(e)), processName(e), size(e.Totals.Mapped), size(e.Totals.Committed),
			sizeOr(e.Totals.Resident, "?"), size(held(e)), rate(grows(e)))
	}
	return out.Flush()
}

// held is the committed memory that was acquired under trace and not released.
func held(e *leak.Entry) (n uint64) {
	for i := range e.Threads {
		n += e.Threads[i].Committed
	}
	return n
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
