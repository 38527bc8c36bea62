package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"vmaleak/leak"
)

// finding is the pool that the report begins with.
type finding struct {
	e *leak.Entry
	p *leak.Pool
}

// top is the pool that grows most; where none grows, the one that holds most.
// nil if nothing is held.
func top(s *leak.Snapshot) (f *finding) {
	var all []finding
	for _, e := range s.Processes {
		for i := range e.Pools {
			if p := &e.Pools[i]; p.Committed > 0 {
				all = append(all, finding{e, p})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	best := slices.MinFunc(all, func(a, b finding) int {
		return cmp.Or(cmp.Compare(perHour(b.p), perHour(a.p)), cmp.Compare(b.p.Committed, a.p.Committed),
			cmp.Compare(a.e.Space, b.e.Space), cmp.Compare(a.p.Name, b.p.Name))
	})
	return &best
}

func perHour(p *leak.Pool) int64 {
	if p.Growth.PerHour == nil {
		return 0
	}
	return *p.Growth.PerHour
}

// holding says what a pool holds: "WorkerPetalGroup-9-#: 96 mappings of
// 16,781,312 B held (1536.4 MiB), 0 released, 8 threads with 12 each".
func (f *finding) holding() string {
	p := f.p
	text := poolName(p.Name) + ": "
	switch {
	case p.Size != nil && p.Outstanding == p.Mappings**p.Size && p.Committed == p.Outstanding:
		text += fmt.Sprintf("%s of %s B held (%s)", plural(p.Mappings, "mapping"), exact(*p.Size), mebibytes(p.Committed, 1))
	case p.Size != nil:
		text += fmt.Sprintf("%s held by %s, mostly of %s B", mebibytes(p.Committed, 1), plural(p.Mappings, "mapping"), exact(*p.Size))
	default:
		text += fmt.Sprintf("%s held by %s", mebibytes(p.Committed, 1), plural(p.Mappings, "mapping"))
	}
	if p.Released == 0 {
		text += ", 0 released"
	} else {
		text += fmt.Sprintf(", %s released", mebibytes(p.Released, 1))
	}
	text += ", " + f.spread()
	if p.Unnamed > 0 {
		text += fmt.Sprintf(" (%d of them are not named, but no other pool maps this size)", p.Unnamed)
	}
	return text
}

// spread says how the mappings lie on the pool's threads.
func (f *finding) spread() string {
	var each, n uint64
	same := true
	for _, m := range members(f.e)[f.p.Name] {
		same = same && (n == 0 || m.Mappings == each)
		each = m.Mappings
		n++
	}
	text := plural(n, "thread")
	if same && n > 1 {
		text = fmt.Sprintf("%d threads with %d each", n, each)
	}
	if f.p.Virtual {
		text = "carried by " + text
	}
	return text
}

// growing says how a pool grows, "" if it does not.
func (f *finding) growing() string { return growing(&f.p.Growth, f.p.Steps, f.p.Size) }

// growing says how memory grows that comes mostly in calls of size, "" if it does not.
func growing(g *leak.Growth, st *leak.Steps, size *uint64) string {
	if g.PerHour == nil {
		return ""
	}
	text := mebibytes(uint64(max(*g.PerHour, 0)), 0) + "/h"
	if st != nil {
		bytes := exact(st.Bytes) + " B"
		if size != nil && *size > 0 && st.Bytes%*size == 0 && st.Bytes > *size {
			bytes = fmt.Sprintf("%d x %s B", st.Bytes / *size, exact(*size))
		}
		return fmt.Sprintf("%s of %s, one per %s; %s over whole steps", plural(uint64(st.Count), "step"), bytes, about(time.Duration(st.PeriodNS)), text)
	}
	if g.Low != nil && g.High != nil {
		text += fmt.Sprintf(" (%s to %s)", mebibytes(uint64(max(*g.Low, 0)), 0), mebibytes(uint64(max(*g.High, 0)), 0))
	}
	return "steadily " + text
}

// quiet says what could not have been seen yet in a process that does not grow.
func quiet(f *leak.Floor) string {
	if strings.HasPrefix(f.Why, "too short") {
		return f.Why
	}
	return fmt.Sprintf("nothing above %s/h in %s", mebibytes(uint64(max(f.GrowthPerHour, 0)), 0), about(time.Duration(f.WatchedNS)))
}

// poolOf is the name under which a thread counts in Entry.Pools.
func poolOf(t *leak.Thread) string {
	switch {
	case t.Pool != nil:
		return *t.Pool
	case t.LikelyPool != nil:
		return *t.LikelyPool
	case t.Name != nil:
		return leak.PoolOf(*t.Name)
	case t.Comm != nil:
		return leak.PoolOf(*t.Comm)
	}
	return ""
}

// poolName is the name of a pool to show.
func poolName(name string) string {
	if name == "" {
		return "(no name)"
	}
	return name
}

// threadName is the name of a thread to show.
func threadName(t *leak.Thread) string {
	switch {
	case t.Name != nil && *t.Name == "":
		return `""`
	case t.Name != nil:
		return *t.Name
	case t.Comm != nil:
		return *t.Comm
	case t.TID != nil:
		return fmt.Sprintf("thread %d", *t.TID)
	}
	return "?"
}

// processName is the name of a process to show.
func processName(e *leak.Entry) string {
	for _, s := range []*string{e.Name, e.Comm, e.Exe} {
		if s != nil && *s != "" {
			return *s
		}
	}
	return "process"
}
