package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"vmaleak/report"
	"vmaleak/symbolize"
	"vmaleak/symbolize/heapdump"
)

// holdersDocument is the result of holders as a file. What is not known is null.
type holdersDocument struct {
	PID    int    `json:"pid"`
	Name   string `json:"name"`
	Memory struct {
		What  string   `json:"what"`
		Why   []string `json:"why"`
		Bytes uint64   `json:"bytes"`
	} `json:"memory"`
	Collected bool         `json:"collected"` // a full garbage collection was forced
	WaitedNS  int64        `json:"waited_ns"` // between the counts
	Counts    []holdersRow `json:"counts"`
	Heap      *holdersHeap `json:"heap"` // nil without --dump
	text      []byte       // the same, for people
}

type holdersRow struct {
	Class   string `json:"class"`
	Objects uint64 `json:"objects"`
	More    *int64 `json:"more"` // than at the first count; nil: there was one
}

type holdersHeap struct {
	DumpBytes int64          `json:"dump_bytes"`
	StoppedNS int64          `json:"stopped_ns"` // the JVM, at most
	Objects   int            `json:"objects"`
	LeftOut   int            `json:"left_out"`
	Unproven  *string        `json:"unproven"`
	Covered   uint64         `json:"covered"`
	Dropped   uint64         `json:"dropped"`
	Pool      *holdersPool   `json:"pool"`
	Groups    []holdersGroup `json:"groups"`
}

type holdersPool struct {
	Chunks    int    `json:"chunks"`
	Bytes     uint64 `json:"bytes"`
	Allocated uint64 `json:"allocated"`
	Held      uint64 `json:"held"`
	Dropped   uint64 `json:"dropped"`
	Lost      uint64 `json:"lost"` // allocated, and held by nobody
}

type holdersGroup struct {
	State   string        `json:"state"`
	Class   string        `json:"class"`
	Objects int           `json:"objects"`
	Bytes   *uint64       `json:"bytes"`
	Owner   *string       `json:"owner"`
	Path    []holdersStep `json:"path"`
}

type holdersStep struct {
	Class string `json:"class"`
	Field string `json:"field"`
	Times int    `json:"times"`
}

func newHoldersDocument(p *symbolize.Process, c *choice, rows []holdersRow, o *holdersOptions) *holdersDocument {
	d := &holdersDocument{PID: p.PID, Name: p.Name, Collected: o.live, WaitedNS: int64(o.wait), Counts: rows}
	d.Memory.What, d.Memory.Why, d.Memory.Bytes = c.what, append([]string{}, c.why...), c.size()
	return d
}

func newHoldersHeap(h *heapdump.Holders, cost dumpCost) *holdersHeap {
	out := &holdersHeap{DumpBytes: cost.bytes, StoppedNS: int64(cost.written), Objects: h.Objects, LeftOut: h.Odd + h.Unkept,
		Covered: h.Covered, Dropped: h.Dropped, Groups: []holdersGroup{}}
	if h.Unproven != "" {
		out.Unproven = &h.Unproven
	}
	if p := h.Pool; p != nil {
		out.Pool = &holdersPool{p.Chunks, p.Size, p.Allocated, p.Held, p.Dropped, p.Lost()}
	}
	for _, g := range h.Groups {
		group := holdersGroup{State: string(g.State), Class: javaName(g.Class), Objects: g.Count, Path: []holdersStep{}}
		if g.Bytes > 0 {
			group.Bytes = &g.Bytes
		}
		if g.State == heapdump.Held {
			group.Owner = &g.Owner
		}
		for _, s := range g.Path {
			group.Path = append(group.Path, holdersStep{javaName(s.Class), s.Field, s.Times})
		}
		out.Groups = append(out.Groups, group)
	}
	return out
}

// save writes the files that were asked for. One that fails does not keep the others from being written.
func (d *holdersDocument) save(e env, f *files) error {
	var errs []error
	for _, name := range f.names() {
		render := d.json
		if name != "-" && !slices.Contains(f.jsons, name) && formatOf(name) == "txt" {
			render = func(w io.Writer) error {
				_, err := w.Write(d.text)
				return err
			}
		}
		if name == "-" {
			errs = append(errs, render(e.stdout))
		} else {
			errs = append(errs, report.Write(name, fileOptions(), render))
		}
	}
	return errors.Join(errs...)
}

func (d *holdersDocument) json(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return fmt.Errorf("write the result as JSON: %w", err)
	}
	return nil
}
