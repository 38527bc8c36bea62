package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vmaleak/leak"
)

const (
	storyLog  = "../../strace/testdata/story/strace_0301.txt"
	storyDump = "../../strace/testdata/story/jstack_0301_runnable.txt"
)

// importStory imports the story's log up to a time of day, "" is all of it.
func importStory(t *testing.T, until string, args ...string) *leak.Snapshot {
	t.Helper()
	log, err := os.ReadFile(storyLog)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	lines := slices.Collect(strings.Lines(string(log)))
	for i, line := range lines {
		if until != "" && strings.Contains(line, " "+until) {
			lines = lines[:i+1]
		}
	}
	if until != "" && len(lines) == 96 {
		t.Fatalf("the log has no call at %s", until)
	}
	part, out := filepath.Join(dir, "strace.txt"), filepath.Join(dir, "out.json")
	if err := os.WriteFile(part, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args = append([]string{"import", "--date", "2021-03-01", "--tz", "UTC", "--json", out, part, storyDump}, args...)
	if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
		t.Fatalf("%v: exit code %d\n%s", args, code, &stderr)
	}
	var snap leak.Snapshot
	doc, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(doc, &snap); err != nil {
		t.Fatal(err)
	}
	return &snap
}

func TestTheStorysVerdictAsOfEachStep(t *testing.T) {
	for _, c := range []struct{ until, verdict string }{
		{"22:48:40", ""}, {"22:48:58", ""}, {"23:40:52", ""}, {"23:41:01", ""}, {"23:41:38", ""},
		{"00:33:31", "growing"}, {"01:25:39", "growing"}, {"02:16:56", "leak"}, {"03:08", "leak"}, {"08:22:38.6", "leak"},
	} {
		e := importStory(t, c.until).Processes[0]
		got := ""
		if len(e.Suspects) > 0 {
			got = e.Suspects[0].Verdict
		}
		if got != c.verdict || len(e.Suspects) > 1 {
			t.Errorf("as of %s: %d suspects, %q, want %q", c.until, len(e.Suspects), got, c.verdict)
		}
	}
}

func TestTheStorysSuspect(t *testing.T) {
	s := importStory(t, "").Processes[0].Suspects[0]
	if s.Verdict != "leak" || s.Pool == nil || *s.Pool != "WorkerPetalGroup-9-#" || s.Mappings != 96 || s.Outstanding != 1_611_005_952 ||
		s.Released != 0 || len(s.TIDs) != 8 || s.SizeClass != (leak.SizeClass{Min: 16_781_312, Max: 16_781_312}) {
		t.Errorf("%+v", s)
	}
	if s.Steps == nil || s.Steps.Count != 12 || s.Steps.Bytes != 8*16_781_312 || s.Predictions != (leak.Prediction{Made: 9, Kept: 9}) {
		t.Errorf("steps %+v, predictions %+v", s.Steps, s.Predictions)
	}
	if rate := *s.Growth.PerHour >> 20; rate < 145 || rate > 149 {
		t.Errorf("%d MiB/h", rate)
	}
	why := strings.Join(s.Why, "\n")
	for _, want := range []string{"96 mapped, 0 released, 12 by each of 8 threads", "12 steps of 128 MiB, one every 52 min; 9 of 9 steps foretold"} {
		if !strings.Contains(why, want) {
			t.Errorf("%q is missing of\n%s", want, why)
		}
	}
	if s.Limit != nil || s.ExhaustedAt != nil {
		t.Errorf("an end without a limit: %+v at %v", s.Limit, s.ExhaustedAt)
	}
}

func TestTheStorysEnd(t *testing.T) {
	app := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(app, []byte("2021-03-02 09:58:59 ERROR io.netty.util.internal.OutOfDirectMemoryError: failed to allocate 16777216 byte(s) of direct memory (used: 2130706439, max: 2147483648)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		at     string
		within time.Duration
		older  bool // the warning that older memory makes it sooner
	}{
		{"from the 96 alone", []string{"--limit", "direct=2GiB"}, "2021-03-02T11:51:00Z", time.Minute, true},
		{"with the application's log", []string{"--log", app}, "2021-03-02T09:14:00Z", 5 * time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			snap := importStory(t, "", c.args...)
			s := snap.Processes[0].Suspects[0]
			want, err := time.Parse(time.RFC3339, c.at)
			if err != nil {
				t.Fatal(err)
			}
			if s.ExhaustedAt == nil || s.ExhaustedAt.Sub(want).Abs() > c.within {
				t.Errorf("the end is at %v, want %v", s.ExhaustedAt, want)
			}
			if s.Limit == nil || s.Limit.Bytes != 2<<30 {
				t.Errorf("limit: %+v", s.Limit)
			}
			if warned := slices.ContainsFunc(snap.Warnings, func(w leak.Warning) bool { return w.Code == "older-memory" }); warned != c.older {
				t.Errorf("warned of older memory: %t", warned)
			}
			if told := strings.Contains(strings.Join(s.Why, "\n"), "older memory of the kind makes it sooner"); told != c.older {
				t.Errorf("told of older memory: %t in %q", told, s.Why)
			}
		})
	}
}
