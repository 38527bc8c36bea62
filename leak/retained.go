package leak

import (
	"fmt"
	"time"
)

// Retention matters from so many bytes on, and from such a share of what the process has in memory.
const (
	minRetained      = 16 << 20
	minRetainedShare = 20 // a twentieth
)

// retention remembers what a category kept, so that it is known since when it grows.
type retention struct {
	at    time.Time // of the last reading
	low   uint64    // the least that was kept
	lowAt time.Time
}

// retained makes the findings of memory that was freed but is kept by malloc.
func (b *builder) retained() {
	m := b.e.Malloc
	if m == nil {
		return
	}
	for i := range m.Uses {
		u := &m.Uses[i]
		since := b.s.kept(u.Category, u.FreeResident, m.At)
		if u.FreeResident < minRetained || b.e.Totals.Resident != nil && u.FreeResident < *b.e.Totals.Resident/minRetainedShare {
			continue
		}
		b.e.Retained = append(b.e.Retained, Retained{Category: u.Category, Bytes: u.FreeResident, Since: since, Why: b.whyRetained(u)})
	}
}

// kept books a reading, and returns since when what is kept has grown: nil if it was not seen growing.
func (s *Space) kept(category string, n uint64, at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	if s.keeps == nil {
		s.keeps = map[string]*retention{}
	}
	r := s.keeps[category]
	if r == nil {
		r = &retention{low: n, lowAt: *at}
		s.keeps[category] = r
	}
	if at.After(r.at) {
		if r.at = *at; n <= r.low {
			r.low, r.lowAt = n, *at
		}
	}
	if n-min(n, r.low) < max(minRetained, n/4) {
		return nil
	}
	since := r.lowAt
	return &since
}

// whyRetained says what was found, that it is no leak, and what would give it back.
func (b *builder) whyRetained(u *MallocUse) []string {
	where, atLeast := "the brk heap", ""
	if u.Category == MallocArena {
		where = fmt.Sprintf("%d arenas", u.Arenas)
		if u.Arenas == 1 {
			where = "1 arena"
		}
	}
	if u.Incomplete != nil {
		atLeast = "at least "
	}
	why := []string{fmt.Sprintf("malloc keeps %s%s of whole free pages in memory in %s: the program has freed them", atLeast, mebibytes(u.FreeResident), where)}
	if u.Incomplete != nil {
		why = append(why, "not all was read: "+*u.Incomplete)
	}
	if b.e.JVM != nil {
		pid := "PID"
		if b.e.PID != nil {
			pid = fmt.Sprint(*b.e.PID)
		}
		why = append(why, "vmaleak trim -p "+pid+" gives it back now; -XX:TrimNativeHeapInterval=60000 does so each minute, where the JDK has that flag (java -XX:+PrintFlagsFinal tells)")
	} else {
		why = append(why, "malloc_trim(3), called by the program itself, gives it back")
	}
	if u.Category == MallocArena {
		why = append(why, "MALLOC_ARENA_MAX=2 in its environment makes it less: threads share arenas, and holes are used again")
	} else {
		why = append(why, "MALLOC_TRIM_THRESHOLD_=131072 in its environment has free(3) give back the heap's end sooner; holes stay")
	}
	if u.KeptResident >= minRetained/4 {
		why = append(why, mebibytes(u.KeptResident)+" more is free at the arenas' ends, which a trim leaves: it is used before anything else")
	}
	return why
}

// mebibytes is n for people.
func mebibytes(n uint64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}
