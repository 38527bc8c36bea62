package exact

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// stat is the fields of /proc/PID/stat (or of a thread's) after the name: state, parent, ...
func stat(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// state is the state letter of a process, 0 if it is gone.
func state(pid int) byte {
	f := stat(fmt.Sprintf("/proc/%d/stat", pid))
	if len(f) == 0 {
		return 0
	}
	return f[0][0]
}

// startTicks is when a process began, in clock ticks since boot; 0 if it is gone.
func startTicks(pid int) int64 {
	const starttime = 22 - 3
	f := stat(fmt.Sprintf("/proc/%d/stat", pid))
	if len(f) <= starttime {
		return 0
	}
	ticks, _ := strconv.ParseInt(f[starttime], 10, 64) // the kernel wrote it
	return ticks
}

// nowTicks is the same clock now.
func nowTicks() int64 {
	const hz = 100 // USER_HZ, on every architecture that Go runs on
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return 0
	}
	return now.Nano() / (1e9 / hz)
}

// tree is root and all its descendants that are alive.
func tree(root int) []int {
	parent := map[int]int{}
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, path := range all {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if f := stat(path); err == nil && len(f) > 1 && f[0] != "Z" && f[0] != "X" {
			parent[pid], _ = strconv.Atoi(f[1])
		}
	}
	var pids []int
	for pid := range parent {
		for up := pid; up > 1; up = parent[up] {
			if up == root {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}

// standing reports whether no thread of pid runs, or may run by itself: all are
// stopped, or wait in the kernel for a child that shares their space (vfork).
func standing(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid)) // the pattern is right
	for _, task := range tasks {
		if f := stat(task); len(f) > 0 && !strings.Contains("TtDZX", f[0]) {
			return false
		}
	}
	return true
}

// comm is the kernel's name of a process, "" if it is gone.
func comm(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // "" says it all
	return strings.TrimSuffix(string(text), "\n")
}
