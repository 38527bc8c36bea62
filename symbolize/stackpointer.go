package symbolize

import (
	"bytes"
	"path/filepath"
	"strconv"
	"strings"
)

// StackPointer reads where the stack pointer of a thread is that waits in the
// kernel. It is false for one that runs, or that we may not look at.
func StackPointer(pid, tid int) (uint64, bool) {
	b, err := readBounded(filepath.Join(procPath(pid, "task"), strconv.Itoa(tid), "syscall"), maxLine)
	if err != nil {
		return 0, false
	}
	return parseStackPointer(b)
}

// parseStackPointer reads "running", or a call's number, its arguments if it
// is in one, the stack pointer and the program counter.
func parseStackPointer(b []byte) (uint64, bool) {
	fields := bytes.Fields(b)
	if n := len(fields); n == 3 || n == 9 {
		hex, ok := strings.CutPrefix(string(fields[n-2]), "0x")
		sp, err := strconv.ParseUint(hex, 16, 64)
		return sp, ok && err == nil && sp != 0
	}
	return 0, false
}
