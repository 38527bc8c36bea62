package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vmaleak/leak"
	"vmaleak/report"
	"vmaleak/symbolize"
	"vmaleak/symbolize/content"
	"vmaleak/vma"
)

func ptr[T any](v T) *T { return &v }

// row is a mapping that a thread acquired with a stack.
func row(start, length uint64, thread int, stack, category string) leak.Mapping {
	return leak.Mapping{Start: ptr(leak.Addr(start)), End: ptr(leak.Addr(start + length)), Length: length, Committed: length, Prot: "rw-",
		AcquiredLength: &length, Origin: vma.Traced.String(), Thread: &thread, Stack: &stack, Category: &category,
		MappedAt: ptr(time.Unix(int64(start>>20), 0))}
}

const chunk = 16<<20 + 4096

func traced() *leak.Entry {
	e := &leak.Entry{PID: ptr(7), StartedAt: ptr(time.Unix(1000, 0)), Threads: []leak.Thread{
		{Pool: ptr("Worker-#"), Name: ptr("Worker-1")}, {Pool: ptr("Worker-#"), Name: ptr("Worker-2")}, {Comm: ptr("C2")}}}
	e.Mappings = []leak.Mapping{
		row(0x10000000, chunk, 0, "read", leak.DirectBuffer), row(0x20000000, chunk, 1, "leak", leak.DirectBuffer),
		row(0x30000000, chunk, 1, "leak", leak.DirectBuffer), row(0x40000000, 64<<20, 2, "jit", leak.MallocArena),
		row(0x50000000, 8<<20, 0, "heap", leak.JavaHeap), row(0x60000000, 4096, 1, "leak", leak.DirectBuffer),
	}
	old := row(0x70000000, 1<<30, 0, "", leak.Other)
	old.Origin, old.Thread = vma.PreExisting.String(), nil
	e.Mappings = append(e.Mappings, old)
	return e
}

