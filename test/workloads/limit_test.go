package workloads

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// cgroup is a control group for one workload.
type cgroup struct {
	dir          string
	max, current string // names of its files
}

// newCgroup makes one whose memory is counted: v2, or v1 where the host has that.
func newCgroup(tb testing.TB) *cgroup {
	tb.Helper()
	name := fmt.Sprintf("vmaleak-workload-%d-%s", os.Getpid(), strings.NewReplacer("/", "-", "#", "-").Replace(tb.Name()))
	for _, g := range []cgroup{
		{filepath.Join("/sys/fs/cgroup", name), "memory.max", "memory.current"},
		{filepath.Join("/sys/fs/cgroup/memory", name), "memory.limit_in_bytes", "memory.usage_in_bytes"},
	} {
		if err := os.Mkdir(g.dir, 0o755); err != nil {
			continue
		}
		if !exists(filepath.Join(g.dir, g.max)) {
			_ = os.Remove(g.dir) // memory is not counted here
			continue
		}
		tb.Cleanup(func() {
			if err := os.Remove(g.dir); err != nil && !errors.Is(err, unix.EBUSY) {
				tb.Logf("remove the control group: %v", err)
			}
		})
		return &g
	}
	tb.Log("no control group with a limit of memory can be made here: the address space is limited instead")
	return nil
}

// command is a command that joins the group before it becomes another.
func (g *cgroup) command(name string, args []string) (string, []string) {
	return "sh", append([]string{"-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(g.dir, "cgroup.procs"), name}, args...)
}

func (g *cgroup) used(tb testing.TB) float64 {
	tb.Helper()
	text := must[[]byte](tb)(os.ReadFile(filepath.Join(g.dir, g.current)))
	return must[float64](tb)(strconv.ParseFloat(strings.TrimSpace(string(text)), 64))
}

func (g *cgroup) setMax(tb testing.TB, bytes float64) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, g.max), []byte(strconv.FormatInt(int64(bytes), 10)), 0); err != nil {
		tb.Fatal(err)
	}
}

// limitSpace limits the address space of a process.
func limitSpace(tb testing.TB, pid int, bytes float64) {
	tb.Helper()
	most := unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}
	if err := unix.Prlimit(pid, unix.RLIMIT_AS, &most, nil); err != nil {
		tb.Fatalf("limit the address space of process %d: %v", pid, err)
	}
}
