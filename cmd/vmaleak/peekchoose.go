package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize"
	"vmaleak/symbolize/content"
	"vmaleak/vma"
)

// choice is the memory that is looked into.
type choice struct {
	what  string   // for people
	why   []string // how it was chosen, and what else there is
	parts []part
}

// part is one mapping, or what is left of it.
type part struct {
	vma.Range
	mappedAt *time.Time
}

// ranges is the parts as content wants them: in order and disjoint.
func (c *choice) ranges() []content.Range {
	slices.SortFunc(c.parts, func(a, b part) int { return compareRange(a.Range, b.Range) })
	out := make([]content.Range, 0, len(c.parts))
	for _, p := range c.parts {
		if n := len(out) - 1; n >= 0 && p.Start < out[n].End {
			p.Start = out[n].End
		}
		if p.Start < p.End {
			out = append(out, content.Range{Start: p.Start, End: p.End})
		}
	}
	return out
}

func compareRange(a, b vma.Range) int {
	switch {
	case a.Start < b.Start:
		return -1
	case a.Start > b.Start:
		return 1
	}
	return 0
}

// choose decides what to look into.
func (o *peekOptions) choose(p *symbolize.Process, space *vma.Space, k *known) (*choice, error) {
	switch {
	case o.addrs != "":
		return o.chooseRange(space, k)
	case o.mapping != "":
		return o.chooseMapping(space, k)
	case k == nil && o.suspect > 1:
		return nil, fmt.Errorf("peek --suspect %d: no export says who is suspect; trace process %d first (vmaleak %d), or give --for 30s", o.suspect, p.PID, p.PID)
	case k == nil:
		return chooseLargest(p, space)
	}
	c, err := o.chooseKnown(space, k)
	if err != nil || c != nil {
		return c, err
	}
	if c, err = chooseLargest(p, space); err == nil {
		c.why = append([]string{"nothing that " + k.said() + " saw mapped is still there, so:"}, c.why...)
	}
	return c, err
}

// chooseRange takes what is asked for, if it is there and can be read.
func (o *peekOptions) chooseRange(space *vma.Space, k *known) (*choice, error) {
	start, end, ok := strings.Cut(o.addrs, "-")
	r := vma.Range{}
	var err1, err2 error
	r.Start, err1 = parseAddr(start)
	r.End, err2 = parseAddr(end)
	if !ok || err1 != nil || err2 != nil || r.Empty() {
		return nil, usageError{fmt.Errorf("--range %s: give START-END in hexadecimal, as /proc/PID/maps does", o.addrs)}
	}
	c := &choice{what: fmt.Sprintf("the range %v", r)}
	mapped := false
	for a := range space.Over(r) {
		mapped = true
		if a.Prot&vma.ProtRead != 0 {
			c.add(a.Intersect(r), k)
		}
	}
	switch {
	case !mapped:
		return nil, fmt.Errorf("peek: nothing is mapped at %v; /proc/PID/maps lists what is", r)
	case len(c.parts) == 0:
		return nil, fmt.Errorf("peek: %v is reserved, not readable: there is no memory in it", r)
	}
	return c, nil
}

// chooseMapping takes the mapping at an address: the call's own as an export knows it, else the kernel's row.
func (o *peekOptions) chooseMapping(space *vma.Space, k *known) (*choice, error) {
	addr, err := parseAddr(o.mapping)
	if err != nil {
		return nil, usageError{fmt.Errorf("--mapping %s: give an address in hexadecimal", o.mapping)}
	}
	for a := range space.Over(vma.Range{Start: addr, End: addr + 1}) {
		r := a.Range
		if m := k.mappingAt(addr); m != nil {
			if own := rangeOf(m).Intersect(r); own.Contains(addr) {
				r = own
			}
		}
		if a.Prot&vma.ProtRead == 0 {
			return nil, fmt.Errorf("peek: the mapping %v is reserved, not readable: there is no memory in it", r)
		}
		c := &choice{what: fmt.Sprintf("the mapping %v", r)}
		c.add(r, k)
		return c, nil
	}
	return nil, fmt.Errorf("peek: nothing is mapped at %#x; /proc/PID/maps lists what is", addr)
}

func parseAddr(s string) (uint64, error) {
	return strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(s), "0x"), 16, 64)
}

// add adds a range, with the time of the calls that mapped it where that is known.
func (c *choice) add(r vma.Range, k *known) {
	if k == nil {
		c.parts = append(c.parts, part{Range: r})
		return
	}
	for i := range k.entry.Mappings {
		m := &k.entry.Mappings[i]
		own := rangeOf(m).Intersect(r)
		if own.Empty() {
			continue
		}
		if own.Start > r.Start {
			c.parts = append(c.parts, part{Range: vma.Range{Start: r.Start, End: own.Start}})
		}
		c.parts = append(c.parts, part{own, m.MappedAt})
		r.Start = own.End
	}
	if !r.Empty() {
		c.parts = append(c.parts, part{Range: r})
	}
}

// mappingAt is the mapping of an export that holds an address, or nil.
func (k *known) mappingAt(addr uint64) *leak.Mapping {
	if k == nil {
		return nil
	}
	for i := range k.entry.Mappings {
		if m := &k.entry.Mappings[i]; rangeOf(m).Contains(addr) {
			return m
		}
	}
	return nil
}

// rangeOf is where a mapping is, empty if that is not known.
func rangeOf(m *leak.Mapping) vma.Range {
	if m.Start == nil || m.End == nil {
		return vma.Range{}
	}
	return vma.Range{Start: uint64(*m.Start), End: uint64(*m.End)}
}
