package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"vmaleak/leak"
	"vmaleak/report"
	"vmaleak/strace"
	"vmaleak/vma"
)

// note adds a finding, in lines of at most 80 columns.
func (im *importer) note(format string, args ...any) {
	line, width := "", 80
	for _, word := range strings.Fields(fmt.Sprintf(format, args...)) {
		if line != "" && len(line)+1+len(word) > width {
			im.notes = append(im.notes, line)
			line = "  " + word
			continue
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	im.notes = append(im.notes, line)
}

// tiles says where the mappings of one acquired length lie without a gap, if
// addresses had to be inferred: that they fit exactly is the reason to believe them.
func (im *importer) tiles() {
	if im.inferred == 0 {
		return
	}
	for _, sp := range im.spaces {
		var run vma.Range
		var length, n, inferred uint64
		flush := func() {
			if inferred > 0 && n > 1 {
				im.note("%d mappings of %s fill %v without a gap; of these %d addresses are inferred", n, report.Bytes(length), run, inferred)
			}
		}
		for a := range sp.vm.All() {
			if a.Start != run.End || a.Acquired != length || !a.Kind.Exported() {
				flush()
				run, length, n, inferred = vma.Range{Start: a.Start, End: a.Start}, a.Acquired, 0, 0
			}
			run.End = a.End
			n++
			if a.Origin == vma.Inferred {
				inferred++
			}
		}
		flush()
	}
}

// readPmaps holds the rows of pmap tables against the ledger.
func (im *importer) readPmaps() error {
	im.tiles()
	for _, name := range im.files[strace.PmapFile] {
		f, _, err := strace.Open(name)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		p, err := strace.ParsePmap(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("import %s: %w", name, err)
		}
		im.warn("pmap-lines", filepath.Base(name)+": lines that are no rows", int64(p.Bad))
		for i := range p.Rows {
			im.pmapRow(filepath.Base(name), p, &p.Rows[i])
		}
	}
	return nil
}

// pmapRow says of a large nameless row how much of it the ledger explains.
func (im *importer) pmapRow(name string, p *strace.Pmap, row *strace.PmapRow) {
	const large = 16 << 20
	// A row cut from its table has its last columns where the name would be.
	if strings.Trim(row.Mapping, "0123456789 ") != "" || row.Len() < large {
		return
	}
	var held uint64
	for _, sp := range im.spaces {
		for a := range sp.vm.Over(row.Range) {
			if a.Kind.Exported() && (a.Origin == vma.Traced || a.Origin == vma.Inferred) {
				held += a.Intersect(row.Range).Len()
			}
		}
	}
	if held == 0 {
		return
	}
	resident := ""
	if rss, ok := p.Value(row, "Rss"); ok {
		resident = fmt.Sprintf(", %s resident", report.Bytes(rss))
	}
	im.note("%s: row %v, %s%s: the mappings above are %s of it", name, row.Range, report.Bytes(row.Len()), resident, report.Bytes(held))
}

// readLogs sets the application's refusals against the ledger.
func (im *importer) readLogs() error {
	for _, name := range im.files[strace.LogFile] {
		f, _, err := strace.Open(name)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		refusals, err := strace.ParseLog(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("import %s: %w", name, err)
		}
		if len(refusals) == 0 {
			im.note("%s: no error about direct memory", filepath.Base(name))
			continue
		}
		last := refusals[len(refusals)-1]
		im.note("%s: %s refused direct memory %d times, last at line %d: %s asked for, %s of %s in use", filepath.Base(name),
			last.Counter, len(refusals), last.Line, report.Bytes(last.Requested), report.Bytes(last.Used), report.Bytes(last.Limit))
		im.older(last)
		if last.Limit > 0 {
			im.refusal = &last
		}
	}
	if im.limit > 0 {
		im.note("limit given: %s of direct memory", report.Bytes(im.limit))
		if im.refusal == nil {
			im.warn("older-memory", "direct memory from before the strace log counts against the limit too: if there is any, the end comes sooner; the application's log tells (--log)", 1)
		}
	}
	return nil
}

// counters is the limit that the direct memory of the log has, and what of it
// is used where the application said so when it was refused more.
func (im *importer) counters() []leak.Counter {
	switch {
	case im.refusal != nil:
		r := im.refusal
		limit := r.Limit
		if im.limit > 0 {
			limit = im.limit
		}
		return []leak.Counter{{Name: "direct memory", Counter: "the application's log: " + r.Counter, Used: &r.Used, Limit: &limit}}
	case im.limit > 0:
		return []leak.Counter{{Name: "direct memory", Counter: "--limit direct", Limit: &im.limit}}
	}
	return nil
}

// older tells how many blocks of the refused size must be older than the log:
// malloc maps each with one page more.
func (im *importer) older(r strace.OutOfDirect) {
	if r.Requested == 0 {
		return
	}
	in, seen := r.Used/r.Requested, uint64(0)
	for _, sp := range im.spaces {
		for a := range sp.vm.All() {
			if a.Kind.Exported() && a.Acquired > r.Requested && a.Acquired <= r.Requested+8192 {
				seen++
			}
		}
	}
	if seen > 0 && in > seen {
		im.note("that is %d blocks of %s: %d are above, so %d are older than the strace log", in, report.Bytes(r.Requested), seen, in-seen)
	}
}
