package symbolize

import (
	"bytes"
	"os"
	"runtime"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// Host is what /proc and /sys say of this machine and of what we may do on it.
type Host struct {
	Hostname string
	Kernel   string // release, as uname -r
	Arch     string // as GOARCH
	PageSize uint64
	BootID   string
	HugePage uint64 // bytes; 0 if unknown

	// InitialPIDNamespace: our PIDs and TIDs are the host's, which are what
	// BPF programs see.
	InitialPIDNamespace bool
	Caps                Caps
	Lockdown            string // none, integrity or confidentiality; "" if not known
	TracefsPath         string // where tracefs is mounted; "" if nowhere we can see
}

// ReadHost reads it. What cannot be read stays at its zero value.
func ReadHost() Host {
	h := Host{
		Arch: runtime.GOARCH, PageSize: uint64(os.Getpagesize()),
		InitialPIDNamespace: initialPIDNamespace(), TracefsPath: findTracefs(),
	}
	h.Hostname, _ = os.Hostname()
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		h.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	if b, err := readBounded("/proc/sys/kernel/random/boot_id", maxLine); err == nil {
		h.BootID = string(bytes.TrimSpace(b))
	}
	if fs, err := procfs.NewDefaultFS(); err == nil {
		if m, err := fs.Meminfo(); err == nil && m.HugepagesizeBytes != nil {
			h.HugePage = *m.HugepagesizeBytes
		}
	}
	if self, err := procfs.Self(); err == nil {
		if s, err := self.NewStatus(); err == nil {
			h.Caps = Caps(s.CapEff)
		}
	}
	if b, err := readBounded("/sys/kernel/security/lockdown", maxLine); err == nil {
		h.Lockdown = parseLockdown(string(b))
	}
	return h
}

// Caps is a set of capabilities, as CapEff of /proc/PID/status.
type Caps uint64

// Has reports whether a capability (unix.CAP_BPF …) is in the set.
func (c Caps) Has(capability int) bool { return c>>uint(capability)&1 == 1 }

// Missing names those of the capabilities we use that are not in the set.
func (c Caps) Missing() []string {
	var names []string
	for _, need := range []struct {
		bit  int
		name string
	}{
		{unix.CAP_BPF, "CAP_BPF"},
		{unix.CAP_PERFMON, "CAP_PERFMON"},
		{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	} {
		// CAP_SYS_ADMIN stands for the first two, as before Linux 5.8.
		if c.Has(need.bit) || need.bit != unix.CAP_SYS_PTRACE && c.Has(unix.CAP_SYS_ADMIN) {
			continue
		}
		names = append(names, need.name)
	}
	return names
}

// parseLockdown is the word in brackets: "none [integrity] confidentiality".
func parseLockdown(s string) string {
	_, rest, ok := strings.Cut(s, "[")
	word, _, closed := strings.Cut(rest, "]")
	if !ok || !closed {
		return ""
	}
	return word
}

// initialPIDNamespaceInode is PROC_PID_INIT_INO of include/linux/proc_ns.h.
const initialPIDNamespaceInode = 0xEFFFFFFC

func initialPIDNamespace() bool {
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/pid", &st) == nil && st.Ino == initialPIDNamespaceInode
}
