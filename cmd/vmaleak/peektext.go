package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"vmaleak/report"
	"vmaleak/symbolize/content"
)

const (
	peekWidth   = 80
	peekIndent  = "            " // of what belongs to a label
	peekStrings = 8
	textLines   = 8
	dumpLines   = 6
)

// write is the result for people: with the target's own strings and bytes, or without.
func (d *peekDocument) write(w io.Writer, contents bool) error {
	t := &peekText{peekDocument: d}
	t.head()
	t.kinds()
	t.dates()
	t.record(contents)
	if contents {
		t.strings()
		t.views()
	}
	_, err := w.Write(t.Bytes())
	return err
}

type peekText struct {
	bytes.Buffer
	*peekDocument
}

// line writes a label and a text, which may take several lines.
func (t *peekText) line(label, format string, args ...any) {
	for line := range strings.Lines(report.Wrap(fmt.Sprintf(format, args...), "", peekWidth-len(peekIndent))) {
		fmt.Fprintf(t, "%-*s%s", len(peekIndent), label, line)
		label = ""
	}
}

func (t *peekText) head() {
	t.WriteString(report.Wrap(fmt.Sprintf("%s %d: %s", t.Name, t.PID, t.Memory.What), "  ", peekWidth))
	for _, why := range t.Memory.Why {
		t.WriteString(report.Wrap("  "+why, "  ", peekWidth))
	}
	p := t.Pages
	size := uint64(p.Size)
	rest := []string{report.Size(p.Resident*size) + " in memory"}
	if p.Swapped > 0 {
		rest = append(rest, report.Size(p.Swapped*size)+" swapped out")
	}
	if p.Unseen > 0 {
		rest = append(rest, report.Size(p.Unseen*size)+" not looked at: too large")
	}
	if never := p.Total - p.Resident - p.Swapped - p.Unseen; never > 0 {
		rest = append(rest, report.Size(never*size)+" never touched")
	}
	mapped := "mapped"
	if n := len(t.Memory.Mappings); n > 1 {
		mapped = fmt.Sprintf("in %d ranges", n)
	}
	text := fmt.Sprintf("%s of %s pages of %d B: %s %s, %s", report.Exact(uint64(p.Read)), report.Exact(p.Resident),
		p.Size, report.Size(p.Total*size), mapped, strings.Join(rest, ", "))
	if p.Skipped > 0 {
		text += fmt.Sprintf("; %d could not be read", p.Skipped)
	}
	t.WriteByte('\n')
	t.line("read", "%s", text)
}

func (t *peekText) kinds() {
	var kinds, magics []string
	for _, k := range t.Found.Kinds {
		kinds = append(kinds, fmt.Sprintf("%s %s", k.Name, percent(k.Count, t.Found.Pages)))
	}
	text := strings.Join(kinds, ", ")
	if t.Found.Entropy > 0 {
		text += fmt.Sprintf("; entropy %.1f of 8", t.Found.Entropy)
	}
	t.line("looks like", "%s", text)
	for _, m := range t.Found.Magics {
		magics = append(magics, fmt.Sprintf("%d x %s", m.Count, m.Name))
	}
	if len(magics) > 0 {
		t.line("begins as", "%s", strings.Join(magics, ", "))
	}
}

func percent(n, of int) string {
	if p := 100 * float64(n) / float64(max(of, 1)); p < 1 {
		return "<1%"
	} else if n < of {
		return fmt.Sprintf("%.0f%%", min(p, 99))
	}
	return "100%"
}

func (t *peekText) dates() {
	d := &t.Found.Dates
	switch {
	case d.Count > 0:
		text := span(d.First, d.Last)
		if half := span(d.Low, d.High); half != text {
			day := d.First.Local().Format(time.DateOnly) + " "
			if strings.Count(text, day) == 1 {
				half = strings.TrimPrefix(half, day)
			}
			text += " (half of them " + half + ")"
		}
		t.line("dates", "%s, %s", report.Exact(uint64(d.Count)), text)
		var forms []string
		for _, f := range d.Forms {
			forms = append(forms, fmt.Sprintf("%s as %s", report.Exact(uint64(f.Count)), f.Form))
		}
		t.line("", "%s", strings.Join(forms, ", "))
	default:
		t.line("dates", "none from this process's lifetime")
	}
	if o := d.Outside; o != nil {
		t.line("", "and of other times %s, %s", report.Exact(uint64(o.Count)), span(o.First, o.Last))
	}
	if m := &t.Memory; m.MappedFirst != nil {
		text := "mapped " + span(*m.MappedFirst, *m.MappedLast)
		if t.FirstDate != nil {
			text += fmt.Sprintf("; the first date read in each is %s (median of %d)", distance(time.Duration(*t.FirstDate)), t.dated)
		}
		t.line("", "%s", text)
	}
}

// span is two times, with the date once if it is the same.
func span(a, b time.Time) string {
	a, b = a.Local(), b.Local()
	if a.Format(time.DateTime) == b.Format(time.DateTime) {
		return a.Format(time.DateTime)
	}
	if a.Format(time.DateOnly) == b.Format(time.DateOnly) {
		return a.Format(time.DateTime) + " to " + b.Format(time.TimeOnly)
	}
	return a.Format(time.DateTime) + " to " + b.Format(time.DateTime)
}

func distance(d time.Duration) string {
	unit := time.Second
	if d.Abs() < 10*time.Second {
		unit = 10 * time.Millisecond
	}
	switch {
	case d.Abs() < 10*time.Millisecond:
		return "as it was mapped"
	case d < 0:
		return fmt.Sprintf("%v before it was mapped", -d.Round(unit))
	}
	return fmt.Sprintf("%v after it was mapped", d.Round(unit))
}

func (t *peekText) record(contents bool) {
	r := t.Found.Record
	if r == nil {
		return
	}
	t.line("repeats", "every %s B (%s of %s places)", report.Exact(r.Distance), percent(int(r.Share*1000), 1000), report.Exact(uint64(r.Count)))
	if contents {
		t.WriteString(peekIndent + quoted(r.Bytes, peekWidth-len(peekIndent)) + "\n")
	}
}

// quoted is bytes on one line, what is not ASCII as a dot.
func quoted(p []byte, n int) string {
	return report.Line(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, string(p)), n)
}

func (t *peekText) strings() {
	label := "strings"
	for i, s := range t.Found.Strings {
		if i == peekStrings {
			break
		}
		note := ""
		if s.Varies {
			note = " (numbers vary)"
		}
		if s.Wide {
			note += " (UTF-16)"
		}
		fmt.Fprintf(t, "%-*s%6s  %s%s\n", len(peekIndent), label, report.Exact(uint64(s.Count)),
			report.Line(strings.ReplaceAll(s.Text, "\t", " "), peekWidth-len(peekIndent)-8-len(note)), note)
		label = ""
	}
}

func (t *peekText) views() {
	for i, v := range t.Found.Views {
		fmt.Fprintf(t, "\n%s at %x\n", v.Kind, v.Addr)
		isText := false
		switch v.Kind {
		case content.Mail, content.HTTP, content.JSON, content.XML, content.Text, content.Session:
			isText = true
			for _, line := range content.Lines(v.Bytes, textLines) {
				t.WriteString("| " + report.Line(strings.ReplaceAll(line, "\t", "  "), peekWidth-2) + "\n")
			}
		}
		if !isText || i == 0 {
			for _, line := range content.Hexdump(v.Addr, v.Bytes, dumpLines) {
				t.WriteString(line + "\n")
			}
		}
	}
}
