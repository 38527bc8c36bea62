package main

import (
	"fmt"
	"testing"
	"time"

	"vmaleak/leak"
)

func TestSizesAreRead(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "4096": 4096, "64KiB": 64 << 10, "1MiB": 1 << 20, "33M": 33 << 20, "33m": 33 << 20, "2g": 2 << 30, "1.5K": 1536,
		"1T": 1 << 40, "12 B": 12, "7kb": 7 << 10,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "K", "-1", "1X", "1KiBs", "inf", "nan", "1e300", "9999999T", "1,5M", "0x10", "64i", "M33"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestAuditsAreOffOrATime(t *testing.T) {
	var a auditFlag
	for text, want := range map[string]time.Duration{"off": -1, "10s": 10 * time.Second} {
		if err := a.Set(text); err != nil || time.Duration(a) != want {
			t.Errorf("%q: %v, %v", text, a, err)
		}
	}
	for _, text := range []string{"", "on", "-1s", "0"} {
		if a.Set(text) == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestWarningsAreCountedAndShownOnce(t *testing.T) {
	w := warnings{}
	if !w.add("b", "first", 1) || w.add("b", "second", 2) || !w.add("a", "other", 1) {
		t.Error("the first of a code is not told from the others")
	}
	if got := fmt.Sprint(w.list()); got != "[{a other 1} {b first 3}]" {
		t.Error(got)
	}
}

func TestALeakIsASuspectThatGrowsBeyondDoubt(t *testing.T) {
	rate := int64(1 << 20)
	grows := leak.Pool{}
	grows.Growth.PerHour, grows.Growth.Significant = &rate, true
	for _, c := range []struct {
		what string
		e    leak.Entry
		want bool
	}{
		{"nothing", leak.Entry{}, false},
		{"a pool that grows and is no suspect", leak.Entry{Pools: []leak.Pool{grows}}, false},
		{"a leak", leak.Entry{Suspects: []leak.Suspect{{Verdict: "leak"}}}, true},
		{"what grows", leak.Entry{Suspects: []leak.Suspect{{Verdict: "growing"}}}, true},
		{"what may be noise", leak.Entry{Suspects: []leak.Suspect{{Verdict: "suspicious"}}, Pools: []leak.Pool{grows}}, false},
	} {
		if got := hasLeak(&leak.Snapshot{Processes: []*leak.Entry{&c.e}}); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestThoseThatLiveAreShownFirst(t *testing.T) {
	s := &leak.Snapshot{}
	for i := range 6 {
		pid := i
		s.Processes = append(s.Processes, &leak.Entry{PID: &pid, Exited: i < 4, Totals: leak.Totals{Outstanding: uint64(i)}})
	}
	shown, more := mostImportant(s, 3)
	if more != 3 || *shown.Processes[0].PID != 5 || *shown.Processes[1].PID != 4 || *shown.Processes[2].PID != 3 || len(s.Processes) != 6 {
		t.Errorf("%d more, %v", more, shown.Processes)
	}
}

func TestDemoIsATraceThatIsAllowed(t *testing.T) {
	o := demoOptions()
	if o.command = []string{"leaker"}; o.check() != nil || !o.takesStacks() {
		t.Errorf("demo: %v, stacks: %t", o.check(), o.takesStacks())
	}
}
