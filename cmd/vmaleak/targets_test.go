package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// mustUnit starts a process in a control group that is called like a systemd
// unit. It returns the unit, the group's folder, and the PID.
func mustUnit(t *testing.T) (unit, dir string, pid int) {
	t.Helper()
	root := ""
	for _, try := range []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if unix.Access(filepath.Join(try, "cgroup.procs"), unix.W_OK) == nil {
			root = try
			break
		}
	}
	if root == "" {
		cannot(t, "needs a control group hierarchy that can be written to")
	}
	unit = fmt.Sprintf("vmtest-%d.service", os.Getpid())
	dir = filepath.Join(root, unit)
	if err := os.Mkdir(dir, 0o755); err != nil {
		cannot(t, "needs to make a control group: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(fmt.Sprint(cmd.Process.Pid)), 0o644); err != nil {
		t.Fatal(err)
	}
	return unit, dir, cmd.Process.Pid
}

func TestAUnitIsSelectedByEveryFormOfItsName(t *testing.T) {
	needRoot(t)
	unit, dir, pid := mustUnit(t)
	bare := unit[:len(unit)-len(".service")]
	for _, args := range [][]string{{"-u", bare}, {"--unit", unit}, {"--unit=" + bare}, {"-u" + unit}, {"--cgroup", dir}, {"--cgroup", "/" + unit}, {bare}} {
		cmd := vmaleakCommand(t, append([]string{"trace", "--json", "out.json", "-d", "100ms"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v: %s", args, err, out)
			continue
		}
		snap, err := checkExport(filepath.Join(cmd.Dir, "out.json"))
		if err != nil {
			t.Fatal(err)
		}
		if len(snap.Processes) != 1 || *snap.Processes[0].PID != pid || snap.Processes[0].Unit == nil || *snap.Processes[0].Unit != unit {
			t.Errorf("%v: %d processes, the first %+v", args, len(snap.Processes), snap.Processes[0])
		}
	}
}
