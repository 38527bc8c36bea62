package strace

import (
	"path/filepath"
	"slices"
	"testing"

	"vmaleak/vma"
)

// The logs under testdata/real are of strace 6.1 on Linux 6.18: of stress.c
// with three threads and 60 calls each (X.before and X.after are its copies of
// /proc/self/maps), and of a Java 17 program with three threads that keep four
// direct buffers of 16 MiB each. crlf.log is plain.log with CRLF and a byte order mark.
func TestKeptLogsGiveTheKernelsMaps(t *testing.T) {
	for file, maps := range map[string]string{"plain.log": "plain", "crlf.log.gz": "plain",
		"verbose.log.zst": "verbose", "terminal.log.gz": "terminal"} {
		t.Run(file, func(t *testing.T) {
			r, f := mustReader(t, "testdata/real/"+file, Options{Name: file})
			defer f.Close()
			base := "testdata/real/" + maps
			checkAgainstMaps(t, r, mustFile(t, base+".before"), mustFile(t, base+".after"))
		})
	}
	t.Run("a file for each thread", func(t *testing.T) {
		names, err := filepath.Glob("testdata/real/ff.log.*")
		if err != nil || len(names) != 6 {
			t.Fatalf("files: %v, %v", names, err)
		}
		var readers []*Reader
		for _, name := range slices.Backward(names) {
			r, f := mustReader(t, name, Options{Name: name, PID: PIDOf(name)})
			defer f.Close()
			readers = append(readers, r)
		}
		m := Merge(readers...)
		checkAgainstMaps(t, m, mustFile(t, "testdata/real/ff.before"), mustFile(t, "testdata/real/ff.after"))
		if n := m.Stats().Conflicts; n != 0 {
			t.Errorf("%d conflicts", n)
		}
	})
}

func TestAJavaProgramsLogShowsItsDirectBuffers(t *testing.T) {
	recs, stats := mustRead(t, "real/java.log.gz", Options{Name: "java.log"})
	if stats.Bad+stats.Orphans+stats.Unresumed+stats.UnknownBit+stats.BreakUnknown != 0 {
		t.Errorf("stats: %+v", stats)
	}
	s := vma.New(vma.Options{})
	threads := make(map[uint32]int)
	for i := range recs {
		if recs[i].Kind == Call && recs[i].Space == 1 { // after execve
			s.Apply(&recs[i].Event)
		}
	}
	for a := range s.Exported() {
		if a.Acquired == 16781312 && a.Op == vma.OpMmap {
			threads[a.Thread.TID] += int(a.Len())
		}
	}
	if len(threads) != 3 {
		t.Errorf("threads with buffers: %v", threads)
	}
	for tid, n := range threads {
		if n != 4*16781312 {
			t.Errorf("thread %d holds %d bytes", tid, n)
		}
	}
}
