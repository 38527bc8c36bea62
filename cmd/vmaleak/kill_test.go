package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// A vmaleak that is killed while it attaches to a JVM leaves its .attach_pid
// file, which the next one removes, and no program in the kernel.
func TestKilledInTheMiddleOfAnAttach(t *testing.T) {
	needRoot(t)
	for _, major := range []string{"17", "25"} {
		t.Run(major, func(t *testing.T) {
			t.Parallel()
			pid, _ := mustNamed(t, mustJDK(t, major), 3)
			dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
			if err != nil {
				t.Fatal(err)
			}
			created := mustWatch(t, dir)
			cmd := vmaleakCommand(t, "trace", "-p", strconv.Itoa(pid), "--no-save", "--attach", "yes")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			name := created()
			programs := programsOf(t, cmd.Process.Pid)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // killed, as told
			wantGone(t, programs)
			file := filepath.Join(dir, fmt.Sprintf(".attach_pid%d", pid))
			if filepath.Base(file) != name {
				t.Fatalf("created %s", name)
			}
			if _, err := os.Stat(file); err != nil {
				// It was quicker than we: leave what it would have left.
				text := fmt.Sprintf("vmaleak attach pid=%d start=%d pidns=%d\n", cmd.Process.Pid, 1, mustPIDNamespace(t))
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			next := vmaleakCommand(t, "trace", "-p", strconv.Itoa(pid), "--json", "out.json", "-d", "300ms", "--attach", "yes")
			if out, err := next.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is still there: %v", file, err)
			}
			if _, err := checkExport(filepath.Join(next.Dir, "out.json")); err != nil {
				t.Error(err)
			}
		})
	}
}

// mustWatch returns a function that waits for the next file to be created in dir.
func mustWatch(t *testing.T, dir string) func() string {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		t.Fatal(err)
	}
	return func() string {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for deadline := time.Now().Add(30 * time.Second); ; {
			n, err := unix.Poll(poll, int(time.Until(deadline).Milliseconds()))
			if n > 0 {
				break
			}
			if err != unix.EINTR {
				t.Fatalf("waited in vain for a file in %s: %v", dir, err)
			}
		}
		buf := make([]byte, 4096)
		n, err := unix.Read(fd, buf)
		if err != nil || n <= unix.SizeofInotifyEvent {
			t.Fatal("inotify:", n, err)
		}
		name, _, _ := bytes.Cut(buf[unix.SizeofInotifyEvent:n], []byte{0})
		return string(name)
	}
}

func mustPIDNamespace(t *testing.T) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// programsOf are the IDs of the BPF programs that a process holds, by its links.
func programsOf(t *testing.T, pid int) []ebpf.ProgramID {
	t.Helper()
	var ids []ebpf.ProgramID
	infos, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		b, err := os.ReadFile(info)
		if err != nil {
			continue // a descriptor that has been closed since
		}
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, "prog_id:"); ok {
				id, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, ebpf.ProgramID(id))
			}
		}
	}
	if len(ids) < 10 {
		t.Fatalf("process %d holds %d BPF programs only", pid, len(ids))
	}
	return ids
}

// wantGone checks that the kernel lets go of the programs.
func wantGone(t *testing.T, ids []ebpf.ProgramID) {
	t.Helper()
	mustWaitFor(t, "the BPF programs are gone", func() bool {
		for _, id := range ids {
			p, err := ebpf.NewProgramFromID(id)
			if err == nil {
				p.Close()
				return false
			}
			if !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		return true
	})
}

// An export that is interrupted by SIGKILL leaves the file as it was before.
func TestKilledWhileExporting(t *testing.T) {
	needRoot(t)
	t.Parallel()
	target := exec.Command(filepath.Join(mustShared(t), "vmaleak"))
	target.Env = append(os.Environ(), partEnv+"=rows 20000")
	in, err := target.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := target.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = target.Process.Kill()
		_ = target.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatal(line, err)
	}
	for _, old := range []string{"", "an older export\n"} {
		cmd := vmaleakCommand(t, "trace", "-p", strconv.Itoa(target.Process.Pid), "--json", "out.json", "--ready-file", "ready")
		file := filepath.Join(cmd.Dir, "out.json")
		if old != "" {
			if err := os.WriteFile(file, []byte(old), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		mustWaitFor(t, "ready", func() bool {
			_, err := os.Stat(filepath.Join(cmd.Dir, "ready"))
			return err == nil
		})
		programs := programsOf(t, cmd.Process.Pid)
		created := mustWatch(t, cmd.Dir)
		if err := cmd.Process.Signal(unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		created()
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed, as told
		wantGone(t, programs)
		switch text, err := os.ReadFile(file); {
		case errors.Is(err, os.ErrNotExist) && old == "", err == nil && string(text) == old:
		default: // it was quicker than we: then it is whole
			if _, err := checkExport(file); err != nil {
				t.Errorf("half a file, of %d bytes: %v", len(text), err)
			}
		}
	}
}
