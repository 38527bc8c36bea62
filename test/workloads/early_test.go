package workloads

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vmaleak/report"
)

// like is a workload of the table, that lasts otherwise.
func like(tb testing.TB, name string, lasts time.Duration) *workload {
	tb.Helper()
	for _, w := range workloads {
		if w.name == name {
			w.lasts = lasts
			return &w
		}
	}
	tb.Fatalf("no workload %s", name)
	return nil
}

func TestTwentySimilarStepsInTheFirstEightSecondsAreGrowing(t *testing.T) {
	t.Parallel()
	needTrace(t)
	r := startWorkload(t, like(t, "unsafe", 8200*time.Millisecond), "17", false)
	r.traceIt(t)
	want := r.expect(t)
	want.limit = 0 // of so short a time it need not be right
	o := judge(r.final.Processes[0], *r.final.EndedAt, nil, want)
	t.Logf("%s, growth %.2f of the truth", o.verdict, o.growth)
	for _, wrong := range o.wrong {
		t.Error(wrong)
	}
}

func TestARunOfFourSecondsIsTooShortToJudge(t *testing.T) {
	t.Parallel()
	needTrace(t)
	r := startWorkload(t, like(t, "unsafe", 4*time.Second), "17", false)
	r.traceIt(t)
	e := r.final.Processes[0]
	for i := range e.Suspects {
		t.Errorf("suspect after 4 s: %s", describe(&e.Suspects[i]))
	}
	if e.Floor == nil || !strings.Contains(e.Floor.Why, "too short to judge") {
		t.Errorf("detection floor %+v, want one that says it was too short to judge", e.Floor)
	}
	var text bytes.Buffer
	if err := report.Text(&text, r.final, report.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "too short to judge") {
		t.Errorf("the report does not say that it was too short to judge:\n%s", text.String())
	}
}

// TestHealthyNetty wants no suspect at any time while a sound server works:
// for ten minutes, or with the few tests for twenty seconds.
func TestHealthyNetty(t *testing.T) {
	t.Parallel()
	needTrace(t)
	lasts := quickly
	if all() {
		lasts = 10 * time.Minute
	}
	for _, jdk := range []string{"17", "25"} {
		t.Run(jdk, func(t *testing.T) {
			t.Parallel()
			r := startWorkload(t, like(t, "netty", lasts), jdk, true)
			r.traceIt(t)
			o := judge(r.final.Processes[0], *r.final.EndedAt, r.sightings, expected{})
			o.name, o.jdk, o.control = "netty "+lasts.String(), jdk, true
			record(o)
			t.Logf("%d exports in %v, %d with suspects", len(r.sightings), lasts, suspicious(r.sightings))
			for _, wrong := range o.wrong {
				t.Error(wrong)
			}
		})
	}
}

func suspicious(all []sighting) (n int) {
	for _, s := range all {
		if len(s.suspects) > 0 {
			n++
		}
	}
	return n
}
