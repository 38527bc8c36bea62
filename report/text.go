package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"vmaleak/leak"
)

// TextOptions is what a screen shows. The zero value is the default.
type TextOptions struct {
	Top     int    // pools, and threads of each, 0 = 10
	MinSize uint64 // pools and threads that hold less are left out, unless they grow
	Width   int    // columns, 0 = 80; no less than 72
	Live    bool   // tables only: without the sentences and the stacks of a final report

	// FullStacks shows every frame of every stack that the snapshot lists of
	// the pools in the table. Else the top pools have their top stacks, trimmed.
	FullStacks bool
}

// Text writes the report for people: for each process what is suspected of it, or else what holds
// most, said in sentences, then one table. No line is wider than the options say, and no name can
// harm the terminal.
func Text(w io.Writer, s *leak.Snapshot, o TextOptions) error {
	if o.Top <= 0 {
		o.Top = 10
	}
	if o.Width <= 0 {
		o.Width = 80
	}
	o.Width = max(o.Width, 72)
	t := &screen{Writer: bufio.NewWriter(w), s: s, o: o, said: map[*leak.Entry]bool{}}
	if !o.Live {
		t.summary()
	}
	for i, e := range s.Processes {
		if i > 0 || !o.Live && !suspected(s) {
			t.WriteByte('\n')
		}
		t.process(e)
	}
	if len(s.Processes) == 0 {
		t.line("no process was followed")
	}
	for _, warn := range s.Warnings {
		text := "warning: " + warn.Message
		if warn.Count > 1 {
			text += fmt.Sprintf(" (%s)", exact(warn.Count))
		}
		t.line(text)
	}
	return t.Flush()
}

type screen struct {
	*bufio.Writer
	s    *leak.Snapshot
	o    TextOptions
	said map[*leak.Entry]bool // whose detection floor the summary told
}

// line writes text, wrapped.
func (t *screen) line(text string) { t.WriteString(wrap(text, "  ", t.o.Width)) }

// summary is the first lines of a final report.
func (t *screen) summary() {
	f := top(t.s)
	switch {
	case suspected(t.s):
	case f == nil:
		for _, e := range t.s.Processes {
			if e.Floor != nil {
				t.said[e] = true
				t.line(fmt.Sprintf("%s: %s; nothing acquired since is still held", processName(e), quiet(e.Floor)))
			}
		}
	case f.p.Growth.PerHour != nil:
		t.line(f.holding())
		t.line("grows: " + f.growing())
		t.source(f)
		if p := f.p.PreExisting; p != nil && *p > 0 {
			t.line(fmt.Sprintf("before the trace: %s more in mappings of this size", mebibytes(*p, 1)))
		}
	default:
		if f.e.Floor != nil {
			t.said[f.e] = true
			t.line(fmt.Sprintf("%s: %s", processName(f.e), quiet(f.e.Floor)))
		}
		t.line("held most: " + f.holding())
		t.source(f)
	}
}

// source says where a pool got most, if that is known.
func (t *screen) source(f *finding) {
	if text := f.source(); text != "" {
		t.line(text)
	}
}

func (t *screen) process(e *leak.Entry) {
	t.line(header(t.s, e))
	t.verdicts(e)
	tot := &e.Totals
	t.line(fmt.Sprintf("mapped %s = committed %s + reserved %s; outstanding %s; resident %s", size(tot.Mapped),
		size(tot.Committed), size(tot.Reserved), size(tot.Outstanding), sizeOr(tot.Resident)))
	text := ""
	for _, part := range []struct {
		what string
		n    uint64
	}{{"before the trace", tot.PreExisting}, {"inherited", tot.Inherited}, {"healed", tot.Healed}} {
		if part.n > 0 {
			text += fmt.Sprintf("; %s %s", part.what, size(part.n))
		}
	}
	if text != "" {
		t.line(text[2:])
	}
	for _, line := range doubts(e) {
		t.line(line)
	}
	pools := t.topPools(e)
	t.pools(e, pools)
	if e.Floor != nil && !t.said[e] {
		t.line(quiet(e.Floor))
	}
	t.regime(e)
	t.blocks(e)
	if !t.o.Live {
		t.memory(e)
		if f := e.Effects; f.Dumps > 0 || f.CPUNS > 0 {
			t.line(fmt.Sprintf("cost: %s, %s of pauses, %s of CPU", plural(uint64(f.Dumps), "thread dump"),
				about(time.Duration(f.DumpPauseNS)), about(time.Duration(f.CPUNS))))
		}
		t.blocksFrom(e)
		t.stacks(e, pools[:min(len(pools), t.o.Top)])
	}
}

// header is the first line of a process: who, since when, and how exact.
func header(s *leak.Snapshot, e *leak.Entry) string {
	text := cut(processName(e), 40)
	if e.PID != nil {
		text += fmt.Sprintf(" %d", *e.PID)
	}
	if e.JVM != nil && e.JVM.Version != nil {
		text += "  JDK " + cut(jdk(*e.JVM.Version), 16)
	}
	if at := cmp.Or(e.EndedAt, s.EndedAt); at != nil {
		text += "  " + at.Format("15:04:05")
	}
	text += "  on " + about(time.Duration(e.WatchedNS))
	ledger := e.Backend.Mode
	if s.Source == leak.SourceStrace {
		ledger = "strace"
	}
	text += fmt.Sprintf("  ledger=%s  lost %d", ledger, e.Events.Lost)
	if e.EndedBy != nil {
		how := map[string]string{leak.EndedExit: "it exited", leak.EndedSignal: "killed by a signal",
			leak.EndedOOM: "killed for want of memory", leak.EndedExec: "replaced by exec"}[*e.EndedBy]
		text += "  ended: " + cmp.Or(how, *e.EndedBy)
	}
	return text
}

var vmVersion = regexp.MustCompile(`[0-9]+(\.[0-9]+)+[-+.0-9A-Za-z]*`)

// jdk is the release that a virtual machine's own words tell: "8u191" of "Java
// HotSpot(TM) 64-Bit Server VM (25.191-b12 mixed mode)".
func jdk(version string) string {
	v := vmVersion.FindString(version)
	if update, _, ok := strings.Cut(strings.TrimPrefix(v, "25."), "-b"); ok && strings.HasPrefix(v, "25.") {
		return "8u" + update
	}
	v, _, _ = strings.Cut(v, "+")
	return cmp.Or(v, version)
}

// doubts says what makes the numbers less than exact.
func doubts(e *leak.Entry) (lines []string) {
	if ev := &e.Events; ev.Lost+ev.Gaps+ev.Resyncs+ev.DriftBytes > 0 {
		lines = append(lines, fmt.Sprintf("lost %s in %s; %s; drift %s B", plural(ev.Lost, "event"),
			plural(ev.Gaps, "gap"), plural(ev.Resyncs, "resync"), exact(ev.DriftBytes)))
	}
	if e.UnverifiedBecause != nil {
		lines = append(lines, "not verified: "+*e.UnverifiedBecause)
	}
	if len(e.Events.Untraced) > 0 {
		text := "untraced changes:"
		for _, k := range slices.Sorted(maps.Keys(e.Events.Untraced)) {
			text += fmt.Sprintf(" %s %d,", k, e.Events.Untraced[k])
		}
		lines = append(lines, strings.TrimSuffix(text, ","))
	}
	if text := walked(&e.Events.Stacks); text != "" {
		lines = append(lines, text)
	}
	return lines
}
