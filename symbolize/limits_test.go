package symbolize

import (
	"math"
	"os"
	"os/exec"
	"testing"

	"github.com/prometheus/procfs"
)

func findLimit(list []Limit, counter string) *Limit {
	for i := range list {
		if list[i].Counter == counter {
			return &list[i]
		}
	}
	return nil
}

func TestLimitsOfAProcess(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	p := mustStart(t, exec.Command(sh, "-c", "ulimit -v 3000000; ulimit -d 2000000; echo ready; read line; exit 0"))
	p.line()
	used := uint64(70)
	n, err := CountMappings(p.pid())
	if err != nil || n < 10 {
		t.Fatalf("a shell has %d mappings: %v", n, err)
	}
	list := ReadLimits(p.pid(), &CGroup{Limits: []CGroupLimit{{"/pod", "memory.max", &used, 100}, {"/pod", "memory.high", &used, 90}}}, n)
	for _, want := range []struct {
		counter string
		limit   uint64 // 0: of the machine
	}{
		{"memory.max of /pod", 100},
		{"memory.high of /pod", 90},
		{"MemTotal - MemAvailable", 0},
		{"vm.max_map_count", 0},
		{"RLIMIT_AS", 3000000 << 10},
		{"RLIMIT_DATA", 2000000 << 10},
	} {
		l := findLimit(list, want.counter)
		if l == nil {
			t.Errorf("no limit %s in %+v", want.counter, list)
			continue
		}
		if want.limit != 0 && l.Limit != want.limit || l.Limit == 0 || l.Used == nil || *l.Used == 0 || *l.Used >= l.Limit {
			t.Errorf("limit is %+v, want %+v", *l, want)
		}
	}
	p.finish()
}

func TestWhatIsNotLimitedIsNoLimit(t *testing.T) {
	l := ownLimits(procfs.ProcLimits{AddressSpace: math.MaxUint64, DataSize: math.MaxUint64}, procfs.ProcStatus{VmSize: 1, VmData: 1})
	if len(l) != 0 {
		t.Errorf("limits are %+v", l)
	}
	if l := ReadLimits(1<<30, nil, 0); findLimit(l, "RLIMIT_AS") != nil || findLimit(l, "MemTotal - MemAvailable") == nil {
		t.Errorf("of a process that is not there: %+v", l)
	}
	if _, err := CountMappings(1 << 30); err == nil {
		t.Error("the mappings of no process are counted")
	}
	if n, err := CountMappings(os.Getpid()); err != nil || n == 0 {
		t.Errorf("our own mappings are %d: %v", n, err)
	}
}
