package jvm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// process is one process, held by a descriptor of its /proc directory: all reads through it fail once that very
// process is gone, even if its number is used again.
type process struct {
	pid   int
	dir   *os.File // /proc/PID
	start uint64   // start time in clock ticks, as a second proof of identity
	kind  machine  // what it was last seen to run; noMachine: not looked yet
}

// status is what /proc/PID/status tells.
type status struct {
	state         byte // 'R', 'S', 'T', 'Z', …
	tgid          int
	nspid         int // the process's id in its own pid namespace
	euid, egid    int
	handlesQuit   bool // SIGQUIT is caught
	hasNamespaces bool // NSpid was there
}

// openProcess takes hold of a process. The caller closes it.
func openProcess(pid int) (*process, error) {
	if self, err := os.Readlink("/proc/self"); err != nil || self != strconv.Itoa(os.Getpid()) {
		return nil, fault(pid, ErrNamespace, "/proc/self is %q, this is process %d; "+
			"mount the /proc of this pid namespace or run in the host's (docker: --pid=host)", self, os.Getpid())
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d", pid), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.ENOENT) {
			return nil, fault(pid, ErrGone, "there is no such process")
		}
		return nil, fault(pid, err, "open /proc/%d", pid)
	}
	p := &process{pid: pid, dir: os.NewFile(uintptr(fd), fmt.Sprintf("/proc/%d", pid))}
	if p.start, err = p.startTime(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *process) close() error { return p.dir.Close() }

// open opens a path below /proc/PID.
func (p *process) open(name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(int(p.dir.Fd()), name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, p.readError(name, err)
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("/proc/%d/%s", p.pid, name)), nil
}

// readError says what an error of a file below /proc/PID means.
func (p *process) readError(name string, err error) error {
	switch {
	case errors.Is(err, unix.ESRCH):
		return fault(p.pid, ErrGone, "it has ended")
	case errors.Is(err, fs.ErrPermission):
		return fault(p.pid, err, "/proc/%d/%s needs the JVM's own user or root (CAP_SYS_PTRACE)", p.pid, name)
	case errors.Is(err, unix.ENOENT):
		if _, alive := p.startTime(); alive != nil {
			return fault(p.pid, ErrGone, "it has ended")
		}
	}
	return fault(p.pid, err, "/proc/%d/%s", p.pid, name)
}

// read returns at most limit bytes of a file below /proc/PID.
func (p *process) read(name string, limit int64) ([]byte, error) {
	f, err := p.open(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, p.readError(name, err)
	}
	return text, nil
}

// startTime reads field 22 of /proc/PID/stat.
func (p *process) startTime() (uint64, error) {
	fd, err := unix.Openat(int(p.dir.Fd()), "stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fault(p.pid, ErrGone, "it has ended")
	}
	f := os.NewFile(uintptr(fd), "stat")
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return 0, fault(p.pid, ErrGone, "it has ended")
	}
	start, err := parseStartTime(text)
	if err != nil {
		return 0, fault(p.pid, err, "read /proc/%d/stat", p.pid)
	}
	return start, nil
}

// parseStartTime reads field 22 of a /proc/PID/stat; the second field, the name, may hold anything and ends with the last ')'.
func parseStartTime(stat []byte) (uint64, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return 0, errors.New("too few fields")
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// status reads /proc/PID/status and makes sure that it is still the same process.
func (p *process) status() (status, error) {
	text, err := p.read("status", 64<<10)
	if err != nil {
		return status{}, err
	}
	s, err := parseStatus(bytes.NewReader(text))
	if err != nil {
		return s, fault(p.pid, err, "read /proc/%d/status", p.pid)
	}
	if start, err := p.startTime(); err != nil {
		return s, err
	} else if start != p.start {
		return s, fault(p.pid, ErrGone, "another process has its number now")
	}
	if !s.hasNamespaces {
		s.nspid = p.pid
	}
	return s, nil
}

// parseStatus reads the lines of a /proc/PID/status that matter here. Name, the one line that the process
// chooses, has its newlines escaped by the kernel.
func parseStatus(r io.Reader) (status, error) {
	var s status
	var err error
	lines := bufio.NewScanner(r)
	for lines.Scan() && err == nil {
		key, value, _ := strings.Cut(lines.Text(), ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch key {
		case "State":
			s.state = fields[0][0]
		case "Tgid":
			s.tgid, err = strconv.Atoi(fields[0])
		case "NSpid":
			s.nspid, err = strconv.Atoi(fields[len(fields)-1])
			s.hasNamespaces = true
		case "Uid", "Gid":
			if len(fields) < 2 {
				return s, fmt.Errorf("line %q", lines.Text())
			}
			id := &s.euid
			if key == "Gid" {
				id = &s.egid
			}
			*id, err = strconv.Atoi(fields[1])
		case "SigCgt":
			var mask uint64
			mask, err = strconv.ParseUint(fields[0], 16, 64)
			s.handlesQuit = mask&(1<<(unix.SIGQUIT-1)) != 0
		}
	}
	if err == nil {
		err = lines.Err()
	}
	if err == nil && (s.state == 0 || s.tgid == 0) {
		err = errors.New("no State or Tgid")
	}
	return s, err
}

// machine is the kind of virtual machine that a process has loaded.
type machine int

const (
	noMachine machine = iota
	hotSpot
	hotSpot8 // HotSpot of JDK 8 or older, by the place of its libjvm.so
	openJ9
)

// IsJVM reports whether the process has a HotSpot JVM's library mapped. It is false also if its memory map may not be read.
func IsJVM(pid int) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return false
	}
	defer f.Close()
	kind, err := parseMachine(f)
	return err == nil && (kind == hotSpot || kind == hotSpot8)
}

// machine reads /proc/PID/maps.
func (p *process) machine() (machine, error) {
	f, err := p.open("maps", unix.O_RDONLY)
	if err != nil {
		return noMachine, err
	}
	defer f.Close()
	kind, err := parseMachine(f)
	if err != nil {
		return noMachine, p.readError("maps", err)
	}
	return kind, nil
}

// parseMachine looks for the library of a virtual machine in a /proc/PID/maps. OpenJ9 has a libjvm.so too.
func parseMachine(r io.Reader) (machine, error) {
	kind := noMachine
	in := lineReader{bufio.NewReaderSize(r, 32<<10)}
	for {
		line, _, err := in.next()
		if errors.Is(err, io.EOF) {
			return kind, nil
		}
		if err != nil {
			return noMachine, err
		}
		at := strings.IndexByte(line, '/')
		if at < 0 {
			continue
		}
		file := strings.TrimSuffix(line[at:], " (deleted)")
		switch base := path.Base(file); {
		case base == "libjvm.so":
			// JDK 8: jre/lib/amd64/server/libjvm.so, later: lib/server/libjvm.so
			if kind = hotSpot; path.Base(path.Dir(path.Dir(path.Dir(file)))) == "lib" {
				kind = hotSpot8
			}
		case strings.HasPrefix(base, "libj9vm"):
			return openJ9, nil
		}
	}
}

// hasListener reports whether a thread of the name that the JVM gives its attach listener lives.
func (p *process) hasListener() (bool, error) {
	tasks, err := p.open("task", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return false, err
	}
	defer tasks.Close()
	names, err := tasks.Readdirnames(-1)
	if err != nil {
		return false, p.readError("task", err)
	}
	for _, name := range names {
		comm, err := p.read("task/"+name+"/comm", 64)
		if err == nil && string(bytes.TrimSuffix(comm, []byte("\n"))) == "Attach Listener" {
			return true, nil
		}
	}
	return false, nil
}
