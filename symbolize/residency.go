package symbolize

import (
	"fmt"
	"time"

	"github.com/prometheus/procfs"
)

// Residency is how much of a process is in memory, in bytes.
type Residency struct {
	Rss   uint64 // all resident pages
	Anon  uint64 // of these: of no file (private anonymous pages, copies of private file pages)
	File  uint64 // of these: of files, and shared memory
	Shmem uint64 // of File: shared memory
	Swap  uint64 // anonymous pages swapped out
	Pss   uint64 // proportional share; 0 unless Exact
	// Exact: counted page by page. Otherwise the kernel's own counters, which
	// may lag by some pages per thread.
	Exact bool
	Took  time.Duration // time spent in the kernel, mostly under the target's mmap lock for reading
}

// MaxWalk bounds the resident size up to which ReadResidency has pages counted
// one by one: the walk costs about 5 ms per GiB of small pages.
const MaxWalk = 32 << 30

// ReadResidency reads /proc/PID/smaps_rollup; of a process with more than
// 32 GiB resident, or where that file is not readable, the counters of
// /proc/PID/status.
func ReadResidency(pid int) (Residency, error) { return ReadResidencyWithin(pid, MaxWalk) }

// ReadResidencyWithin is ReadResidency, with the resident size from which on the counters do.
func ReadResidencyWithin(pid int, walk uint64) (Residency, error) {
	begin := time.Now()
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return Residency{}, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	s, err := proc.NewStatus()
	if err != nil {
		return Residency{}, procError(fmt.Sprintf("read status of process %d", pid), err)
	}
	if s.VmSize == 0 {
		return Residency{}, fmt.Errorf("read residency of process %d: %w", pid, ErrGone)
	}
	if s.VmRSS <= walk {
		if r, err := proc.ProcSMapsRollup(); err == nil && r.Rss > 0 {
			return Residency{
				Rss: r.Rss, Anon: r.Anonymous, File: r.Rss - min(r.Rss, r.Anonymous), Shmem: s.RssShmem,
				Swap: r.Swap, Pss: r.Pss,
				Exact: true, Took: time.Since(begin),
			}, nil
		}
	}
	return Residency{
		Rss: s.VmRSS, Anon: s.RssAnon, File: s.RssFile + s.RssShmem, Shmem: s.RssShmem, Swap: s.VmSwap, Took: time.Since(begin),
	}, nil
}
