package exact

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The part of an export that these tests look at. The documents are decoded
// here, not by the program's own types: the contract is the text.
type export struct {
	EndedAt   time.Time `json:"ended_at"`
	Events    events    `json:"events"`
	Processes []process `json:"processes"`
	Warnings  []struct {
		Code, Message string
		Count         uint64
	} `json:"warnings"`
}

type events struct {
	Received   uint64            `json:"received"`
	Applied    uint64            `json:"applied"`
	Lost       uint64            `json:"lost"`
	Gaps       uint64            `json:"gaps"`
	Resyncs    uint64            `json:"resyncs"`
	Audits     uint64            `json:"audits"`
	DriftBytes uint64            `json:"drift_bytes"`
	Untraced   map[string]uint64 `json:"untraced"`
}

type process struct {
	PID        int     `json:"pid"`
	PIDs       []int   `json:"pids"`
	Space      string  `json:"space"`
	Exec       int     `json:"exec"`
	Exited     bool    `json:"exited"`
	EndedBy    *string `json:"ended_by"`
	Verified   bool    `json:"verified"`
	Unverified *string `json:"unverified_because"`
	Backend    struct {
		Mode string `json:"mode"`
	} `json:"backend"`
	Events events `json:"events"`
	Totals struct {
		Mapped      uint64 `json:"mapped"`
		Committed   uint64 `json:"committed"`
		Reserved    uint64 `json:"reserved"`
		Outstanding uint64 `json:"outstanding"`
		Inherited   uint64 `json:"inherited"`
		PreExisting uint64 `json:"pre_existing"`
		Healed      uint64 `json:"healed"`
	} `json:"totals"`
	Threads []struct {
		TID         int    `json:"tid"`
		Outstanding uint64 `json:"outstanding"`
		Acquired    uint64 `json:"acquired"`
		Released    uint64 `json:"released"`
	} `json:"threads"`
	ThreadsGone struct {
		Acquired uint64 `json:"acquired"`
		Released uint64 `json:"released"`
	} `json:"threads_gone"`
	Mappings []mapping `json:"mappings"`
}

type mapping struct {
	Start    string `json:"start"`
	End      string `json:"end"`
	Length   uint64 `json:"length"`
	Prot     string `json:"prot"`
	Origin   string `json:"origin"`
	Op       string `json:"op"`
	TID      int    `json:"tid"`
	Thread   *int   `json:"thread"`
	Calls    uint64 `json:"calls"`
	Acquired uint64 `json:"acquired_length"`
}

func parseExport(text []byte) (*export, error) {
	var e export
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return &e, nil
}

// find is the live space that pid is in, or nil. One that only lists pid may
// have been left by an exec, so it counts only where pid has none of its own.
func (e *export) find(pid int) *process {
	var shared *process
	for i := range e.Processes {
		p := &e.Processes[i]
		switch {
		case p.Exited:
		case p.PID == pid:
			return p
		case slices.Contains(p.PIDs, pid):
			shared = p
		}
	}
	return shared
}

func parseAddress(s string) (uint64, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return 0, fmt.Errorf("address %q", s)
	}
	return strconv.ParseUint(digits, 16, 64)
}

