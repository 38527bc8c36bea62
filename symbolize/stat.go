package symbolize

import (
	"bytes"
	"errors"
	"strconv"
)

// pfKthread is PF_KTHREAD of include/linux/sched.h.
const pfKthread = 0x00200000

// stat holds the fields of /proc/PID/stat and /proc/PID/task/TID/stat that
// this package needs.
type stat struct {
	Comm       string // raw, up to 15 bytes (kernel threads: 63)
	State      byte
	PPID       int
	Flags      uint64
	StartTicks uint64
}

var errStat = errors.New("unexpected content of stat")

// parseStat parses one line of /proc/PID/stat. The comm may hold anything,
// parentheses and newlines included: it ends at the last ")".
//
// Note: procfs.Proc.Stat does the same with fmt.Fscan over 44 fields, which is
// most of the cost of a refresh of 500 threads.
func parseStat(b []byte) (stat, error) {
	l, r := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if l < 0 || r < l {
		return stat{}, errStat
	}
	s := stat{Comm: string(b[l+1 : r])}
	rest := b[r+1:]
	for i := 3; i <= 22; i++ { // numbered as in proc_pid_stat(5)
		rest = bytes.TrimLeft(rest, " ")
		end := bytes.IndexAny(rest, " \n")
		if end < 0 {
			end = len(rest)
		}
		field := string(rest[:end])
		rest = rest[end:]
		if field == "" {
			return stat{}, errStat
		}
		var err error
		switch i {
		case 3:
			s.State = field[0]
		case 4:
			s.PPID, err = strconv.Atoi(field)
		case 9:
			s.Flags, err = strconv.ParseUint(field, 10, 64)
		case 22:
			s.StartTicks, err = strconv.ParseUint(field, 10, 64)
		}
		if err != nil {
			return stat{}, errStat
		}
	}
	return s, nil
}

// readStatAt reads the stat file below an open directory of /proc (a process
// or a task). prefix is "" or "TID/". buf is scratch space.
func readStatAt(dir int, prefix string, buf []byte) (stat, error) {
	b, err := readSmallAt(dir, prefix+"stat", buf)
	if err != nil {
		return stat{}, err
	}
	s, err := parseStat(b)
	if err != nil {
		return stat{}, err
	}
	// stat escapes newlines and backslashes in the comm on some kernels
	// (proc_task_name), comm never does.
	if bytes.IndexByte([]byte(s.Comm), '\\') >= 0 {
		if c, err := readSmallAt(dir, prefix+"comm", buf); err == nil {
			s.Comm = string(bytes.TrimSuffix(c, []byte("\n")))
		}
	}
	return s, nil
}

// readStat reads /proc/PID/stat.
func readStat(pid int) (stat, error) {
	b, err := readBounded(procPath(pid, "stat"), maxLine)
	if err != nil {
		return stat{}, procError("read stat of process "+strconv.Itoa(pid), err)
	}
	s, err := parseStat(b)
	if err != nil {
		return stat{}, procError("read stat of process "+strconv.Itoa(pid), err)
	}
	if bytes.IndexByte([]byte(s.Comm), '\\') >= 0 {
		if c, err := readBounded(procPath(pid, "comm"), maxLine); err == nil {
			s.Comm = string(bytes.TrimSuffix(c, []byte("\n")))
		}
	}
	return s, nil
}
