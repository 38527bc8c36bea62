package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"vmaleak/leak"
)

// How many suspects a screen shows, and how many reasons and leads of each.
const (
	maxSuspects = 3
	maxReasons  = 8
)

// suspected reports whether there is a suspect in any process.
func suspected(s *leak.Snapshot) bool {
	return slices.ContainsFunc(s.Processes, func(e *leak.Entry) bool { return len(e.Suspects) > 0 })
}

// labelWidth is the column behind the words in capitals.
const labelWidth = 8

// label writes text behind a word in a column of its own: "RATE    3 steps of …".
func (t *screen) label(word, text string) {
	lines := strings.TrimSuffix(wrap(text, "", t.o.Width-labelWidth), "\n")
	for line := range strings.SplitSeq(lines, "\n") {
		t.WriteString(left(word, labelWidth) + line + "\n")
		word = ""
	}
}

// verdicts writes what is suspected of a process, and what is only retained.
func (t *screen) verdicts(e *leak.Entry) {
	for i := range e.Suspects[:min(len(e.Suspects), maxSuspects)] {
		t.suspect(e, &e.Suspects[i])
	}
	if more := len(e.Suspects) - maxSuspects; more > 0 {
		t.label("", "and "+plural(uint64(more), "suspect"))
	}
	if len(e.Suspects) > 0 {
		if text := notIt(e); text != "" {
			t.label("NOT IT", text)
		}
	}
	for i := range e.Retained {
		r := &e.Retained[i]
		t.label("KEPT", fmt.Sprintf("%s free in %s, not leaked: %s", mebibytes(r.Bytes, 0), r.Category, strings.Join(r.Why, "; ")))
	}
}

// notIt says what it is not: the categories that are no suspect's and did not grow.
func notIt(e *leak.Entry) string {
	suspect := map[string]bool{}
	for i := range e.Suspects {
		suspect[value(e.Suspects[i].Category)] = true
	}
	var still []string
	if h := heapOf(e); h != "" && !suspect[leak.JavaHeap] {
		still = append(still, h)
	}
	for i := range e.Categories {
		c := &e.Categories[i]
		if c.Grew == nil || suspect[c.Category] || c.Category == leak.JavaHeap || c.Category == leak.Other {
			continue
		}
		if *c.Grew <= max(1<<20, int64(c.Committed/50)) {
			still = append(still, c.Category)
		}
	}
	if len(still) == 0 {
		return ""
	}
	return strings.Join(still, ", ") + ": flat"
}

// heapOf is the Java heap in words, "" where it is not known or grew.
func heapOf(e *leak.Entry) string {
	if e.JVM == nil || e.JVM.Heap == nil || e.JVM.Heap.Used == nil {
		return ""
	}
	h := e.JVM.Heap
	for i := range e.Categories {
		if c := &e.Categories[i]; c.Category == leak.JavaHeap && c.Grew != nil && *c.Grew > max(1<<20, int64(c.Committed/50)) {
			return ""
		}
	}
	if h.Max == nil {
		return "heap " + size(*h.Used)
	}
	return fmt.Sprintf("heap %s of %s", size(*h.Used), size(*h.Max))
}

// suspect writes one suspect: what, how fast, until when, and why.
func (t *screen) suspect(e *leak.Entry, s *leak.Suspect) {
	now := cmp.Or(e.EndedAt, t.s.EndedAt)
	t.label(verdictWord(s), heldBy(s))
	if text := growing(&s.Growth, s.Steps, sole(s.SizeClass)); text != "" {
		if next := nextStep(s, now); next != nil {
			text += "; next about " + clock(next, now)
		}
		if p := s.Predictions; p.Made > 0 {
			text += fmt.Sprintf("; %d of %s foretold", p.Kept, plural(uint64(p.Made), "step"))
		}
		t.label("RATE", text)
	}
	t.label("ENDS", ends(s, now))
	if text := where(e, s); text != "" {
		t.label("WHERE", text)
	}
	if t.o.Live {
		return
	}
	t.list("WHY", s.Why)
	t.list("LEAD", s.Lead)
	if s.Rank == 1 && !e.Exited && t.s.Source == leak.SourceLive && e.PID != nil {
		text := fmt.Sprintf("vmaleak peek -p %d shows what is in it", *e.PID)
		if e.JVM != nil {
			text += fmt.Sprintf("; vmaleak holders -p %d --dump who holds it", *e.PID)
		}
		t.label("NEXT", text)
	}
}

// where is the call that a suspect comes from: the application's innermost frame, or where a library was entered.
func where(e *leak.Entry, s *leak.Suspect) string {
	i := slices.IndexFunc(e.Stacks, func(st leak.Stack) bool { return s.Stack != nil && st.ID == *s.Stack })
	if i < 0 {
		return ""
	}
	at := &place{stack: &e.Stacks[i], judge: judgeOf(e)}
	at.pieces, at.top = trim(at.stack.Frames, at.judge)
	if at.top == application {
		for k := range at.stack.Frames {
			if f := &at.stack.Frames[k]; at.judge.level(f) == application {
				name, line, _ := parts(f)
				return "at " + cut(name, 200) + cut(line, 100)
			}
		}
	}
	return at.entered()
}

