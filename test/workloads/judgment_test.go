package workloads

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"vmaleak/leak"
)

func TestJudge(t *testing.T) {
	ended := time.Unix(1_700_000_000, 0)
	suspect := func(change func(*leak.Suspect)) leak.Suspect {
		pool, category, rate, at := "leak-unsafe-#", leak.DirectBuffer, int64(1000<<20), ended.Add(time.Hour)
		s := leak.Suspect{Verdict: "growing", Pool: &pool, Category: &category, Growth: leak.Growth{PerHour: &rate},
			ExhaustedAt: &at, Limit: &leak.Limit{Name: "memory.max"}}
		change(&s)
		return s
	}
	good := suspect(func(*leak.Suspect) {})
	truth := expected{leaks: true, thread: "leak-unsafe-7", categories: []string{leak.DirectBuffer}, perHour: 1050 << 20, limit: time.Hour}
	early := []sighting{{after: 8 * time.Second, suspects: []leak.Suspect{good}}}
	for name, c := range map[string]struct {
		suspects []leak.Suspect
		before   []sighting
		want     expected
		wrong    string // "" = nothing
	}{
		"a leak that is found is right":           {[]leak.Suspect{good}, early, truth, ""},
		"a leak without a suspect is missed":      {nil, nil, truth, "missed"},
		"the wrong pool is missed and false":      {[]leak.Suspect{suspect(func(s *leak.Suspect) { s.Pool = nil })}, nil, truth, "false suspect"},
		"the wrong category is missed and false":  {[]leak.Suspect{suspect(func(s *leak.Suspect) { s.Category = nil })}, nil, truth, "missed"},
		"suspicious is too little":                {[]leak.Suspect{suspect(func(s *leak.Suspect) { s.Verdict = "suspicious" })}, early, truth, "only suspicious"},
		"a second suspect beside it is false":     {[]leak.Suspect{good, suspect(func(s *leak.Suspect) { s.Pool = nil })}, early, truth, "false suspect"},
		"growth is of all suspects in the place":  {[]leak.Suspect{good, good}, early, truth, "growth is 190%"},
		"no rate is no growth":                    {[]leak.Suspect{suspect(func(s *leak.Suspect) { s.Growth.PerHour = nil })}, early, truth, "growth is 0%"},
		"an end that is not foretold is wrong":    {[]leak.Suspect{suspect(func(s *leak.Suspect) { s.ExhaustedAt = nil })}, early, truth, "no end"},
		"an end that is far off is wrong":         {[]leak.Suspect{suspect(func(s *leak.Suspect) { *s.ExhaustedAt = ended.Add(2 * time.Hour) })}, early, truth, "200%"},
		"a suspect after more than a minute":      {[]leak.Suspect{good}, []sighting{{after: 70 * time.Second, suspects: []leak.Suspect{good}}}, truth, "later than"},
		"arenas must be said to be late":          {[]leak.Suspect{good}, early, expected{leaks: true, thread: "leak-unsafe-1", categories: truth.categories, perHour: truth.perHour, arena: true}, "seen late"},
		"a control without a suspect is right":    {nil, nil, expected{}, ""},
		"a control with a suspect is wrong":       {[]leak.Suspect{good}, nil, expected{}, "false suspect"},
		"a control that was suspected for a time": {nil, early, expected{}, "for a while"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := strings.Join(judge(&leak.Entry{Suspects: c.suspects}, ended, c.before, c.want).wrong, "; ")
			if wrong != c.wrong && (c.wrong == "" || !strings.Contains(wrong, c.wrong)) {
				t.Errorf("judged %q, want %q", wrong, c.wrong)
			}
		})
	}
}

func TestMemoryIsReadFromSmaps(t *testing.T) {
	const smaps = `00400000-00500000 r-xp 00000000 fd:00 7 /bin/x
VmFlags: rd ex mr mw me
00600000-00700000 rw-p 00000000 00:00 0 [heap]
VmFlags: rd wr mr mw me ac
7f0000000000-7f0000200000 rw-p 00000000 00:00 0 
VmFlags: rd wr mr mw me nr
7f0000200000-7f0004000000 ---p 00000000 00:00 0 
VmFlags: mr mw me nr
7f0010000000-7f0010400000 rw-p 00000000 00:00 0 
VmFlags: rd wr mr mw me ac
`
	m := must[memory](t)(parseMemory(bufio.NewScanner(strings.NewReader(smaps)), time.Time{}))
	if m.size != 70<<20 || m.committed != 7<<20 || m.arenas != 3<<20 {
		t.Errorf("size %.0f, committed %.0f, in arenas %.0f", m.size, m.committed, m.arenas)
	}
}

func TestTruthIsRead(t *testing.T) {
	got := must[told](t)(parseTold(line{text: "truth kind=x at_ms=1700000000500 leaked=4096 thread=a-1"}))
	if got.leaked != 4096 || got.at.UnixMilli() != 1_700_000_000_500 || got.fields["thread"] != "a-1" {
		t.Errorf("%+v", got)
	}
	at := time.Unix(9, 0)
	if got = must[told](t)(parseTold(line{at, "stats msgs=1 retained=77 cpu_ns=3"})); got.leaked != 77 || got.at != at {
		t.Errorf("%+v", got)
	}
	if _, err := parseTold(line{at, "truth nothing"}); err == nil {
		t.Error("a line without a number is taken for the truth")
	}
}
