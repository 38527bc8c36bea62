package main

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"vmaleak/report"
	"vmaleak/symbolize"
)

// holdersText is the result of holders, for people.
type holdersText struct{ bytes.Buffer }

const (
	holdersWidth  = 80
	holdersIndent = "          " // of what belongs to a label
	holdersRows   = 16
)

func (t *holdersText) line(label, format string, args ...any) {
	for line := range strings.Lines(report.Wrap(fmt.Sprintf(format, args...), "", holdersWidth-len(holdersIndent))) {
		fmt.Fprintf(t, "%-*s%s", len(holdersIndent), label, line)
		label = ""
	}
}

func (t *holdersText) head(p *symbolize.Process, c *choice) {
	t.WriteString(report.Wrap(fmt.Sprintf("%s %d: %s, %s", p.Name, p.PID, c.what, report.Bytes(c.size())), "  ", holdersWidth))
	for _, why := range c.why {
		t.WriteString(report.Wrap("  "+why, "  ", holdersWidth))
	}
}

// size is the bytes of a choice.
func (c *choice) size() (n uint64) {
	for _, r := range c.ranges() {
		n += r.End - r.Start
	}
	return n
}

// standsForMemory are the classes whose objects stand for native memory, or free it. Netty may have been relocated.
var standsForMemory = regexp.MustCompile(`^java\.nio\.(Direct|Mapped)\w*Buffer\w*$|^(java|sun)\.nio\..*Deallocator$` +
	`|(^|\.)buffer\.(\w*ByteBuf|PoolChunk)$|^(jdk\.internal\.ref|sun\.misc)\.Cleaner$|^java\.nio\.BufferCleaner\$PhantomCleaner$` +
	`|^jdk\.internal\.foreign\.\w*Segment\w*$|^java\.util\.zip\.(Deflater|Inflater|\w*ZStreamRef)$|^java\.lang\.(Virtual)?Thread$`)

// netty are those of them that a pool serves.
var netty = regexp.MustCompile(`(^|\.)buffer\.Pooled\w*ByteBuf$`)

// rowsOf is the classes that stand for memory, and how many more of their objects there were after a while.
func rowsOf(counts []count) []holdersRow {
	first := map[string]uint64{}
	for _, class := range counts[0].Classes {
		first[class.Class] += class.Instances
	}
	rows := []holdersRow{}
	for _, class := range counts[len(counts)-1].Classes {
		if !standsForMemory.MatchString(class.Class) {
			continue
		}
		r := holdersRow{Class: class.Class, Objects: class.Instances}
		if len(counts) == 2 {
			more := int64(class.Instances - first[class.Class])
			r.More = &more
		}
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, func(a, b holdersRow) int { return cmp.Compare(b.Objects, a.Objects) })
	return rows
}

// counts shows how many objects there are, and how many more after a while.
func (t *holdersText) counts(counts []count, rows []holdersRow, c *choice, o *holdersOptions) {
	how := "garbage that is not yet collected included: no collection was forced"
	if o.live {
		how = "after a full garbage collection each"
	}
	growth := ""
	if len(counts) == 2 {
		growth = "+" + o.wait.String()
	}
	fmt.Fprintf(t, "%9s %8s  CLASS\n", "OBJECTS", growth)
	for _, r := range rows[:min(len(rows), holdersRows)] {
		growth := ""
		if r.More != nil {
			growth = fmt.Sprintf("%+d", *r.More)
		}
		fmt.Fprintf(t, "%9d %8s  %s\n", r.Objects, growth, report.Line(r.Class, holdersWidth-20))
	}
	if len(rows) > holdersRows {
		t.line("", "and %d classes with fewer", len(rows)-holdersRows)
	}
	last := counts[len(counts)-1]
	if last.Bad > 0 {
		t.line("", "%d lines of the JVM's count could not be read", last.Bad)
	}
	var pooled, handles uint64
	for _, r := range rows {
		switch {
		case netty.MatchString(r.Class):
			pooled += r.Objects
		case strings.HasPrefix(r.Class, "java.nio.Direct"), strings.Contains(r.Class, "ByteBuf"), strings.Contains(r.Class, "Segment"):
			handles += r.Objects
		}
	}
	t.line("counted", "%s; each stopped the JVM for up to %s", how, counts[0].took.Round(time.Millisecond))
	t.reading(pooled, handles, c.size(), o)
}

// reading is what the counts alone tell: little, and it says so.
func (t *holdersText) reading(pooled, handles, memory uint64, o *holdersOptions) {
	next := "; --dump tells who holds it"
	if o.dump {
		next = ""
	}
	switch perMiB := memory >> 20; {
	case pooled+handles == 0:
		t.line("reading", "no object stands for direct memory: what is in use was mapped by native code, or its owners were dropped without freeing it%s", next)
	case pooled+handles < perMiB/4:
		t.line("reading", "%d objects are few for %s: what they no longer stand for was dropped without being freed, or is kept free by a pool or by malloc%s",
			pooled+handles, report.Size(memory), next)
	default:
		t.line("reading", "%d objects stand for direct memory: held, or dropped and not yet collected%s", pooled+handles, next)
	}
}
