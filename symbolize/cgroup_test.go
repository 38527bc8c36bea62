package symbolize

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/procfs"
)

// mustTree writes files, by path, below a new folder.
func mustTree(tb testing.TB, files map[string]string) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func wantNumber(t *testing.T, what string, got *uint64, want int64) {
	t.Helper()
	switch {
	case got == nil && want >= 0:
		t.Errorf("%s is unknown, want %d", what, want)
	case got != nil && int64(*got) != want:
		t.Errorf("%s is %d, want %d", what, *got, want)
	}
}

func TestCGroupV2(t *testing.T) {
	dir := mustTree(t, map[string]string{
		"pod/memory.max":      "4096000\n",
		"pod/memory.current":  "3000\n",
		"pod/memory.stat":     "inactive_file 300\nactive_file 200\nfile 600\n",
		"pod/c/memory.max":    "max\n",
		"pod/c/memory.high":   "3500000\n",
		"pod/c/memory.stat":   "anon 10\nfile 20\nkernel 5\nsock 0\nshmem 7\nworkingset_refault_anon 9\n",
		"pod/c/memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n",
	})
	g := readMemory(
		[]procfs.Cgroup{{HierarchyID: 0, Path: "/pod/c"}},
		cgroupMounts{unified: cgroupMount{Point: dir, Root: "/"}},
	)
	if g.Path != "/pod/c" {
		t.Errorf("path is %q", g.Path)
	}
	wantNumber(t, "max", g.Max, -1)
	wantNumber(t, "current", g.Current, -1)
	wantNumber(t, "anon", g.Anon, 10)
	wantNumber(t, "file", g.File, 20)
	wantNumber(t, "shmem", g.Shmem, 7)
	wantNumber(t, "kernel", g.Kernel, 5)
	wantNumber(t, "sock", g.Sock, 0)
	wantNumber(t, "oom_kill", g.OOMKill, 2)
	if len(g.Limits) != 2 || g.Limits[0].File != "memory.high" || g.Limits[0].Path != "/pod/c" || g.Limits[0].Bytes != 3500000 {
		t.Fatalf("limits are %+v, want memory.high of its own and memory.max of /pod", g.Limits)
	}
	l := g.Limits[1]
	if l.Path != "/pod" || l.File != "memory.max" || l.Bytes != 4096000 {
		t.Errorf("the limit above is %+v, want that of /pod", l)
	}
	wantNumber(t, "what counts against the limit above", l.Used, 2500)
}

func TestCGroupV1(t *testing.T) {
	dir := mustTree(t, map[string]string{
		"a/memory.limit_in_bytes":          "9223372036854771712\n",
		"a/memory.usage_in_bytes":          "77\n",
		"a/memory.kmem.usage_in_bytes":     "3\n",
		"a/memory.kmem.tcp.usage_in_bytes": "0\n",
		"a/memory.stat":                    "rss 1\nhierarchical_memory_limit 5000\ntotal_rss 11\ntotal_cache 22\ntotal_shmem 2\n",
		"a/memory.oom_control":             "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
	})
	groups := []procfs.Cgroup{{HierarchyID: 4, Controllers: []string{"memory"}, Path: "/box/a"}, {HierarchyID: 0, Path: "/"}}
	g := readMemory(groups, cgroupMounts{memory: cgroupMount{Point: dir, Root: "/box"}})
	wantNumber(t, "max", g.Max, -1)
	wantNumber(t, "current", g.Current, 77)
	wantNumber(t, "anon", g.Anon, 11)
	wantNumber(t, "file", g.File, 22)
	wantNumber(t, "shmem", g.Shmem, 2)
	if len(g.Limits) != 1 || g.Limits[0].Bytes != 5000 || g.Limits[0].Used != nil {
		t.Errorf("limits are %+v, want that of a group above which we cannot see", g.Limits)
	}
	wantNumber(t, "kernel", g.Kernel, 3)
	wantNumber(t, "sock", g.Sock, 0)
	wantNumber(t, "oom_kill", g.OOMKill, 4)
}

