package jvm

import (
	"bufio"
	"errors"
	"io"
	"iter"
	"strings"
	"time"
)

// Bounds of what is kept of a dump; a JVM may send, and a file may hold, anything.
const (
	maxReply     = 64 << 20 // bytes of one answer of a JVM, and of one dump in a file
	maxLine      = 64 << 10 // bytes of one line; of a longer one the middle is left out
	lineEnd      = 4 << 10  // bytes kept of the end of a longer line: the header's own part stands there
	maxName      = 64 << 10 // bytes of a name
	maxNameLines = 4096     // lines of a name in a dump without a list of threads
	maxFrames    = 1024     // frames of one stack
	maxFrame     = 1024     // bytes of one frame
	maxInterned  = 1 << 16  // different frames kept once only
)

const dumpTitle = "Full thread dump "

// ParseDump reads all thread dumps of r, as jstack, jcmd PID Thread.print and SIGQUIT print them (JDK 8 to 25), with
// or without -l or -e and with other text between them. Bad lines are counted in their dump; the error is one of
// r's alone, and then the dumps read before it are returned with it. Text before the first title counts as a dump if there are threads
// in it.
//
// Names are untrusted: one that holds a whole header, or lines that look like one, yields one thread with that
// name. Only a line "Full thread dump" in a name splits a dump, since a file may hold several. Cross-check with [Dump.ByNID].
func ParseDump(r io.Reader) ([]*Dump, error) {
	var dumps []*Dump
	for d, err := range Dumps(r) {
		if err != nil {
			return dumps, err
		}
		dumps = append(dumps, d)
	}
	return dumps, nil
}

// Dumps is [ParseDump] for files too large to keep: it yields one dump after the other. The caller owns them. An error is the last value.
func Dumps(r io.Reader) iter.Seq2[*Dump, error] {
	return func(yield func(*Dump, error) bool) {
		in := lineReader{r: bufio.NewReaderSize(r, 64<<10)}
		frames := interner{}
		var lines []string
		size := 0
		for {
			line, n, err := in.next()
			if err == nil && !strings.HasPrefix(line, dumpTitle) {
				if size += n; size <= maxReply {
					lines = append(lines, line)
				}
				continue
			}
			var clock []string // the time stands before the title and belongs to the new dump
			if k := len(lines); k > 0 && err == nil && !parseClock(lines[k-1]).IsZero() {
				clock = lines[k-1 : k : k]
				lines = lines[:k-1]
			}
			if d := parseLines(lines, frames); d != nil && !yield(d, nil) {
				return
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(nil, err)
				}
				return
			}
			lines = append(append([]string(nil), clock...), line)
			size = n
		}
	}
}

// parseReply reads the one dump that an answer of a JVM is. A second title in it is some thread's name.
func parseReply(text []byte) *Dump {
	in := lineReader{r: bufio.NewReaderSize(strings.NewReader(string(text)), 64<<10)}
	var lines []string
	for {
		line, _, err := in.next()
		if err != nil {
			break
		}
		lines = append(lines, line)
	}
	d := parseLines(lines, interner{})
	if d == nil {
		d = &Dump{}
	}
	d.Bytes = len(text)
	return d
}

// parseLines reads one dump. It is nil if there is neither a title nor a thread.
func parseLines(lines []string, frames interner) *Dump {
	d := &Dump{}
	title := false
	for i, line := range lines {
		if strings.HasPrefix(line, `"`) {
			break
		}
		if jvm, ok := strings.CutPrefix(line, dumpTitle); ok {
			if title = true; strings.HasSuffix(line, "\r") {
				lines = trimReturns(lines)
				jvm = strings.TrimSuffix(jvm, "\r")
			}
			d.JVM = strings.ToValidUTF8(strings.TrimSuffix(clip(jvm, maxFrame), ":"), "\ufffd")
			if i > 0 {
				d.Time = parseClock(lines[i-1])
			}
			lines = lines[i:]
			break
		}
	}
	for _, line := range lines {
		d.Bytes += len(line) + 1
	}
	blocks, bad := findBlocks(lines)
	if !title && len(blocks) == 0 {
		return nil
	}
	d.Bad = bad
	for i, b := range blocks {
		end := len(lines)
		if i+1 < len(blocks) {
			end = blocks[i+1].start
		}
		t := Thread{
			Name: blockName(lines, b), NID: b.header.nid, JavaID: b.header.javaID, Daemon: b.header.daemon,
			State: strings.Clone(b.header.state), ptr: b.header.ptr, rival: b.rival,
		}
		t.readStack(lines[b.end+1:end], frames)
		d.Threads = append(d.Threads, t)
	}
	return d
}

// blockName returns the name that a block's header begins with.
func blockName(lines []string, b block) string {
	if b.start == b.end {
		return javaString(clip(lines[b.end][1:b.header.quote], maxName))
	}
	var name strings.Builder
	name.WriteString(lines[b.start][1:])
	for i := b.start + 1; i < b.end && name.Len() < maxName; i++ {
		name.WriteByte('\n')
		name.WriteString(lines[i])
	}
	name.WriteByte('\n')
	name.WriteString(lines[b.end][:b.header.quote])
	return javaString(clip(name.String(), maxName))
}

// readStack reads what stands below a thread's header.
func (t *Thread) readStack(lines []string, frames interner) {
	var carrier []string // a carrier's own frames are printed first, but lie below those of the virtual thread
	for _, line := range lines {
		if frame, ok := strings.CutPrefix(line, "\tat "); ok {
			if len(t.Frames) < maxFrames {
				t.Frames = append(t.Frames, frames.intern(clip(frame, maxFrame)))
			}
			continue
		}
		if state, ok := strings.CutPrefix(line, "   java.lang.Thread.State: "); ok {
			t.State = strings.ToValidUTF8(clip(state, 64), "\ufffd")
		} else if number, ok := strings.CutPrefix(line, "   Carrying virtual thread #"); ok {
			t.Virtual, _ = parseDecimal(strings.TrimSpace(number))
		} else if strings.HasPrefix(line, "   Mounted virtual thread #") {
			carrier, t.Frames = append(carrier, t.Frames...), nil
		}
	}
	t.Frames = append(t.Frames, carrier...)
	t.Frames = t.Frames[:min(len(t.Frames), maxFrames)]
}

// parseClock reads "2021-03-01 22:49:08"; zero if the line is something else.
func parseClock(line string) time.Time {
	t, err := time.Parse(time.DateTime, strings.TrimSpace(line))
	if err != nil {
		return time.Time{}
	}
	return t
}