// verdictWord is a verdict as the screen has it.
func verdictWord(s *leak.Suspect) string {
	if s.Verdict == "suspicious" {
		return "SUSPECT"
	}
	return strings.ToUpper(s.Verdict)
}

// list writes lines below one label.
func (t *screen) list(word string, lines []string) {
	for _, text := range lines[:min(len(lines), maxReasons)] {
		t.label(word, cut(text, 400))
		word = ""
	}
}

// heldBy says what a suspect is: "WorkerPetalGroup-9-#: 96 mappings of
// 16,781,312 B held (1536.4 MiB), 0 released".
func heldBy(s *leak.Suspect) string {
	who := "process"
	if s.Pool != nil {
		who = poolName(*s.Pool)
	}
	text := who + ": "
	what := "mapping"
	if s.Blocks {
		what = "block"
	}
	switch size := sole(s.SizeClass); {
	case size != nil && s.Outstanding == s.Mappings**size:
		text += fmt.Sprintf("%s of %s B held (%s)", plural(s.Mappings, what), exact(*size), mebibytes(s.Outstanding, 1))
	case size != nil:
		text += fmt.Sprintf("%s held by %s of %s B", mebibytes(s.Outstanding, 1), plural(s.Mappings, what), exact(*size))
	default:
		text += fmt.Sprintf("%s held by %s", mebibytes(s.Outstanding, 1), plural(s.Mappings, what))
	}
	if s.Category != nil {
		text += ", " + *s.Category
	}
	text += ", " + mebibytes(s.Released, 1) + " released"
	if s.Released == 0 {
		text = strings.TrimSuffix(text, "0 B released") + "0 released"
	}
	if s.Resident != nil {
		text += ", " + mebibytes(*s.Resident, 1) + " in memory"
	}
	if p := s.PreExisting; p != nil && *p > 0 {
		text += ", and " + mebibytes(*p, 1) + " of the kind from before the trace"
	}
	return text
}

// sole is the size of a class of one, nil for others.
func sole(c leak.SizeClass) *uint64 {
	if c.Min != c.Max || c.Min == 0 {
		return nil
	}
	return &c.Min
}

// nextStep is when the next step is due, nil where none is or it should have come already.
func nextStep(s *leak.Suspect, now *time.Time) *time.Time {
	if s.Steps == nil || s.LastAt == nil || s.Steps.PeriodNS <= 0 {
		return nil
	}
	next := s.LastAt.Add(time.Duration(s.Steps.PeriodNS))
	if now != nil && next.Before(*now) {
		return nil
	}
	return &next
}

// ends says when which limit will be hit.
func ends(s *leak.Suspect, now *time.Time) string {
	l := s.Limit
	switch {
	case l == nil:
		return "not foretold: no limit that it would meet is known"
	case s.ExhaustedAt == nil:
		for _, why := range s.Why { // without dates the time of day stands there alone
			if _, at, ok := strings.Cut(why, " is reached "); ok && strings.HasPrefix(why, l.Name) {
				return fmt.Sprintf("%s; %s: %s", cut(at, 200), l.Name, used(l))
			}
		}
		return fmt.Sprintf("not foretold; %s: %s", l.Name, used(l))
	}
	text := "about " + clockOrDate(s.ExhaustedAt, now)
	if a, b := s.ExhaustedEarliest, s.ExhaustedLatest; a != nil && b != nil && clockOrDate(a, now) != clockOrDate(b, now) {
		text += fmt.Sprintf(" (%s to %s)", clockOrDate(a, now), clockOrDate(b, now))
	} else if a != nil && b == nil {
		text += fmt.Sprintf(" (no sooner than %s)", clockOrDate(a, now))
	}
	return text + fmt.Sprintf(", %s: %s", l.Name, used(l))
}

// used says how much of a limit is in use, and by which counter.
func used(l *leak.Limit) string {
	in := func(n uint64) string { return mebibytes(n, 0) }
	if l.Bytes < 1<<17 && strings.Contains(l.Counter, "max_map_count") {
		in = exact
	}
	text := "? of " + in(l.Bytes)
	if l.Used != nil {
		text = in(*l.Used) + " of " + in(l.Bytes)
	}
	if l.Counter != "" {
		text += " (" + cut(l.Counter, 120) + ")"
	}
	return text
}

// clockOrDate is the time of day of at, with its date if that is another day than now's.
func clockOrDate(at, now *time.Time) string {
	if now == nil || at.Year() == now.Year() && at.YearDay() == now.YearDay() {
		return at.Format("15:04")
	}
	if at.Sub(*now) < 18*time.Hour {
		return at.Format("15:04")
	}
	if at.Sub(*now) < 300*24*time.Hour {
		return at.Format("2 Jan 15:04")
	}
	return at.Format("Jan 2006")
}
