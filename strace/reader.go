package strace

import (
	"bytes"
	"io"
	"time"
)

// Options is what a Reader cannot learn from the log. The zero value reads an undated log.
type Options struct {
	Name     string         // of the file, for messages
	Date     time.Time      // day of the first line, where times have none; zero: undated
	Location *time.Location // of times of day; nil: Date's
	PID      int            // of the thread, where lines do not tell: a file of -ff (see PIDOf)
}

// Reader turns an strace log into records. It is for one goroutine and keeps
// at most 65,000 records and a line in memory.
type Reader struct {
	lines   *lines
	o       Options
	clock   clock
	stats   Stats
	tracker *tracker
	queue   queue
	halves  halves
	cur     *Record
	ended   bool

	carry     []byte // a line that strace's "Process N attached" has cut in two
	carryLine int
	line      int
	salvaging bool
	usual     stampKind // of the log's lines
	durations bool      // the log has -T
	names     map[string]string
	main      terminal
	mergeAt   int64 // place of cur in a Merger
}

// NewReader makes a Reader of a log that is not compressed (see Open).
func NewReader(r io.Reader, o Options) *Reader {
	size := headSize
	if o.PID != 0 { // one of many files
		size /= 4
	}
	rd := &Reader{lines: newLines(r, size), o: o, names: make(map[string]string)}
	rd.clock = newClock(o, &rd.stats)
	rd.tracker = newTracker(&rd.stats)
	rd.halves = newHalves()
	return rd
}

// Scan advances to the next record. It is false at the end, or at an error of
// the underlying reader, which Err returns.
func (r *Reader) Scan() bool {
	for r.advance() {
		if r.tracker.track(r.cur) {
			r.count(r.cur)
			return true
		}
	}
	return false
}

// Record is the record that Scan came to. It belongs to the Reader and holds until the next Scan.
func (r *Reader) Record() *Record { return r.cur }

// Err is the error of the underlying reader, if that ended the log.
func (r *Reader) Err() error { return r.lines.err }

// Stats counts what was read up to the current record.
func (r *Reader) Stats() Stats {
	s := r.stats
	s.Lines, s.Bytes, s.Cut = int64(r.lines.n), r.lines.bytes, r.lines.cut
	return s
}

func (r *Reader) count(rec *Record) {
	switch rec.Kind {
	case Call:
		r.stats.Calls++
		if rec.Event.Failed() {
			r.stats.Failed++
		}
	case Orphan:
		r.stats.Orphans++
	case Signal:
		r.stats.Signals++
	case BadLine:
		r.stats.Bad++
	}
}

// advance puts the next record into cur, untracked.
func (r *Reader) advance() bool {
	for {
		if r.cur = r.queue.pop(); r.cur != nil {
			return true
		}
		if r.ended {
			return false
		}
		if r.queue.len() >= maxWaiting {
			r.force()
			continue
		}
		if r.lines.n == 0 {
			r.main.learn(r)
		}
		b, ok := r.lines.next()
		if !ok {
			r.ended = true
			if len(r.carry) > 0 {
				r.bad(r.carry, "a line that does not go on")
			}
			r.loseAll()
			continue
		}
		r.read(b)
	}
}

// read takes one line of the file.
func (r *Reader) read(b []byte) {
	r.line = r.lines.n
	if len(r.carry) > 0 {
		carry := r.carry
		r.carry, r.line = nil, r.carryLine
		if len(carry)+len(b) <= maxLine {
			b = append(carry, b...)
		} else {
			r.bad(carry, "a line that goes on for too long")
		}
	}
	if n := len(b); n > 9 && b[n-1] == 'd' && bytes.HasSuffix(b, []byte(" attached")) {
		if i := bytes.LastIndex(b, []byte("Process ")); i >= 0 {
			b = bytes.TrimSuffix(b[:i], []byte("strace: "))
			r.stats.Notes++
			if len(b) > 0 {
				r.carry, r.carryLine = bytes.Clone(b), r.line
			}
			return
		}
	}
	r.text(b)
	r.salvaging = false
}

// text takes one line of the log.
func (r *Reader) text(b []byte) {
	i := spaces(b, 0)
	switch {
	case i == len(b):
		r.stats.Notes++
		return
	case i > 0 && b[i] == '>':
		r.stats.Stacks++
		return
	}
	p := parsePrefix(b)
	body := b[p.body:]
	tid := r.main.tid(&p)
	switch {
	case len(body) == 0:
		r.bad(b, "no call")
	case body[0] == '<':
		r.resumed(b, body, tid, &p.stamp)
	case body[0] == '+' && bytes.HasPrefix(body, []byte("+++ ")):
		r.exited(b, body, tid, &p.stamp)
	case body[0] == '-' && bytes.HasPrefix(body, []byte("--- ")):
		r.signalled(body, tid, &p.stamp)
	case isName(body[0]) && !isDigit(body[0]):
		r.called(b, body, tid, &p.stamp)
	case bytes.HasPrefix(body, []byte("[ Process ")), bytes.HasPrefix(body, []byte("% time")):
		r.stats.Notes++
	default:
		r.bad(b, "no call")
	}
}

