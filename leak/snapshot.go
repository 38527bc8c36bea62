package leak

import (
	"maps"
	"strconv"
	"strings"
	"time"
)

// Schema names the version of the document.
const Schema = "vmaleak/v1"

// Snapshot is what was known at one instant: the document of the export.
// It is immutable once made: every presenter renders it, none changes it.
// Sizes are bytes, unknown is nil, lists are never nil.
type Snapshot struct {
	Schema    string     `json:"schema"`
	Tool      Tool       `json:"tool"`
	Host      Host       `json:"host"`
	Source    string     `json:"source"`
	StartedAt *time.Time `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Events    Events     `json:"events"`
	Processes []*Entry   `json:"processes"`
	Warnings  []Warning  `json:"warnings"`
}

// The values of Snapshot.Source.
const (
	SourceLive   = "live"
	SourceStrace = "strace"
)

// Header is what the caller knows of a snapshot.
type Header struct {
	Tool      Tool
	Host      Host
	Source    string // SourceLive or SourceStrace
	StartedAt time.Time
	Warnings  []Warning
	Undated   bool // times of day are known, dates are not: no time is written

	// Brief leaves the lists that grow with the address space (mappings,
	// accounts, series) empty: for a screen, not for an export.
	Brief bool
}

// Tool is what made the document.
type Tool struct {
	Version string            `json:"version"`
	Options map[string]string `json:"options"`
	Limits  map[string]int64  `json:"limits"`
}

// Host is where the processes ran.
type Host struct {
	Hostname *string `json:"hostname"`
	Kernel   *string `json:"kernel"`
	Arch     *string `json:"arch"`
	PageSize *uint64 `json:"page_size"`
	BootID   *string `json:"boot_id"`
}

// Warning is something a reader must know before believing the numbers.
type Warning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Count   uint64 `json:"count"`
}

// Events counts what happened to the events of one space, or of all.
type Events struct {
	Received   uint64            `json:"received"`
	Applied    uint64            `json:"applied"`
	Failed     uint64            `json:"failed"`
	Lost       uint64            `json:"lost"`
	Gaps       uint64            `json:"gaps"`
	Resyncs    uint64            `json:"resyncs"`
	Audits     uint64            `json:"audits"`
	DriftBytes uint64            `json:"drift_bytes"`
	Untraced   map[string]uint64 `json:"untraced"`
	Stacks     StackCounts       `json:"stacks"`
}

// StackCounts counts stacks by how far they were walked.
type StackCounts struct {
	Complete    uint64 `json:"complete"`
	Continued   uint64 `json:"continued"`
	Truncated   uint64 `json:"truncated"`
	Failed      uint64 `json:"failed"`
	None        uint64 `json:"none"`
	RateLimited uint64 `json:"rate_limited"`
	Pending     uint64 `json:"pending"` // still being walked when the snapshot was made

	// Reasons counts why stacks are not complete, in a few words each.
	Reasons map[string]uint64 `json:"reasons"`
}

// Add adds o's counts to c's.
func (c *StackCounts) Add(o *StackCounts) {
	c.Complete += o.Complete
	c.Continued += o.Continued
	c.Truncated += o.Truncated
	c.Failed += o.Failed
	c.None += o.None
	c.RateLimited += o.RateLimited
	c.Pending += o.Pending
	if c.Reasons == nil {
		c.Reasons = map[string]uint64{}
	}
	for k, n := range o.Reasons {
		c.Reasons[clean(k)] += n
	}
}

func (c *StackCounts) equal(o *StackCounts) bool {
	return c.Complete == o.Complete && c.Continued == o.Continued && c.Truncated == o.Truncated && c.Failed == o.Failed &&
		c.None == o.None && c.RateLimited == o.RateLimited && c.Pending == o.Pending && maps.Equal(c.Reasons, o.Reasons)
}

// Add adds o's counts to e's.
func (e *Events) Add(o *Events) {
	e.Received += o.Received
	e.Applied += o.Applied
	e.Failed += o.Failed
	e.Lost += o.Lost
	e.Gaps += o.Gaps
	e.Resyncs += o.Resyncs
	e.Audits += o.Audits
	e.DriftBytes += o.DriftBytes
	if e.Untraced == nil {
		e.Untraced = map[string]uint64{}
	}
	for k, n := range o.Untraced {
		e.Untraced[k] += n
	}
	e.Stacks.Add(&o.Stacks)
}

// clone is a copy that shares nothing, whose map is not nil.
func (e Events) clone() Events {
	var c Events
	c.Add(&e)
	return c
}

// Addr is an address; in JSON the string "0x7f46cc4db000".
type Addr uint64

// MarshalText is the address in hexadecimal.
func (a Addr) MarshalText() ([]byte, error) {
	return strconv.AppendUint([]byte("0x"), uint64(a), 16), nil
}

// UnmarshalText reads what MarshalText wrote.
func (a *Addr) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(string(b), "0x"), 16, 64)
	*a = Addr(n)
	return err
}

// String is the address in hexadecimal.
func (a Addr) String() string { return "0x" + strconv.FormatUint(uint64(a), 16) }
