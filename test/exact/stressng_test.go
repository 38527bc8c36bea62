package exact

import (
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

type stressor struct{ name, args string }

// stressors are those of stress-ng that change address spaces, with what keeps
// them small: the tests must fit a machine of 2 CPUs and 4 GiB.
var stressors = []stressor{
	{"mmap", "--mmap-bytes 32m"},
	{"mremap", "--mremap-bytes 32m"},
	{"brk", ""},
	{"bigheap", "--bigheap-growth 64k"},
	{"munmap", ""},
	{"mmapfixed", ""},
	{"mmapmany", ""},
	{"mmapaddr", ""},
	{"mmaphuge", ""},
	{"mprotect", ""},
	{"vm", "--vm-bytes 32m"},
	{"vm-addr", ""},
	{"vm-segv", ""},
	{"vm-splice", "--vm-splice-bytes 16m"},
	{"fork", ""},
	{"vfork", ""},
	{"stack", ""},
	{"stackmmap", ""},
	{"shm", "--shm-bytes 16m"},
	{"shm-sysv", "--shm-sysv-bytes 8m"},
	{"madvise", ""},
	{"malloc", "--malloc-bytes 32m"},
	{"pagemove", "--pagemove-bytes 8m"},
	{"remap", ""},
	{"clone", "--clone-max 16"},
	{"exec", "--exec-max 4"},
	{"memfd", "--memfd-bytes 16m"},
	{"mlock", ""},
	{"msync", "--msync-bytes 16m"},
}

// greedy ones fill the memory that is free: for a soak only.
var greedy = []stressor{{"mmapfork", ""}}

// enough is how many of them must exist.
const enough = 15

// present is groups of the stressors that the installed stress-ng has: one by
// one in a soak, else several side by side.
func present(t *testing.T) (groups [][]stressor) {
	t.Helper()
	bin, err := exec.LookPath("stress-ng")
	if err != nil {
		skip(t, "needs stress-ng: %v", err)
	}
	names := strings.Fields(string(must[[]byte](t)(exec.Command(bin, "--stressors").Output())))
	all := slices.Concat(stressors, sized(nil, greedy))
	all = slices.DeleteFunc(all, func(s stressor) bool { return !slices.Contains(names, s.name) })
	if len(all) < enough {
		t.Fatalf("stress-ng has %d of the memory stressors, want %d", len(all), enough)
	}
	return slices.Collect(slices.Chunk(all, sized(5, 1)))
}

// stopAll stops root and all that descends from it, also what is forked meanwhile.
func stopAll(t *testing.T, root int) []int {
	t.Helper()
	var pids []int
	waitFor(t, patience, "stress-ng to stand still", func() bool {
		pids = tree(root)
		still := true
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGSTOP) // it may be gone
			still = still && standing(pid)
		}
		return still && slices.Equal(sorted(pids), sorted(tree(root)))
	})
	return pids
}

func sorted(pids []int) []int { return slices.Sorted(slices.Values(pids)) }

func killAll(root int) {
	for _, pid := range tree(root) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone
	}
}

func TestStressNG(t *testing.T) {
	needTracer(t)
	for _, group := range present(t) {
		var name []string
		args := []string{"--timeout", "10m", "--oomable", "--temp-path", t.TempDir()}
		for _, s := range group {
			name = append(name, s.name)
			args = append(args, "--"+s.name, "1")
			args = append(args, strings.Fields(s.args)...)
		}
		t.Run(strings.Join(name, ","), func(t *testing.T) { stressNG(t, args) })
	}
}

func stressNG(t *testing.T, args []string) {
	tr := startTracer(t, append([]string{"--audit=1s", "--", "stress-ng"}, args...)...)
	var pid int
	waitFor(t, patience, "stress-ng to start", func() bool {
		for _, child := range tree(tr.Process.Pid) {
			if child != tr.Process.Pid && comm(child) == "stress-ng" {
				pid = child
				return true
			}
		}
		return false
	})
	t.Cleanup(func() { killAll(pid) })
	select {
	case <-time.After(sized(2*time.Second, time.Minute)): // it works
	case <-tr.done:
		t.Fatalf("the trace ended, %v\n%s", tr.ProcessState, tr.stderr())
	}
	q := quiet{round: 1, pids: stopAll(t, pid)}
	e := healing(t, tr, q, true)
	untraced := map[string]uint64{}
	for i := range e.Processes {
		p := &e.Processes[i]
		for class, n := range p.Events.Untraced {
			untraced[class] += n
		}
		if p.Events.DriftBytes != 0 && len(p.Events.Untraced) == 0 {
			t.Errorf("pid %d: drift of %d bytes without an untraced call", p.PID, p.Events.DriftBytes)
		}
		if p.Events.Lost != 0 {
			t.Logf("pid %d: %v", p.PID, p.Events.trouble())
		}
	}
	t.Logf("%d processes alive, %d in the export, %d events, audits %d, drift %d, untraced %v",
		len(q.pids), len(e.Processes), e.Events.Received, e.Events.Audits, e.Events.DriftBytes, untraced)
	mustEqual(t, e, q)
	killAll(pid)
	tr.last(t)
}
