package strace

import (
	"os"
	"testing"
	"time"

	"vmaleak/vma"
)

// mustRead returns all records of a file under testdata.
func mustRead(tb testing.TB, path string, o Options) ([]Record, Stats) {
	tb.Helper()
	f, kind, err := Open("testdata/" + path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	if kind != StraceFile {
		tb.Fatalf("%s: recognised as %v", path, kind)
	}
	r := NewReader(f, o)
	var recs []Record
	for r.Scan() {
		recs = append(recs, *r.Record())
	}
	if r.Err() != nil {
		tb.Fatal(r.Err())
	}
	return recs, r.Stats()
}

func TestTheStoryIsReadAsItHappened(t *testing.T) {
	zone := time.FixedZone("", 8*3600)
	recs, stats := mustRead(t, "story/strace_0301.txt", Options{Name: "strace_0301.txt",
		Date: time.Date(2021, 3, 1, 0, 0, 0, 0, zone), Location: zone})
	if stats.Calls != 96 || stats.Unresumed != 47 || stats.AddressUnknown != 47 || stats.Bad != 0 || stats.Forced != 0 || stats.Undated || stats.Days != 1 {
		t.Errorf("stats: %+v", stats)
	}
	if got := time.Unix(0, stats.Last).In(zone).Format(time.DateTime); got != "2021-03-02 08:22:40" {
		t.Errorf("last line at %s", got)
	}
	last := int64(0)
	for _, rec := range recs {
		if rec.Event.Time < last {
			t.Errorf("line %d: time runs backwards", rec.Line)
		}
		last = rec.Event.Time
	}
	inferred, unknown := Infer(recs)
	if inferred != 47 || unknown != 0 {
		t.Errorf("inferred %d, unknown %d; want 47, 0", inferred, unknown)
	}
	var bytes uint64
	calls := make(map[uint32]int)
	origins := make(map[vma.Origin]int)
	s := vma.New(vma.Options{})
	for i := range recs {
		d := s.Apply(&recs[i].Event)
		if len(d.Released) != 0 || len(d.Acquired) != 1 {
			t.Fatalf("line %d: released %v, acquired %v", recs[i].Line, d.Released, d.Acquired)
		}
		bytes += d.Acquired[0].Len()
		calls[recs[i].TID]++
		origins[d.Acquired[0].Origin]++
	}
	if bytes != 1_611_005_952 || len(recs) != 96 {
		t.Errorf("%d mappings, %d bytes; want 96, 1611005952", len(recs), bytes)
	}
	if origins[vma.Traced] != 49 || origins[vma.Inferred] != 47 {
		t.Errorf("origins: %v; want 49 traced, 47 inferred", origins)
	}
	for tid := uint32(25893); tid <= 25900; tid++ {
		if calls[tid] != 12 {
			t.Errorf("thread %d has %d calls, want 12", tid, calls[tid])
		}
	}
	at := uint64(0x7f4674483000)
	for a := range s.All() {
		if a.Start != at {
			t.Errorf("a gap before %v", a.Range)
		}
		at = a.End
	}
	if at != 0x7f46d44e3000 {
		t.Errorf("the tiles end at %x", at)
	}
}

func TestTheStoryWithoutADateIsUndated(t *testing.T) {
	recs, stats := mustRead(t, "story/strace_0301.txt", Options{})
	if !stats.Undated || stats.Untimed || stats.Relative || stats.Precision != time.Microsecond {
		t.Errorf("stats: %+v", stats)
	}
	if got := time.Duration(recs[95].Start - recs[0].Start).Round(time.Second); got < 9*time.Hour || got > 10*time.Hour {
		t.Errorf("the story took %v", got)
	}
	if recs[0].Start != 86400e9+(22*3600+48*60+40)*1e9+293407e3 {
		t.Errorf("first line at %d", recs[0].Start)
	}
}

func TestTheStorysFilesAreRecognised(t *testing.T) {
	for name, want := range map[string]FileKind{"strace_0301.txt": StraceFile, "jstack_0301_runnable.txt": JstackFile,
		"jstack_0301_blocked.txt": JstackFile} {
		b, err := os.ReadFile("testdata/story/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if got := Detect(b); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
