package workloads

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"vmaleak/leak"
)

// expected is the truth about one run.
type expected struct {
	leaks      bool
	thread     string
	categories []string
	also       string        // memory of this category that the same thread leaks beside it
	perHour    float64       // bytes
	limit      time.Duration // from the end of the trace; 0: there is none
	arena      bool          // growth is seen late, which must be said
}

// outcome is one row of the table.
type outcome struct {
	name, jdk string
	control   bool
	verdict   string
	pool      string
	category  string
	growth    float64 // share of the truth; 0: none
	end       float64 // the same for the time to the limit
	first     time.Duration
	wrong     []string
}

// tolerances of growth and of the time to the limit.
const (
	growthWithin = 0.10
	limitWithin  = 0.20
)

// judge holds what an entry suspects, and what was suspected before, against the truth.
func judge(e *leak.Entry, ended time.Time, before []sighting, want expected) (o outcome) {
	o.verdict = "none"
	if !want.leaks {
		for i := range e.Suspects {
			o.verdict = e.Suspects[i].Verdict
			o.wrong = append(o.wrong, "false suspect: "+describe(&e.Suspects[i]))
		}
		if first := firstSighting(before); len(e.Suspects) == 0 && first != nil {
			o.first = first.after
			o.wrong = append(o.wrong, fmt.Sprintf("suspected for a while, first after %.0f s: %s", first.after.Seconds(), describe(&first.suspects[0])))
		}
		return o
	}
	var right []*leak.Suspect
	for i := range e.Suspects {
		if s := &e.Suspects[i]; want.is(s) {
			right = append(right, s)
		} else if str(s.Pool) != leak.PoolOf(want.thread) || str(s.Category) != want.also {
			o.wrong = append(o.wrong, "false suspect: "+describe(s))
		}
	}
	if len(right) == 0 {
		o.wrong = append(o.wrong, "missed")
		return o
	}
	top := right[0]
	o.verdict, o.pool, o.category = top.Verdict, str(top.Pool), str(top.Category)
	if top.Verdict != "growing" && top.Verdict != "leak" {
		o.wrong = append(o.wrong, "only "+top.Verdict)
	}
	o.growth = growthOf(right) / want.perHour
	if math.Abs(o.growth-1) > growthWithin {
		o.wrong = append(o.wrong, fmt.Sprintf("growth is %.0f%% of the truth", o.growth*100))
	}
	if want.limit > 0 {
		o.judgeEnd(top, ended, want)
	}
	if want.arena && !saysLate(right) {
		o.wrong = append(o.wrong, "it does not say that growth in arenas is seen late")
	}
	o.first = -1
	if i := slices.IndexFunc(before, func(s sighting) bool {
		return slices.ContainsFunc(s.suspects, func(s leak.Suspect) bool { return want.is(&s) })
	}); i >= 0 {
		o.first = before[i].after
	}
	if minute := want.perHour/60 >= 10<<20; minute && o.first > time.Minute {
		o.wrong = append(o.wrong, "suspected later than after a minute")
	}
	return o
}

func (o *outcome) judgeEnd(s *leak.Suspect, ended time.Time, want expected) {
	if s.ExhaustedAt == nil || s.Limit == nil {
		o.wrong = append(o.wrong, "no end foretold")
		return
	}
	o.end = s.ExhaustedAt.Sub(ended).Seconds() / want.limit.Seconds()
	if math.Abs(o.end-1) > limitWithin {
		o.wrong = append(o.wrong, fmt.Sprintf("the end, by %s, is foretold for %.0f%% of the time to it", s.Limit.Name, o.end*100))
	}
}

// is reports whether a suspect is in the right place and of the right kind.
func (x *expected) is(s *leak.Suspect) bool {
	return str(s.Pool) == leak.PoolOf(x.thread) && slices.Contains(x.categories, str(s.Category))
}

func growthOf(all []*leak.Suspect) (perHour float64) {
	for _, s := range all {
		if s.Growth.PerHour != nil {
			perHour += float64(*s.Growth.PerHour)
		}
	}
	return perHour
}

func saysLate(all []*leak.Suspect) bool {
	return slices.ContainsFunc(all, func(s *leak.Suspect) bool {
		return slices.ContainsFunc(s.Why, func(why string) bool { return strings.Contains(why, "arena reuse: growth is seen late") })
	})
}

func firstSighting(all []sighting) *sighting {
	for i := range all {
		if len(all[i].suspects) > 0 {
			return &all[i]
		}
	}
	return nil
}

func describe(s *leak.Suspect) string {
	rate := "no rate"
	if s.Growth.PerHour != nil {
		rate = fmt.Sprintf("%.1f MiB/h", float64(*s.Growth.PerHour)/(1<<20))
	}
	return fmt.Sprintf("%s, pool %q, %s, %d bytes in %d mappings, %s: %s", s.Verdict, str(s.Pool), str(s.Category),
		s.Outstanding, s.Mappings, rate, strings.Join(s.Why, "; "))
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