// spaceOf is a map in which the rows are, and whatever else is given.
func spaceOf(tb testing.TB, lines ...string) *vma.Space {
	tb.Helper()
	s, err := vma.ParseMaps([]byte(strings.Join(lines, "\n")), vma.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func starts(c *choice) (out []uint64) {
	for _, p := range c.parts {
		out = append(out, p.Start)
	}
	return out
}

func TestASuspectIsItsMappings(t *testing.T) {
	space := spaceOf(t, "10000000-7fffffff000 rw-p 00000000 00:00 0 ")
	suspect := leak.Suspect{Pool: ptr("Worker-#"), Category: ptr(leak.DirectBuffer), Threads: []int{0, 1}, SizeClass: leak.SizeClass{Min: chunk, Max: chunk}, Mappings: 3}
	one := suspect
	one.Stack, one.Mappings = ptr("leak"), 2
	alike := one
	alike.Mappings = 9 // most have other stacks
	for _, c := range []struct {
		what string
		s    leak.Suspect
		want []uint64
	}{
		{"without a stack", suspect, []uint64{0x10000000, 0x20000000, 0x30000000}},
		{"with one", one, []uint64{0x20000000, 0x30000000}},
		{"with several alike", alike, []uint64{0x10000000, 0x20000000, 0x30000000}},
	} {
		e := traced()
		e.Suspects = []leak.Suspect{{}, c.s}
		o := &peekOptions{suspect: 2}
		got, err := o.choose(nil, space, &known{entry: e, from: "x.json"})
		if err != nil || !slices.Equal(starts(got), c.want) || got.parts[0].mappedAt == nil || !strings.Contains(got.what, "suspect 2, Worker-#, direct-buffer") {
			t.Errorf("%s: %+v, %v", c.what, got, err)
		}
	}
	e := traced()
	suspect.Pool = ptr("\x1b[2Jevil")
	e.Suspects = []leak.Suspect{suspect}
	if got, err := (&peekOptions{suspect: 1}).choose(nil, space, &known{entry: e}); err != nil || strings.Contains(got.what, "\x1b") {
		t.Errorf("%q, %v", got.what, err)
	}
	o := &peekOptions{suspect: 3}
	if _, err := o.choose(nil, space, &known{entry: traced(), from: "x.json"}); err == nil || !strings.Contains(err.Error(), "names 0 suspects") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutASuspectTheLargestGroupIsTaken(t *testing.T) {
	e := traced()
	e.Mappings[3].Committed = 4096
	o := &peekOptions{suspect: 1}
	// The kernel has unmapped one since, and made half of another unreadable.
	space := spaceOf(t, "10000000-20800000 rw-p 00000000 00:00 0 ", "20800000-30000000 ---p 00000000 00:00 0 ")
	c, err := o.choose(nil, space, &known{entry: e, from: "x.json"})
	if err != nil || !slices.Equal(starts(c), []uint64{0x10000000, 0x20000000}) || c.parts[1].End != 0x20800000 || !strings.Contains(c.what, "Worker-# holds in mappings of 16,781,312 B") {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestARangeIsCutAtWhatIsKnown(t *testing.T) {
	space := spaceOf(t, "10000000-50000000 rw-p 00000000 00:00 0 ")
	o := &peekOptions{addrs: "0x1fff0000-30001000"}
	c, err := o.choose(nil, space, &known{entry: traced()})
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, p := range c.parts {
		text = append(text, fmt.Sprintf("%v %v", p.Range, p.mappedAt != nil))
	}
	want := []string{"1fff0000-20000000 false", "20000000-21001000 true", "21001000-30000000 false", "30000000-30001000 true"}
	if !slices.Equal(text, want) {
		t.Errorf("%q", text)
	}
	o = &peekOptions{mapping: "20000123"}
	if c, err = o.choose(nil, space, &known{entry: traced()}); err != nil || len(c.parts) != 1 || c.parts[0].Range != (vma.Range{Start: 0x20000000, End: 0x21001000}) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = o.choose(nil, space, nil); err != nil || c.parts[0].Range != (vma.Range{Start: 0x10000000, End: 0x50000000}) {
		t.Errorf("without an export: %+v, %v", c, err)
	}
}

func TestAnExportMustBeOfTheProcess(t *testing.T) {
	p := &symbolize.Process{PID: 7, StartedAt: time.Unix(1000, 5e8)}
	snap := &leak.Snapshot{Processes: []*leak.Entry{{PID: ptr(8)}, traced()}}
	if k, err := knownOf(snap, p); err != nil || k.entry != snap.Processes[1] {
		t.Errorf("%v, %v", k, err)
	}
	for what, change := range map[string]func(*leak.Snapshot){
		"began at":      func(s *leak.Snapshot) { s.Processes[0].StartedAt = ptr(time.Unix(2000, 0)) },
		"had ended":     func(s *leak.Snapshot) { s.Processes[0].Exited = true },
		"not in it":     func(s *leak.Snapshot) { s.Processes[0].PID = nil },
		"the last boot": func(s *leak.Snapshot) { s.Host.BootID = ptr("another") },
	} {
		snap := &leak.Snapshot{Processes: []*leak.Entry{traced()}}
		change(snap)
		if _, err := knownOf(snap, p); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestJoinedRowsAreOfOneUnit(t *testing.T) {
	for _, c := range []struct{ lengths, units []uint64 }{
		{[]uint64{chunk, 3 * chunk, 17 * chunk, 39 * chunk}, []uint64{chunk, chunk, chunk, chunk}},
		{[]uint64{17 * chunk, 34 * chunk, 33 * chunk}, []uint64{chunk, chunk, chunk}},
		{[]uint64{17 * chunk}, []uint64{17 * chunk}}, // nothing says that it is several
		{[]uint64{4096, 64 << 20, 2 * (1<<20 + 4096), 0}, []uint64{4096, 64 << 20, 1<<20 + 4096, 0}},
	} {
		var rows []*leak.Mapping
		for _, n := range c.lengths {
			rows = append(rows, &leak.Mapping{Length: n, Committed: n})
		}
		units := likelyUnits(rows)
		for i, n := range c.lengths {
			if units[n] != c.units[i] {
				t.Errorf("of %v: %d is made of %d, want %d", c.lengths, n, units[n], c.units[i])
			}
		}
	}
	e := traced()
	e.Mappings[2] = row(0x30000000, 5*chunk, 1, "leak", leak.DirectBuffer)
	rows := []*leak.Mapping{&e.Mappings[0], &e.Mappings[2], &e.Mappings[3]}
	groups := joinAlike(rows, map[*leak.Mapping]uint64{rows[0]: 8192, rows[1]: 4096})
	if len(groups) != 2 || groups[0].resident != 12288 || groups[0].committed != 6*chunk ||
		groups[0].what() != "6 mappings of 16,781,312 B (direct-buffer)" || groups[0].largest().Start != 0x30000000 || !strings.Contains(groups[1].what(), "malloc-arena") {
		t.Errorf("%v, %v", groups[0].what(), groups[1].what())
	}
}

func TestWhatIsShownIsFitForATerminal(t *testing.T) {
	evil := "Subject: \x1b[2J\x07\u202eroses\u200b\xff of 12\r\nTo: \u009b31m\xe2\x80 petals and more petals\r\n"
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	page := append([]byte(strings.Repeat(evil, 40)), "1795608000.5 1795608000123 "...)
	page = append(page, make([]byte, 4096-len(page))...)
	blocks := []content.Block{{Addr: 0x7f0000000000, Data: page}}
	found := content.Analyze(blocks, content.Options{From: at.Add(-time.Hour), To: at.Add(time.Hour)})
	c := &choice{what: "what \x1b]0;evil\x07 holds", why: []string{"\x1b[31mred"}, parts: []part{{vma.Range{Start: 0x7f0000000000, End: 0x7f0000001000}, &at}}}
	d := newPeekDocument(&symbolize.Process{PID: 7, Name: "e\x1bvil"}, c, &content.Sample{PageSize: 4096, Pages: 1, Resident: 1, Total: 1}, found, at)
	for _, contents := range []bool{true, false} {
		var b bytes.Buffer
		if err := d.write(&b, contents); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "petals") != contents {
			t.Errorf("contents %v:\n%s", contents, &b)
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if report.Line(line, 80) != line || strings.ContainsAny(line, "\x1b\x07\u202e\u200b\u009b") {
				t.Errorf("%q", line)
			}
		}
	}
	if d.FirstDate == nil || *d.FirstDate != int64(123*time.Millisecond) {
		t.Errorf("the first date is %v after the mapping", d.FirstDate)
	}
	bare := d.withoutContents()
	if len(bare.Found.Strings)+len(bare.Found.Views) != 0 || bare.Found.Record != nil && len(bare.Found.Record.Bytes) != 0 || len(d.Found.Strings) == 0 {
		t.Errorf("%+v", bare.Found)
	}
}
