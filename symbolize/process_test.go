package symbolize

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestReadProcess(t *testing.T) {
	begin := time.Now()
	p := mustHelper(t, "wait", nil)
	p.line()
	got, err := ReadProcess(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	self, _ := os.Executable()
	if got.PID != p.pid() || got.NSPID != p.pid() || got.Exe != self || got.Name != filepath.Base(self) || got.Bits != 64 {
		t.Errorf("%+v", got)
	}
	if got.UID != os.Geteuid() || got.IsJVM || got.OtherPIDNamespace || got.OtherMountNamespace {
		t.Errorf("%+v", got)
	}
	if want := filepath.Base(self)[:min(15, len(filepath.Base(self)))]; got.Comm != want {
		t.Errorf("comm is %q, want %q", got.Comm, want)
	}
	if len(got.Cmdline) != 1 || got.Cmdline[0] != self {
		t.Errorf("command line is %q", got.Cmdline)
	}
	if got.StartedAt.Before(begin.Add(-time.Second)) || got.StartedAt.After(time.Now().Add(time.Second)) {
		t.Errorf("started at %v, which is not between %v and now", got.StartedAt, begin)
	}
	if got.CGroup == nil {
		t.Error("no control group")
	}
	p.finish()
	if _, err := ReadProcess(p.pid()); !errors.Is(err, ErrGone) {
		t.Errorf("after its end: %v", err)
	}
}

func TestReadProcessRefuses(t *testing.T) {
	t.Run("a zombie", func(t *testing.T) {
		p := mustHelper(t, "zombie", nil)
		pid, err := strconv.Atoi(p.line())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadProcess(pid); !errors.Is(err, ErrZombie) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a thread", func(t *testing.T) {
		p := mustHelper(t, "threads", nil)
		p.line()
		tid, err := strconv.Atoi(p.ask("worker"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = ReadProcess(tid)
		if !errors.Is(err, ErrNotLeader) || !strings.Contains(err.Error(), "process "+strconv.Itoa(p.pid())) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a kernel thread", func(t *testing.T) {
		if st, err := readStat(2); err != nil || st.Flags&pfKthread == 0 {
			skip(t, "PID 2 is no kernel thread here: not in the host's PID namespace")
		}
		if _, err := ReadProcess(2); !errors.Is(err, ErrKernelThread) {
			t.Errorf("got %v", err)
		}
	})
	for _, pid := range []int{0, -1, 1 << 30} {
		if _, err := ReadProcess(pid); !errors.Is(err, ErrGone) {
			t.Errorf("PID %d: %v", pid, err)
		}
	}
}

func TestReadProcessOfAnotherUser(t *testing.T) {
	needRoot(t, "become another user")
	exe := mustCopy(t, "/proc/self/exe", "helper")
	for dir := filepath.Dir(exe); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(exe)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "VMALEAK_HELPER=read "+strconv.Itoa(os.Getpid()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if s := string(out); !strings.Contains(s, "permission denied") || !strings.Contains(s, "run as root") {
		t.Errorf("got %q: want the cause and the cure", s)
	}
}

func TestPermissionIsMatched(t *testing.T) {
	err := procError("x", &fs.PathError{Op: "open", Path: "y", Err: unix.EACCES})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v is not fs.ErrPermission", err)
	}
}

func TestELFClass(t *testing.T) {
	for text, want := range map[string]int{"\x7fELF\x01": 32, "\x7fELF\x02xyz": 64, "\x7fELF\x09": 0, "#!/bin/sh": 0, "\x7fEL": 0, "": 0} {
		if got := parseELFClass(strings.NewReader(text)); got != want {
			t.Errorf("class of %q is %d, want %d", text, got, want)
		}
	}
}

// elf32 is a program that waits: pause() by int 0x80, again and again.
var elf32 = []byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x02\x00\x03\x00\x01\x00\x00\x00\x54\x80\x04\x08\x34\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x34\x00\x20\x00\x01\x00\x00\x00\x00\x00\x00\x00" +
	"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x80\x04\x08\x00\x80\x04\x08\x5d\x00\x00\x00\x5d\x00\x00\x00\x05\x00\x00\x00\x00\x10\x00\x00" +
	"\xb8\x1d\x00\x00\x00\xcd\x80\xeb\xf7")

func TestReadProcessOf32Bits(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		skip(t, "the 32-bit program is for x86")
	}
	path := filepath.Join(t.TempDir(), "small")
	if err := os.WriteFile(path, elf32, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	if err := cmd.Start(); errors.Is(err, unix.ENOEXEC) {
		t.Skip("this kernel runs no 32-bit programs (CONFIG_IA32_EMULATION)")
	} else if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	p, err := ReadProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if p.Bits != 32 || p.Name != "small" {
		t.Errorf("%d bits, name %q", p.Bits, p.Name)
	}
}

func TestReadBelowRootStaysThere(t *testing.T) {
	needRoot(t, "chroot")
	dir := mustTree(t, map[string]string{"jail/etc/real": "inside\n", "jail/secret": "of the jail\n", "secret": "of the host\n"})
	jail := filepath.Join(dir, "jail")
	for link, to := range map[string]string{
		"etc/relative": "../../../../../secret", // ".." stops at the root
		"etc/absolute": "/secret",
		"etc/escape":   filepath.Join(dir, "secret"),
		"etc/loop":     "loop",
	} {
		if err := os.Symlink(to, filepath.Join(jail, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(jail, "etc/pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(jail, "etc/big"), bytes.Repeat([]byte("x"), 10000), 0o644); err != nil {
		t.Fatal(err)
	}
	p := mustHelper(t, "chroot "+jail, nil)
	if got := p.line(); got != "ready" {
		t.Fatal(got)
	}
	for path, want := range map[string]string{
		"/etc/real": "inside\n", "/etc/relative": "of the jail\n", "/etc/absolute": "of the jail\n",
		"/../../etc/real": "inside\n", "/etc/big": strings.Repeat("x", maxLine),
	} {
		if got, err := readBelowRoot(p.pid(), path); err != nil || string(got) != want {
			t.Errorf("%s: %.40q %v, want %.40q", path, got, err, want)
		}
	}
	for path, want := range map[string]error{
		"/etc/escape": unix.ENOENT, "/etc/loop": unix.ELOOP, "/etc/pipe": ErrOutside, "/etc": ErrOutside, "/etc/none": unix.ENOENT,
	} {
		if got, err := readBelowRoot(p.pid(), path); !errors.Is(err, want) {
			t.Errorf("%s: %q %v, want %v", path, got, err, want)
		}
	}
}

func TestTextOfProcesses(t *testing.T) {
	for in, want := range map[string]string{"abc": "abc", "gr\xc3\xb6\xc3": "grö\uFFFD", "\x1b[31m\n": "\x1b[31m\n", "": ""} {
		if got := validText(in); got != want {
			t.Errorf("validText(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string][]string{"": nil, "\x00": nil, "a\x00b\x00": {"a", "b"}, "a\x00\x00": {"a", ""}, "a\x00b": {"a", "b"}, "\xff\x00": {"\uFFFD"}} {
		if got := splitNUL([]byte(in)); strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
			t.Errorf("splitNUL(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestReadResidency(t *testing.T) {
	const size = 32 << 20
	before, err := ReadResidency(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	for i := 0; i < size; i += os.Getpagesize() {
		mem[i] = 1
	}
	after, err := ReadResidency(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !after.Exact || after.Anon+after.Swap < before.Anon+before.Swap+size-4<<20 || after.Rss != after.Anon+after.File || after.Took <= 0 {
		t.Errorf("after touching %d bytes: %+v, before %+v", size, after, before)
	}
	if _, err := ReadResidency(1 << 30); !errors.Is(err, ErrGone) {
		t.Errorf("of nobody: %v", err)
	}
	if _, err := ReadResidency(2); err == nil {
		if st, _ := readStat(2); st.Flags&pfKthread != 0 {
			t.Error("a kernel thread has no residency")
		}
	}
}
