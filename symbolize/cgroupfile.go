package symbolize

import (
	"bufio"
	"bytes"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// cgroupMounts says where we can read the two hierarchies that count memory.
type cgroupMounts struct{ unified, memory cgroupMount }

// cgroupMount is one mounted hierarchy: Root of it is visible at Point.
type cgroupMount struct{ Point, Root string }

// readCgroupMounts finds them in /proc/self/mountinfo.
func readCgroupMounts() cgroupMounts {
	var found cgroupMounts
	infos, err := procfs.GetMounts()
	if err != nil {
		return found
	}
	for _, m := range infos {
		switch {
		case m.FSType == "cgroup2" && found.unified.Point == "":
			found.unified = cgroupMount{Point: m.MountPoint, Root: m.Root}
		case m.FSType == "cgroup" && found.memory.Point == "":
			if _, ok := m.SuperOptions["memory"]; ok {
				found.memory = cgroupMount{Point: m.MountPoint, Root: m.Root}
			}
		}
	}
	return found
}

// dirOf is the folder of a group, "" if it is outside what is mounted.
func (m cgroupMount) dirOf(group string) string {
	if m.Point == "" || !strings.HasPrefix(group, "/") || strings.Contains(group+"/", "/../") {
		return ""
	}
	rel := group
	if m.Root != "/" {
		rest, ok := strings.CutPrefix(group, m.Root)
		if !ok || rest != "" && rest[0] != '/' {
			return ""
		}
		rel = rest
	}
	return path.Join(m.Point, rel)
}

func (g *CGroup) readV2(dir string) {
	g.Max, g.High = readNumber(dir, "memory.max"), readNumber(dir, "memory.high")
	g.Current = readNumber(dir, "memory.current")
	s := readKeyed(dir, "memory.stat")
	g.Anon, g.File, g.Shmem = s["anon"], s["file"], s["shmem"]
	g.Kernel, g.Sock = s["kernel"], s["sock"]
	if g.Kernel == nil { // before 5.18 its parts only
		g.Kernel = sumOf(s, "kernel_stack", "pagetables", "percpu", "slab")
	}
	g.Swap = readNumber(dir, "memory.swap.current")
	g.OOMKill = readKeyed(dir, "memory.events")["oom_kill"]
	used := without(g.Current, sumOf(s, "inactive_file", "active_file"))
	g.limit("memory.max", g.Max, used)
	g.limit("memory.high", g.High, used)
}

// sumOf is the sum of the values that are there, nil if none is.
func sumOf(values map[string]*uint64, keys ...string) *uint64 {
	var sum *uint64
	for _, k := range keys {
		if v := values[k]; v != nil {
			if sum == nil {
				sum = new(uint64)
			}
			*sum += *v
		}
	}
	return sum
}

// without is what counts towards a limit: not the pages of files, which the
// kernel takes back before it kills. nil where the group's use is unknown.
func without(current, files *uint64) *uint64 {
	if current == nil || files == nil {
		return current
	}
	n := *current - min(*current, *files)
	return &n
}

func (g *CGroup) limit(file string, limit, used *uint64) {
	if limit != nil {
		g.Limits = append(g.Limits, CGroupLimit{Path: g.Path, File: file, Used: used, Bytes: *limit})
	}
}

// unlimitedV1 is the smallest value that means "no limit" in cgroup v1:
// PAGE_COUNTER_MAX rounded to pages of up to 64 KiB.
const unlimitedV1 = 1<<63 - 1<<16

// hierarchical is where cgroup v1 tells the least limit of all groups above, also of those that we cannot see.
const hierarchical = "hierarchical_memory_limit"

func (g *CGroup) readV1(dir string) {
	g.Max = limitV1(readNumber(dir, "memory.limit_in_bytes"))
	g.Current = readNumber(dir, "memory.usage_in_bytes")
	s := readKeyed(dir, "memory.stat")
	g.Anon, g.File, g.Shmem = s["total_rss"], s["total_cache"], s["total_shmem"]
	g.Kernel = readNumber(dir, "memory.kmem.usage_in_bytes")
	g.Sock = readNumber(dir, "memory.kmem.tcp.usage_in_bytes")
	g.Swap = s["total_swap"]
	g.OOMKill = readKeyed(dir, "memory.oom_control")["oom_kill"]
	g.limit("memory.limit_in_bytes", g.Max, without(g.Current, sumOf(s, "total_inactive_file", "total_active_file")))
	g.limit(hierarchical, limitV1(s[hierarchical]), nil)
}

// limitV1 is a limit of cgroup v1, nil if it is none.
func limitV1(v *uint64) *uint64 {
	if v == nil || *v >= unlimitedV1 {
		return nil
	}
	return v
}

// readNumber reads a file of one number; nil if it is absent or says "max".
func readNumber(dir, name string) *uint64 {
	b, err := readBounded(path.Join(dir, name), maxLine)
	if err != nil {
		return nil
	}
	return parseNumber(string(bytes.TrimSpace(b)))
}

func parseNumber(s string) *uint64 {
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return nil
	}
	return &v
}

// readKeyed reads a flat keyed file ("key value" lines).
func readKeyed(dir, name string) map[string]*uint64 {
	b, err := readBounded(path.Join(dir, name), maxSmall)
	if err != nil {
		return nil
	}
	return parseKeyed(bytes.NewReader(b))
}

// parseKeyed parses "key value" lines; other lines are passed over.
func parseKeyed(r io.Reader) map[string]*uint64 {
	values := map[string]*uint64{}
	for sc := bufio.NewScanner(r); sc.Scan(); {
		key, value, ok := strings.Cut(sc.Text(), " ")
		if v := parseNumber(value); ok && v != nil {
			values[key] = v
		}
	}
	return values
}
