package symbolize

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"vmaleak/symbolize/jvm"
)

// Process is what /proc says of one process at one instant. Unknown strings
// are "", unknown numbers and pointers zero, unless a field says otherwise.
// Strings are valid UTF-8 and may hold control characters.
type Process struct {
	PID        int
	NSPID      int       // its PID in its own PID namespace
	StartTicks uint64    // since boot, 1/100 s; with PID the identity of the process
	StartedAt  time.Time // the same as a date, exact to 10 ms

	Comm    string   // up to 15 bytes, made valid UTF-8
	Exe     string   // path as the process sees it; "" if not permitted
	Cmdline []string // cut at 128 KiB
	Name    string   // what to call it: a JVM's main class (without package) or jar, else the base name of Exe, else Comm

	IsJVM bool
	State byte // R, S, D, T, t …
	UID   int  // effective
	Bits  int  // 32 or 64; 0 if not known

	CGroup    *CGroup // nil if not known
	Unit      string  // innermost systemd unit; "" inside a container
	Pod       string  // Kubernetes pod; its UID if the name cannot be known
	Namespace string  // Kubernetes namespace of the pod
	PodUID    string
	Container string // full id, or the name of an LXC or nspawn machine

	OtherPIDNamespace   bool // not in our PID namespace
	OtherMountNamespace bool // not in our mount namespace
}

// ReadProcess reads a process. The errors say what is wrong with the PID:
// ErrGone, ErrZombie, ErrKernelThread, ErrNotLeader (a TID), and
// fs.ErrPermission, in which case the Process holds what may be read.
func ReadProcess(pid int) (*Process, error) {
	st, err := readStat(pid)
	if err != nil {
		if errors.Is(err, ErrGone) && pid > 0 && errors.Is(unix.Kill(pid, 0), unix.EPERM) {
			return nil, fmt.Errorf("read process %d: %w (/proc is mounted with hidepid: run as root)", pid, os.ErrPermission)
		}
		if errors.Is(err, ErrGone) {
			return nil, fmt.Errorf("process %d: %w", pid, ErrGone)
		}
		return nil, err
	}
	switch {
	case st.Flags&pfKthread != 0:
		return nil, fmt.Errorf("process %d (%s): %w", pid, validText(st.Comm), ErrKernelThread)
	case st.State == 'Z' || st.State == 'X':
		if !hasLiveThreads(pid) {
			return nil, fmt.Errorf("process %d (%s): %w", pid, validText(st.Comm), ErrZombie)
		}
	}
	p := &Process{
		PID: pid, NSPID: pid, StartTicks: st.StartTicks, StartedAt: timeOf(bootTime(), st.StartTicks),
		Comm: validText(st.Comm), State: st.State, UID: -1,
	}
	if err := p.readStatus(); err != nil {
		return nil, err
	}
	denied := p.readExe()
	if b, err := readBounded(procPath(pid, "cmdline"), maxCmdline); err == nil {
		p.Cmdline = splitNUL(b)
	}
	p.IsJVM = jvm.IsJVM(pid)
	p.Name = p.name()
	p.readPlacement()
	p.OtherPIDNamespace = namespaceDiffers(pid, "pid")
	p.OtherMountNamespace = namespaceDiffers(pid, "mnt")

	// Everything above is of one process only if the PID still means the same.
	if again, err := readStat(pid); err != nil || again.StartTicks != st.StartTicks {
		return nil, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	if denied != nil {
		return p, procError(fmt.Sprintf("look into process %d of user %d", pid, p.UID), denied)
	}
	return p, nil
}

// readStatus takes the effective user and the inner PID from /proc/PID/status.
func (p *Process) readStatus() error {
	proc, err := procfs.NewProc(p.PID)
	if err != nil {
		return fmt.Errorf("process %d: %w", p.PID, ErrGone)
	}
	s, err := proc.NewStatus()
	if err != nil {
		return procError(fmt.Sprintf("read status of process %d", p.PID), err)
	}
	if s.TGID != p.PID {
		return fmt.Errorf("%d is a thread of process %d: %w", p.PID, s.TGID, ErrNotLeader)
	}
	p.UID = int(s.UIDs[1])
	if n := len(s.NSpids); n > 0 {
		p.NSPID = int(s.NSpids[n-1])
	}
	return nil
}

// readExe reads the path of the program and its ELF class. It returns an error
// only if we may not look.
func (p *Process) readExe() error {
	link, err := os.Readlink(procPath(p.PID, "exe"))
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return err
		}
		return nil
	}
	p.Exe = validText(strings.TrimSuffix(link, " (deleted)"))
	f, err := os.Open(procPath(p.PID, "exe"))
	if err != nil {
		return nil
	}
	defer f.Close()
	p.Bits = parseELFClass(f)
	return nil
}

// parseELFClass is 32 or 64, or 0 if r does not start like an ELF file.
func parseELFClass(r io.Reader) int {
	var ident [5]byte
	if _, err := io.ReadFull(r, ident[:]); err != nil || string(ident[:4]) != "\x7fELF" {
		return 0
	}
	switch ident[4] {
	case 1:
		return 32
	case 2:
		return 64
	}
	return 0
}

func (p *Process) name() string {
	if p.IsJVM {
		if m := MainClass(p.Cmdline); m != "" && isLauncher(p.Exe, p.Cmdline) {
			return shortName(m)
		}
	}
	if p.Exe != "" {
		return path.Base(p.Exe)
	}
	return p.Comm
}

// isLauncher reports whether a command line is one of the java launcher, as
// opposed to a program that embeds a JVM.
func isLauncher(exe string, cmdline []string) bool {
	base := path.Base(exe)
	if exe == "" && len(cmdline) > 0 {
		base = path.Base(cmdline[0])
	}
	return base == "java" || base == "javaw"
}

// hasLiveThreads reports whether a process whose first thread has ended still
// has another one (a main thread may call pthread_exit).
func hasLiveThreads(pid int) bool {
	d, err := os.Open(procPath(pid, "task"))
	if err != nil {
		return false
	}
	defer d.Close()
	names, err := d.Readdirnames(2)
	return err == nil && len(names) > 1
}

// namespaceDiffers reports whether a process is in another namespace of this
// kind than we are; false if that cannot be seen.
func namespaceDiffers(pid int, kind string) bool {
	theirs, err := os.Readlink(procPath(pid, "ns/"+kind))
	if err != nil {
		return false
	}
	ours, err := os.Readlink("/proc/self/ns/" + kind)
	return err == nil && ours != theirs
}
