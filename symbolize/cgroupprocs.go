package symbolize

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/prometheus/procfs"
)

// CGroupProcess is the resident memory of one process of a group, in bytes.
type CGroupProcess struct {
	PID                     int
	Comm                    string
	Anon, File, Shmem, Swap uint64
}

// Bounds of what is looked at of one group.
const (
	maxGroups     = 256
	maxGroupProcs = 1 << 16
)

// Processes reads the processes of the group and of those below it, most
// anonymous memory first: at most that many. more is how many were not looked at.
func (g *CGroup) Processes(most int) (list []CGroupProcess, more int) {
	if g.dir == "" {
		return nil, 0
	}
	pids := groupPIDs(g.dir)
	for _, pid := range pids {
		if len(list) >= most {
			more++
			continue
		}
		proc, err := procfs.NewProc(pid)
		if err != nil {
			continue // it has ended
		}
		s, err := proc.NewStatus()
		if err != nil {
			continue
		}
		list = append(list, CGroupProcess{PID: pid, Comm: s.Name, Anon: s.RssAnon, File: s.RssFile, Shmem: s.RssShmem, Swap: s.VmSwap})
	}
	slices.SortFunc(list, func(a, b CGroupProcess) int { return cmp.Or(cmp.Compare(b.Anon, a.Anon), cmp.Compare(a.PID, b.PID)) })
	return list, more
}

// groupPIDs are the processes of a group's folder and of those below, as our PID namespace numbers them.
func groupPIDs(dir string) (pids []int) {
	dirs := []string{dir}
	for n := 0; n < len(dirs) && n < maxGroups; n++ {
		b, err := readBounded(filepath.Join(dirs[n], "cgroup.procs"), maxCmdline)
		if err != nil {
			continue
		}
		for _, line := range bytes.Fields(b) {
			if pid, err := strconv.Atoi(string(line)); err == nil && pid > 0 && len(pids) < maxGroupProcs { // 0: of another PID namespace
				pids = append(pids, pid)
			}
		}
		entries, err := os.ReadDir(dirs[n])
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.IsDir() && len(dirs) < maxGroups {
				dirs = append(dirs, filepath.Join(dirs[n], e.Name()))
			}
		}
	}
	return pids
}
