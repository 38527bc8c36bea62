package strace

import (
	"bytes"

	"vmaleak/vma"
)

// exited takes "+++ exited with 0 +++", "+++ killed by SIGKILL (core dumped) +++"
// and "+++ superseded by execve in pid 25900 +++".
func (r *Reader) exited(b, body []byte, tid uint32, at *stamp) {
	now := r.clock.at(at)
	rest := body[len("+++ "):]
	rec := Record{Kind: Exit, File: r.o.Name, Line: r.line, TID: tid, Start: now}
	rec.Event = vma.Event{Op: vma.OpExit, Time: now, Thread: vma.Thread{TID: tid}}
	if word, ok := bytes.CutPrefix(rest, []byte("exited with ")); ok {
		code, _, good := number(word, 0)
		if !good {
			r.bad(b, "no exit status")
			return
		}
		rec.Code = int(int32(code))
	} else if word, ok := bytes.CutPrefix(rest, []byte("killed by ")); ok {
		rec.Killed, rec.Whole, rec.Name = true, true, r.word(word)
	} else if word, ok := bytes.CutPrefix(rest, []byte("superseded by execve in pid ")); ok {
		n, _ := digits(word, 0)
		r.drop(uint32(n))
		r.drop(tid)
		return
	} else {
		r.bad(b, "no exit status")
		return
	}
	r.lose(tid)
	r.main.exit(tid)
	r.emit(other, &rec)
}

// signalled takes "--- SIGSEGV {…} ---" and "--- stopped by SIGSTOP ---".
func (r *Reader) signalled(body []byte, tid uint32, at *stamp) {
	now := r.clock.at(at)
	rec := Record{Kind: Signal, File: r.o.Name, Line: r.line, TID: tid, Start: now}
	rec.Event.Time, rec.Event.Thread.TID = now, tid
	rest := bytes.TrimPrefix(body[len("--- "):], []byte("stopped by "))
	rec.Name = r.word(rest)
	r.emit(other, &rec)
}

// word is the first word of b, kept once however often it comes.
func (r *Reader) word(b []byte) string {
	j := 0
	for j < len(b) && j < 32 && (isName(b[j]) || b[j] == '+') {
		j++
	}
	if s, ok := r.names[string(b[:j])]; ok {
		return s
	}
	s := string(b[:j])
	if len(r.names) < 256 {
		r.names[s] = s
	}
	return s
}