// called takes "name(arguments…".
func (r *Reader) called(b, body []byte, tid uint32, at *stamp) {
	j := 0
	for j < len(body) && isName(body[j]) {
		j++
	}
	if j == len(body) || body[j] != '(' {
		if isNote(body) {
			r.stats.Notes++
		} else {
			r.bad(b, "no call")
		}
		return
	}
	s := lookup(body[:j])
	now := r.clock.at(at)
	r.usual = at.kind
	r.lose(tid)
	if s == other || s == sysMadvise {
		r.stats.Other++
		if s == sysMadvise {
			r.stats.Madvise++
		}
		return
	}
	rec := r.record(s, tid, now)
	arguments := body[j+1:]
	f, res := malformed, result{}
	switch s {
	case sysClone, sysClone3, sysFork, sysVfork:
		flags := cloneFlags(s, arguments)
		rec.Shared, rec.Thread = flags&cloneVM != 0, flags&cloneThread != 0
		f, res = lastEnd(arguments)
	case sysExecve, sysExit, sysExitGroup:
		f, res = lastEnd(arguments)
		if s != sysExecve {
			rec.Whole = s == sysExitGroup
			code, _, _ := number(arguments, 0)
			rec.Code = int(int32(code))
		}
	default:
		rest, unknown, ok := parseArgs(s, arguments, &rec)
		if ok {
			f, res = parseEnd(rest)
		}
		r.stats.UnknownBit += unknown
	}
	switch {
	case f == malformed:
		r.bad(b, "a "+string(body[:j])+" that is cut or mixed")
	case f == moved:
		r.stats.NoResult++
	case rec.Kind == Exit:
		r.emit(s, &rec)
	case f == started:
		r.begin(s, &rec)
	case r.implausible(&rec, res):
		r.bad(b, "a "+string(body[:j])+" with a result that is cut")
	case finish(s, &rec, res, 0):
		r.durations = r.durations || res.timed
		r.emit(s, &rec)
	case res.none:
		r.stats.NoResult++
	}
}

// implausible reports whether the result of rec may be cut: the last line of a
// log that does not end, or an address inside a page.
func (r *Reader) implausible(rec *Record, res result) bool {
	if !r.lines.whole && r.durations && !res.timed && !res.none {
		return true
	}
	return hasAddress(rec) && res.ret > 0 && res.ret%4096 != 0
}

func (r *Reader) record(s sys, tid uint32, now int64) Record {
	rec := Record{Kind: s.kind(), File: r.o.Name, Line: r.line, TID: tid, Start: now}
	rec.Event.Op = s.op()
	rec.Event.Thread.TID = tid
	rec.Event.Time = now
	return rec
}

// emit puts a finished record at the end.
func (r *Reader) emit(s sys, rec *Record) {
	_, slot := r.queue.push()
	slot.rec, slot.sys = *rec, s
}

// bad makes a record of a line that is not understood, and looks for a whole
// line behind a broken one: "…PROT_READ|25898 22:48:40.779514 mmap(…".
func (r *Reader) bad(b []byte, what string) {
	text := b[:min(len(b), 80)]
	r.emit(other, &Record{Kind: BadLine, File: r.o.Name, Line: r.line,
		Bad: &LineError{File: r.o.Name, Line: r.line, What: what, Text: string(text)}})
	if r.salvaging || r.usual == noStamp {
		return
	}
	for i := 1; i+12 < len(b); i++ {
		if !isDigit(b[i]) && b[i] != '[' || isHex(b[i-1]) {
			continue
		}
		p := parsePrefix(b[i:])
		if rest := b[i+p.body:]; p.tid != 0 && p.stamp.kind == r.usual && len(rest) > 0 && (rest[0] == '<' || isName(rest[0])) {
			r.salvaging = true // once for a line
			r.text(b[i:])
			return
		}
	}
}

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// isNote knows what strace itself writes.
func isNote(b []byte) bool {
	for _, s := range []string{"strace: ", "Process ", "umovestr: ", "ptrace", "upeek", "PANIC: "} {
		if bytes.HasPrefix(b, []byte(s)) {
			return true
		}
	}
	return false
}
