package symbolize

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadHost(t *testing.T) {
	h := ReadHost()
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if h.Kernel != strings.TrimSpace(string(release)) || h.Hostname == "" || h.Arch == "" || len(h.BootID) != 36 {
		t.Errorf("%+v", h)
	}
	if h.PageSize < 4096 || h.HugePage != 0 && h.HugePage < h.PageSize {
		t.Errorf("%+v", h)
	}
	link, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	if want := link == "pid:[4026531836]"; h.InitialPIDNamespace != want {
		t.Errorf("initial PID namespace: %v, but ours is %s", h.InitialPIDNamespace, link)
	}
}

func TestCaps(t *testing.T) {
	if got := Caps(0).Missing(); strings.Join(got, " ") != "CAP_BPF CAP_PERFMON CAP_SYS_PTRACE" {
		t.Errorf("without any: %q", got)
	}
	if got := Caps(1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_SYS_PTRACE).Missing(); got != nil {
		t.Errorf("with CAP_SYS_ADMIN: %q", got)
	}
	if got := Caps(1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON).Missing(); strings.Join(got, " ") != "CAP_SYS_PTRACE" {
		t.Errorf("with CAP_BPF and CAP_PERFMON: %q", got)
	}
}

func TestParseLockdown(t *testing.T) {
	for text, want := range map[string]string{
		"[none] integrity confidentiality\n": "none", "none [integrity] confidentiality\n": "integrity",
		"none integrity [confidentiality]": "confidentiality", "none": "", "[none": "", "": "",
	} {
		if got := parseLockdown(text); got != want {
			t.Errorf("parseLockdown(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestMountTracefs(t *testing.T) {
	needRoot(t, "mount tracefs in a mount namespace of its own")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "VMALEAK_HELPER=tracefs")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if want := "/sys/kernel/tracing true <nil>\n/sys/kernel/tracing false <nil>\n"; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}
