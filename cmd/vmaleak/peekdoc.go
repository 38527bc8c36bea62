package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"vmaleak/leak"
	"vmaleak/report"
	"vmaleak/symbolize"
	"vmaleak/symbolize/content"
)

// peekDocument is the result of peek. Files hold strings and bytes of the target's only where that was asked for.
type peekDocument struct {
	Schema    string            `json:"schema"`
	Tool      leak.Tool         `json:"tool"`
	PID       int               `json:"pid"`
	Name      string            `json:"name"`
	StartedAt time.Time         `json:"started_at"`
	At        time.Time         `json:"at"`
	Contents  bool              `json:"contents"` // strings, record and views are the target's; else left out
	Memory    peekMemory        `json:"memory"`
	Pages     peekPages         `json:"pages"`
	Found     *content.Findings `json:"found"`
	FirstDate *int64            `json:"first_date_after_mapping_ns"` // the median over mappings; nil where none has both

	dated int // mappings that have a date and a time
	now   time.Time
}

type peekMemory struct {
	What        string       `json:"what"`
	Why         []string     `json:"why"`
	Mappings    []peekedPart `json:"mappings"`
	MappedFirst *time.Time   `json:"mapped_first"`
	MappedLast  *time.Time   `json:"mapped_last"`
}

type peekedPart struct {
	Start    leak.Addr  `json:"start"`
	End      leak.Addr  `json:"end"`
	MappedAt *time.Time `json:"mapped_at"`
}

type peekPages struct {
	Size     int    `json:"size"`
	Read     int    `json:"read"`
	Skipped  int    `json:"skipped"`
	Resident uint64 `json:"resident"`
	Swapped  uint64 `json:"swapped"`
	Total    uint64 `json:"total"`
	Unseen   uint64 `json:"unseen"`
}

func newPeekDocument(p *symbolize.Process, c *choice, s *content.Sample, f *content.Findings, now time.Time) *peekDocument {
	d := &peekDocument{Schema: "vmaleak-peek/v1", Tool: leak.Tool{Version: version(), Options: map[string]string{}, Limits: map[string]int64{}},
		PID: p.PID, Name: p.Name, StartedAt: p.StartedAt, At: now, Found: f, now: now,
		Memory: peekMemory{What: c.what, Why: c.why, Mappings: []peekedPart{}},
		Pages: peekPages{Size: s.PageSize, Read: s.Pages, Skipped: s.Skipped, Resident: s.Resident, Swapped: s.Swapped,
			Total: s.Total, Unseen: s.Unseen}}
	if d.Memory.Why == nil {
		d.Memory.Why = []string{}
	}
	m := &d.Memory
	for _, part := range c.parts {
		m.Mappings = append(m.Mappings, peekedPart{leak.Addr(part.Start), leak.Addr(part.End), part.mappedAt})
		if at := part.mappedAt; at != nil {
			if m.MappedFirst == nil || at.Before(*m.MappedFirst) {
				m.MappedFirst = at
			}
			if m.MappedLast == nil || at.After(*m.MappedLast) {
				m.MappedLast = at
			}
		}
	}
	d.setDates(c, f.Dates.Stamps)
	return d
}

// setDates compares the first date in each mapping with the time when it was mapped.
func (d *peekDocument) setDates(c *choice, stamps []content.Stamp) {
	first := map[int]*content.Stamp{}
	for n := range stamps { // in order of time
		s := &stamps[n]
		i, ok := slices.BinarySearchFunc(c.parts, s.Addr, func(p part, addr uint64) int {
			switch {
			case p.End <= addr:
				return -1
			case p.Start > addr:
				return 1
			}
			return 0
		})
		if ok && c.parts[i].mappedAt != nil && (first[i] == nil || !first[i].Fine() && s.Fine()) {
			first[i] = s
		}
	}
	var after []int64
	for i, s := range first {
		after = append(after, int64(s.At.Sub(*c.parts[i].mappedAt)))
	}
	if d.dated = len(after); d.dated > 0 {
		slices.Sort(after)
		d.FirstDate = &after[len(after)/2]
	}
}

// withoutContents is the document without anything of the target's.
func (d *peekDocument) withoutContents() *peekDocument {
	c, f := *d, *d.Found
	f.Strings, f.Views = []content.String{}, []content.View{}
	if f.Record != nil {
		r := *f.Record
		r.Bytes = []byte{}
		f.Record = &r
	}
	c.Contents, c.Found = false, &f
	return &c
}

// save writes the files that were asked for. One that fails does not keep the others from being written.
func (d *peekDocument) save(e env, o *peekOptions) error {
	doc := d.withoutContents()
	if o.withContents {
		doc = d
	}
	doc.Contents = o.withContents
	var errs []error
	for _, name := range o.files.names() {
		render := doc.json
		if name != "-" && !slices.Contains(o.files.jsons, name) && formatOf(name) == "txt" {
			render = func(w io.Writer) error { return doc.write(w, o.withContents) }
		}
		if name == "-" {
			errs = append(errs, render(e.stdout))
		} else {
			errs = append(errs, report.Write(name, fileOptions(), render))
		}
	}
	if !o.files.none() && !o.withContents {
		e.say("strings and bytes of the program's memory are left out of the file; --with-contents puts them in")
	}
	return errors.Join(errs...)
}

func (d *peekDocument) json(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return fmt.Errorf("write the result as JSON: %w", err)
	}
	return nil
}
