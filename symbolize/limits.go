package symbolize

import (
	"bytes"
	"fmt"
	"math"

	"github.com/prometheus/procfs"
)

// Limit is a limit that the growth of a process may meet.
type Limit struct {
	Name    string // what it limits: control group /pod, host memory, address space
	Counter string // where it stands: memory.max of /pod, RLIMIT_AS
	Used    *uint64
	Limit   uint64 // bytes, but of vm.max_map_count mappings
}

// ReadLimits reads the limits of a process: those of its control groups, which
// cg tells and which may be nil, of the host's memory, its own. mappings is how
// many it has, 0 unknown. What cannot be read is left out.
func ReadLimits(pid int, cg *CGroup, mappings uint64) []Limit {
	var list []Limit
	if cg != nil {
		for _, l := range cg.Limits {
			list = append(list, groupLimit(l))
		}
	}
	if l := hostMemory(); l != nil {
		list = append(list, *l)
	}
	if most := readNumber("/proc/sys/vm", "max_map_count"); most != nil {
		l := Limit{Name: "mappings", Counter: "vm.max_map_count", Limit: *most}
		if mappings > 0 {
			l.Used = &mappings
		}
		list = append(list, l)
	}
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return list
	}
	limits, err := proc.Limits()
	if err != nil {
		return list
	}
	s, err := proc.NewStatus()
	if err != nil {
		return list
	}
	return append(list, ownLimits(limits, s)...)
}

func groupLimit(l CGroupLimit) Limit {
	name, counter := "control group "+l.Path, l.File+" of "+l.Path
	switch l.File {
	case "memory.high":
		name += " is slowed down"
	case hierarchical:
		name, counter = "control group above "+l.Path, l.File+" in memory.stat of "+l.Path
	}
	return Limit{Name: name, Counter: counter, Used: l.Used, Limit: l.Bytes}
}

// hostMemory is the host's memory; what the kernel can still give away is not used.
func hostMemory() *Limit {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil
	}
	m, err := fs.Meminfo()
	if err != nil || m.MemTotalBytes == nil || m.MemAvailableBytes == nil {
		return nil
	}
	used := *m.MemTotalBytes - min(*m.MemTotalBytes, *m.MemAvailableBytes)
	return &Limit{Name: "host memory", Counter: "MemTotal - MemAvailable", Used: &used, Limit: *m.MemTotalBytes}
}

// ownLimits are those of setrlimit that are set.
func ownLimits(l procfs.ProcLimits, s procfs.ProcStatus) (list []Limit) {
	for _, r := range []struct {
		name, counter string
		limit, used   uint64
	}{
		{"address space", "RLIMIT_AS", l.AddressSpace, s.VmSize},
		{"data", "RLIMIT_DATA", l.DataSize, s.VmData},
	} {
		if r.limit != math.MaxUint64 && r.limit > 0 && r.used > 0 {
			used := r.used
			list = append(list, Limit{Name: r.name, Counter: r.counter, Used: &used, Limit: r.limit})
		}
	}
	return list
}

// CountMappings counts the rows of /proc/PID/maps, as vm.max_map_count does.
func CountMappings(pid int) (uint64, error) {
	const most = 256 << 20
	b, err := readBounded(procPath(pid, "maps"), most)
	if err != nil {
		return 0, procError(fmt.Sprintf("read the map of process %d", pid), err)
	}
	return uint64(bytes.Count(b, []byte{'\n'})), nil
}
