package leak

import "time"

// The values of Suspect.Verdict, the surest first.
const (
	VerdictLeak       = "leak"
	VerdictGrowing    = "growing"
	VerdictSuspicious = "suspicious"
)

// Suspect is outstanding memory of one kind that grows and does not come back.
type Suspect struct {
	Rank              int        `json:"rank"`
	Verdict           string     `json:"verdict"` // leak, growing or suspicious
	Confidence        float64    `json:"confidence"`
	Pool              *string    `json:"pool"`
	Category          *string    `json:"category"`
	SizeClass         SizeClass  `json:"size_class"`
	Stack             *string    `json:"stack"`
	TIDs              []int      `json:"tids"`
	Threads           []int      `json:"threads"`
	Outstanding       uint64     `json:"outstanding"`
	Blocks            bool       `json:"blocks"` // it is blocks inside malloc's arenas (--malloc): Outstanding is part of Entry.Blocks, not of Totals, and Mappings counts blocks
	PreExisting       *uint64    `json:"pre_existing"`
	Resident          *uint64    `json:"resident"`
	Mappings          uint64     `json:"mappings"`
	Released          uint64     `json:"released"`
	Growth            Growth     `json:"growth"`
	Steps             *Steps     `json:"steps"`
	Predictions       Prediction `json:"predictions"`
	FirstAt           *time.Time `json:"first_at"`
	LastAt            *time.Time `json:"last_at"`
	Limit             *Limit     `json:"limit"`
	ExhaustedAt       *time.Time `json:"exhausted_at"`
	ExhaustedEarliest *time.Time `json:"exhausted_earliest"`
	ExhaustedLatest   *time.Time `json:"exhausted_latest"`
	Why               []string   `json:"why"`
	Lead              []string   `json:"lead"`
}

// SizeClass is the lengths of calls that a Suspect is made of, both included.
type SizeClass struct {
	Min uint64 `json:"min"`
	Max uint64 `json:"max"`
}

// Prediction scores the steps that were foretold.
type Prediction struct {
	Made int `json:"made"`
	Kept int `json:"kept"`
}

// Limit is a limit that growth will meet.
type Limit struct {
	Name    string  `json:"name"`
	Counter string  `json:"counter"`
	Used    *uint64 `json:"used"`
	Bytes   uint64  `json:"bytes"` // of vm.max_map_count: mappings, and so is Used
}

// Retained is memory that was freed but kept by an allocator: a finding, never a suspect.
type Retained struct {
	Category string     `json:"category"`
	Bytes    uint64     `json:"bytes"`
	Since    *time.Time `json:"since"`
	Why      []string   `json:"why"`
}

// Growth is a rate in bytes per hour. PerHour is nil unless Significant, but
// for suspects, whose rate may be noise.
type Growth struct {
	PerHour     *int64 `json:"per_hour"`
	Low         *int64 `json:"low"`
	High        *int64 `json:"high"`
	Significant bool   `json:"significant"`
}

// Steps describes growth by whole steps: Count bursts of Bytes each (the
// median), one every PeriodNS nanoseconds (the mean).
type Steps struct {
	Count    int    `json:"count"`
	Bytes    uint64 `json:"bytes"`
	PeriodNS int64  `json:"period_ns"`
}

// Floor is the growth that could not have been seen in the time watched.
type Floor struct {
	GrowthPerHour int64  `json:"growth_per_hour"`
	WatchedNS     int64  `json:"watched_ns"`
	Why           string `json:"why"`
}

// Series is one quantity over time, fine now and coarser with age.
type Series struct {
	By     string  `json:"by"` // process, pool, thread, stack or category
	Key    string  `json:"key"`
	Points []Point `json:"points"`
}

// Point is one instant of a Series.
type Point struct {
	At          *time.Time `json:"at"`
	Mapped      *uint64    `json:"mapped"`
	Committed   *uint64    `json:"committed"`
	Resident    *uint64    `json:"resident"`
	Outstanding *uint64    `json:"outstanding"`
}
