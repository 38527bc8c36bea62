package symbolize

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
)

// CGroup is the memory control group of a process: bytes, nil where unknown or
// (Max) unlimited. With cgroup v1 a value that only v2 counts is nil.
type CGroup struct {
	Path    string // below the mount point of its hierarchy, as seen from our cgroup namespace
	Max     *uint64
	Current *uint64
	Anon    *uint64
	File    *uint64 // page cache, Shmem included
	Shmem   *uint64
	Kernel  *uint64
	Sock    *uint64
	OOMKill *uint64 // processes of the group killed for want of memory
	// Limit is the nearest group above with a limit of its own (a pod's, a
	// slice's), if any: it may be reached first.
	Limit *CGroup
}

// ReadCGroup reads the memory control group of a process, v2 or else v1. A
// file that cannot be read leaves its value nil; the error is about
// /proc/PID/cgroup only.
func ReadCGroup(pid int) (*CGroup, error) {
	groups, err := readProcCgroup(pid)
	if err != nil {
		return nil, err
	}
	return readMemory(groups, readCgroupMounts()), nil
}

// readProcCgroup reads /proc/PID/cgroup.
func readProcCgroup(pid int) ([]procfs.Cgroup, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	groups, err := proc.Cgroups()
	if err != nil {
		return nil, procError(fmt.Sprintf("read cgroup of process %d", pid), err)
	}
	for i := range groups {
		groups[i].Path = strings.TrimSuffix(groups[i].Path, " (deleted)")
	}
	return groups, nil
}

// cgroupPaths are the paths that tell who a process is: the unified
// hierarchy's first, then systemd's, then memory's.
func cgroupPaths(groups []procfs.Cgroup) []string {
	var paths []string
	for _, want := range []string{"", "name=systemd", "memory"} {
		if g := findHierarchy(groups, want); g != nil {
			paths = append(paths, g.Path)
		}
	}
	return paths
}

// findHierarchy finds a hierarchy by controller; "" is the unified one.
func findHierarchy(groups []procfs.Cgroup, controller string) *procfs.Cgroup {
	for i, g := range groups {
		if controller == "" && g.HierarchyID == 0 || controller != "" && slices.Contains(g.Controllers, controller) {
			return &groups[i]
		}
	}
	return nil
}

// readMemory reads the values of the hierarchy that has the memory controller.
func readMemory(groups []procfs.Cgroup, mounts cgroupMounts) *CGroup {
	if v1 := findHierarchy(groups, "memory"); v1 != nil {
		g := &CGroup{Path: v1.Path}
		if dir := mounts.memory.dirOf(v1.Path); dir != "" {
			g.readV1(dir)
			g.Limit = limitAbove(v1.Path, mounts.memory, (*CGroup).readV1)
		}
		return g
	}
	v2 := findHierarchy(groups, "")
	if v2 == nil {
		return nil
	}
	g := &CGroup{Path: v2.Path}
	if dir := mounts.unified.dirOf(v2.Path); dir != "" {
		g.readV2(dir)
		g.Limit = limitAbove(v2.Path, mounts.unified, (*CGroup).readV2)
	}
	return g
}

// limitAbove finds the nearest ancestor with a limit.
func limitAbove(p string, m cgroupMount, read func(*CGroup, string)) *CGroup {
	for p = path.Dir(p); p != "/" && p != "." && !strings.HasSuffix(p, ".."); p = path.Dir(p) {
		dir := m.dirOf(p)
		if dir == "" {
			return nil
		}
		g := &CGroup{Path: p}
		if read(g, dir); g.Max != nil {
			return g
		}
	}
	return nil
}