// spans is what the ledger says is mapped, sorted; an error if rows overlap.
func (p *process) spans() ([]span, error) {
	spans := make([]span, len(p.Mappings))
	for i, m := range p.Mappings {
		var err error
		s := &spans[i]
		if s.start, err = parseAddress(m.Start); err != nil {
			return nil, err
		}
		if s.end, err = parseAddress(m.End); err != nil {
			return nil, err
		}
		if s.prot, err = parseProt(m.Prot); err != nil {
			return nil, err
		}
		if s.end <= s.start || s.end-s.start != m.Length {
			return nil, fmt.Errorf("mapping %s-%s has length %d", m.Start, m.End, m.Length)
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(spans); i++ {
		if spans[i].start < spans[i-1].end {
			return nil, fmt.Errorf("mappings overlap at %#x", spans[i].start)
		}
	}
	return spans, nil
}

// checkSums holds the document against the sum rules of its contract.
func (p *process) checkSums() error {
	var all, committed, owned uint64
	byOrigin := map[string]uint64{}
	byThread := make([]uint64, len(p.Threads))
	for _, m := range p.Mappings {
		all += m.Length
		if !strings.HasPrefix(m.Prot, "---") {
			committed += m.Length
		}
		byOrigin[m.Origin] += m.Length
		if m.Origin != "traced" && m.Origin != "inferred" {
			continue
		}
		if m.Thread == nil || *m.Thread < 0 || *m.Thread >= len(p.Threads) {
			return fmt.Errorf("mapping %s of tid %d names no thread", m.Start, m.TID)
		}
		byThread[*m.Thread] += m.Length
		if p.Threads[*m.Thread].TID != m.TID {
			return fmt.Errorf("mapping %s has tid %d, its thread %d", m.Start, m.TID, p.Threads[*m.Thread].TID)
		}
	}
	t := p.Totals
	for _, rule := range []struct {
		what      string
		got, want uint64
	}{
		{"mapped, and the sum of lengths", t.Mapped, all},
		{"mapped, and committed + reserved", t.Mapped, t.Committed + t.Reserved},
		{"committed, and the lengths with a protection", t.Committed, committed},
		{"mapped, and the sum of origins", t.Mapped, t.Outstanding + t.Inherited + t.PreExisting + t.Healed},
		{"outstanding, and the traced lengths", t.Outstanding, byOrigin["traced"] + byOrigin["inferred"]},
		{"inherited, and such lengths", t.Inherited, byOrigin["inherited"]},
		{"pre_existing, and such lengths", t.PreExisting, byOrigin["pre-existing"]},
		{"healed, and such lengths", t.Healed, byOrigin["healed"]},
		{"threads gone: acquired, and released", p.ThreadsGone.Acquired, p.ThreadsGone.Released},
	} {
		if rule.got != rule.want {
			return fmt.Errorf("%s: %d, want %d", rule.what, rule.got, rule.want)
		}
	}
	for i, th := range p.Threads {
		owned += th.Outstanding
		if th.Acquired-th.Released != th.Outstanding {
			return fmt.Errorf("thread %d: acquired %d - released %d is not outstanding %d", th.TID, th.Acquired, th.Released, th.Outstanding)
		}
		if byThread[i] != th.Outstanding {
			return fmt.Errorf("thread %d: outstanding %d, its mappings %d", th.TID, th.Outstanding, byThread[i])
		}
	}
	if owned != t.Outstanding {
		return fmt.Errorf("the threads' outstanding is %d, the process's %d", owned, t.Outstanding)
	}
	return nil
}

func TestSpansRefusesOverlap(t *testing.T) {
	p := process{Mappings: []mapping{
		{Start: "0x3000", End: "0x5000", Length: 0x2000, Prot: "rw-"},
		{Start: "0x1000", End: "0x3000", Length: 0x2000, Prot: "rw-p"},
	}}
	if got, err := p.spans(); err != nil || len(got) != 2 || got[0].start != 0x1000 {
		t.Errorf("disjoint: %v, %v", got, err)
	}
	p.Mappings[1].End, p.Mappings[1].Length = "0x4000", 0x3000
	if _, err := p.spans(); err == nil {
		t.Error("overlapping mappings were accepted")
	}
	p.Mappings[1].Length = 1
	if _, err := p.spans(); err == nil {
		t.Error("a wrong length was accepted")
	}
}

func TestSumRulesAreHeld(t *testing.T) {
	const text = `{"processes": [{"pid": 7,
		"totals": {"mapped": 24576, "committed": 20480, "reserved": 4096, "outstanding": 12288, "pre_existing": 12288},
		"threads": [{"tid": 8, "outstanding": 12288, "acquired": 16384, "released": 4096}],
		"mappings": [
			{"start": "0x1000", "end": "0x4000", "length": 12288, "prot": "rw-", "origin": "pre-existing", "tid": null},
			{"start": "0x4000", "end": "0x5000", "length": 4096, "prot": "---", "origin": "traced", "tid": 8, "thread": 0},
			{"start": "0x6000", "end": "0x8000", "length": 8192, "prot": "r--", "origin": "traced", "tid": 8, "thread": 0}]}]}`
	e, err := parseExport([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.find(7).checkSums(); err != nil {
		t.Errorf("a right document: %v", err)
	}
	for name, harm := range map[string]func(p *process){
		"mapped":        func(p *process) { p.Totals.Mapped++ },
		"committed":     func(p *process) { p.Totals.Committed--; p.Totals.Reserved++ },
		"outstanding":   func(p *process) { p.Totals.Outstanding--; p.Totals.Inherited++ },
		"a thread":      func(p *process) { p.Threads[0].Released++ },
		"a thread's":    func(p *process) { p.Threads[0].Acquired += 4096; p.Threads[0].Outstanding += 4096 },
		"an owner":      func(p *process) { p.Mappings[2].TID++ },
		"a thread gone": func(p *process) { p.ThreadsGone.Acquired++ },
		"a length":      func(p *process) { p.Mappings[0].Length++ },
	} {
		e, err := parseExport([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		harm(&e.Processes[0])
		if e.Processes[0].checkSums() == nil {
			t.Errorf("%s was changed, and nothing was noticed", name)
		}
	}
}
