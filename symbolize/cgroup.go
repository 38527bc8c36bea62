package symbolize

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
)

// CGroup is the memory control group of a process: bytes, nil where unknown or
// (Max, High) unlimited. With cgroup v1 a value that only v2 counts is nil.
type CGroup struct {
	Path    string // below the mount point of its hierarchy, as seen from our cgroup namespace
	Max     *uint64
	High    *uint64 // above it the group is slowed down
	Current *uint64
	Anon    *uint64
	File    *uint64 // page cache, Shmem included
	Shmem   *uint64
	Kernel  *uint64
	Sock    *uint64
	Swap    *uint64 // not part of Current
	OOMKill *uint64 // processes of the group killed for want of memory

	// Limits are those of the group and of the groups above that we can see,
	// its own first: any of them may be reached first.
	Limits []CGroupLimit

	dir string
}

// CGroupLimit is a limit of one control group, in bytes.
type CGroupLimit struct {
	Path  string  // of the group
	File  string  // memory.max, memory.high, memory.limit_in_bytes
	Used  *uint64 // without pages of files, which the kernel takes back first
	Bytes uint64
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

// maxDepth bounds the groups above one.
const maxDepth = 64

// readMemory reads the values of the hierarchy that has the memory controller.
func readMemory(groups []procfs.Cgroup, mounts cgroupMounts) *CGroup {
	group, mount, read := findHierarchy(groups, "memory"), mounts.memory, (*CGroup).readV1
	if group == nil {
		group, mount, read = findHierarchy(groups, ""), mounts.unified, (*CGroup).readV2
	}
	if group == nil {
		return nil
	}
	g := &CGroup{Path: group.Path, dir: mount.dirOf(group.Path)}
	if g.dir == "" {
		return g
	}
	read(g, g.dir)
	for p := path.Dir(g.Path); path.Dir(p) != p && strings.Count(p, "/") < maxDepth; p = path.Dir(p) {
		dir := mount.dirOf(p)
		if dir == "" {
			break
		}
		above := &CGroup{Path: p}
		read(above, dir)
		for _, l := range above.Limits {
			if l.File != hierarchical {
				g.Limits = append(g.Limits, l)
			}
		}
	}
	g.Limits = dropSeen(g.Limits)
	return g
}

// dropSeen drops the limit of a group above, which cgroup v1 tells without
// its name, where it is one of those that were seen.
func dropSeen(limits []CGroupLimit) []CGroupLimit {
	return slices.DeleteFunc(limits, func(l CGroupLimit) bool {
		return l.File == hierarchical && slices.ContainsFunc(limits, func(o CGroupLimit) bool { return o.File != hierarchical && o.Bytes <= l.Bytes })
	})
}