func TestALimitAboveThatIsSeenIsToldOnce(t *testing.T) {
	dir := mustTree(t, map[string]string{
		"a/memory.limit_in_bytes": "5000\n", "a/memory.usage_in_bytes": "70\n", "a/memory.stat": "hierarchical_memory_limit 5000\n",
		"a/b/memory.limit_in_bytes": "9000\n", "a/b/memory.usage_in_bytes": "60\n", "a/b/memory.stat": "hierarchical_memory_limit 5000\n",
	})
	g := readMemory([]procfs.Cgroup{{HierarchyID: 4, Controllers: []string{"memory"}, Path: "/a/b"}}, cgroupMounts{memory: cgroupMount{Point: dir, Root: "/"}})
	var got []string
	for _, l := range g.Limits {
		got = append(got, fmt.Sprint(l.Path, " ", l.File, " ", *l.Used, " ", l.Bytes))
	}
	if want := "/a/b memory.limit_in_bytes 60 9000, /a memory.limit_in_bytes 70 5000"; strings.Join(got, ", ") != want {
		t.Errorf("limits are %v, want %s", got, want)
	}
}

func TestKernelMemoryOfOldKernelsIsTheSumOfItsParts(t *testing.T) {
	dir := mustTree(t, map[string]string{"c/memory.stat": "anon 10\nkernel_stack 1\npercpu 2\nslab 4\n"})
	g := readMemory([]procfs.Cgroup{{HierarchyID: 0, Path: "/c"}}, cgroupMounts{unified: cgroupMount{Point: dir, Root: "/"}})
	wantNumber(t, "kernel", g.Kernel, 7)
}

func TestProcessesOfAGroup(t *testing.T) {
	dir := mustTree(t, map[string]string{"c/cgroup.procs": fmt.Sprintf("0\n%d\n1073741824\nx\n", os.Getpid()), "c/d/cgroup.procs": fmt.Sprintf("%d\n", os.Getppid())})
	g := &CGroup{dir: filepath.Join(dir, "c")}
	list, more := g.Processes(10)
	if len(list) != 2 || more != 0 {
		t.Fatalf("processes are %+v and %d more, want this one and its parent", list, more)
	}
	for _, p := range list {
		if p.PID != os.Getpid() && p.PID != os.Getppid() || p.Anon == 0 || p.Comm == "" {
			t.Errorf("a process is %+v", p)
		}
	}
	if list, more = g.Processes(1); len(list) != 1 || more != 2 {
		t.Errorf("of one at most: %+v and %d more", list, more)
	}
	if list, more = (&CGroup{}).Processes(9); len(list)+more != 0 {
		t.Errorf("of a group that we cannot see: %+v and %d more", list, more)
	}
}

func TestCGroupDirectory(t *testing.T) {
	for _, c := range []struct {
		mount cgroupMount
		group string
		want  string
	}{
		{cgroupMount{"/sys/fs/cgroup", "/"}, "/a/b", "/sys/fs/cgroup/a/b"},
		{cgroupMount{"/sys/fs/cgroup", "/"}, "/", "/sys/fs/cgroup"},
		{cgroupMount{"/sys/fs/cgroup", "/docker/x"}, "/docker/x/y", "/sys/fs/cgroup/y"},
		{cgroupMount{"/sys/fs/cgroup", "/docker/x"}, "/docker/x", "/sys/fs/cgroup"},
		{cgroupMount{"/sys/fs/cgroup", "/docker/x"}, "/docker/xy", ""},
		{cgroupMount{"/sys/fs/cgroup", "/"}, "/../other", ""},
		{cgroupMount{"/sys/fs/cgroup", "/"}, "relative", ""},
		{cgroupMount{}, "/a", ""},
	} {
		if got := c.mount.dirOf(c.group); got != c.want {
			t.Errorf("%+v: the folder of %q is %q, want %q", c.mount, c.group, got, c.want)
		}
	}
}

func TestReadCGroupOfOurselves(t *testing.T) {
	g, err := ReadCGroup(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if g == nil || !strings.HasPrefix(g.Path, "/") {
		t.Errorf("our control group is %+v", g)
	}
}

func FuzzParseKeyed(f *testing.F) {
	f.Add("anon 1\nfile x\n\nfoo\nbar 2 3\n")
	f.Fuzz(func(t *testing.T, text string) {
		for key, v := range parseKeyed(strings.NewReader(text)) {
			if v == nil || strings.ContainsAny(key, " \n") {
				t.Errorf("%q: key %q, value %v", text, key, v)
			}
		}
	})
}
