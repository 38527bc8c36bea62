package jvm

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func mustDial(t *testing.T, pid int, opt Options) *Client {
	t.Helper()
	c, err := Dial(t.Context(), pid, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// refused fails the test unless Dial returns the error, with the words.
func refused(t *testing.T, pid int, opt Options, want error, words ...string) {
	t.Helper()
	c, err := Dial(t.Context(), pid, opt)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, want) {
		t.Fatalf("Dial: %v, want %v", err, want)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
	t.Log(err)
}

func TestThreadDumpNamesEveryThread(t *testing.T) {
	eachJDK(t, func(t *testing.T, java string) {
		p := startJVM(t, java, targetOptions{count: 500})
		c := mustDial(t, p.pid, Options{Start: true})
		live := map[int]bool{}
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				t.Fatal(err)
			}
			live[tid] = true
		}
		d, err := c.ThreadDump(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d threads, %d bytes in %v, protocol 2: %v", len(d.Threads), d.Bytes, d.Took, c.version2)
		byNID := d.ByNID(func(nid int) bool { return live[nid] })
		for _, line := range p.lines {
			fields := strings.Split(line, " ")
			tid, err := strconv.Atoi(fields[1])
			name, err2 := base64.StdEncoding.DecodeString(fields[2])
			if err != nil || err2 != nil {
				t.Fatal(line)
			}
			th := byNID[tid]
			switch {
			case th == nil:
				t.Errorf("thread %d %q is missing", tid, name)
			case fields[0] == "V":
				if th.Virtual == 0 || !strings.HasPrefix(th.Name, "ForkJoinPool-1-worker-") || len(th.Frames) < 5 {
					t.Errorf("carrier %d = %+v", tid, th)
				}
			case th.Name != string(name) || th.JavaID == 0 || th.Daemon != (string(name) != "main") || len(th.Frames) == 0 || th.State == "":
				t.Errorf("thread %d = %+v, want name %q", tid, th, name)
			}
		}
		if len(p.lines) < 501 || d.Bad != 0 || d.Took <= 0 || d.JVM == "" || d.Time.IsZero() {
			t.Errorf("%d lines, bad %d, took %v, JVM %q, time %v", len(p.lines), d.Bad, d.Took, d.JVM, d.Time)
		}
		// The launcher's first thread is no thread of the JVM; all others have names.
		vm := 0
		for tid := range live {
			th := byNID[tid]
			if th == nil && tid != p.pid {
				comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/comm", p.pid, tid))
				t.Errorf("thread %d, %q to the kernel, is missing (%v)", tid, comm, err)
			}
			if th != nil && th.JavaID == 0 {
				vm++
			}
		}
		if vm < 2 {
			t.Errorf("%d GC and VM threads", vm)
		}
		p.unharmed(t)
	})
}

func TestDialStartsTheListenerOnlyIfAllowed(t *testing.T) {
	eachJDK(t, func(t *testing.T, java string) {
		p := startJVM(t, java, targetOptions{})
		if !IsJVM(p.pid) {
			t.Error("IsJVM is false")
		}
		refused(t, p.pid, Options{}, ErrNoSocket, "VM.version")
		c := mustDial(t, p.pid, Options{Start: true})
		version, err := c.Version(t.Context())
		release, _ := os.ReadFile(filepath.Join(filepath.Dir(java), "..", "release"))
		if number, _, _ := strings.Cut(version, "+"); err != nil || number == "" || !strings.Contains(string(release), `JAVA_VERSION="`+number) {
			t.Errorf("version %q, %v; release %s", version, err, release)
		}
		again := mustDial(t, p.pid, Options{})
		if text, err := again.Jcmd(t.Context(), "GC.heap_info"); err != nil || len(text) == 0 {
			t.Errorf("GC.heap_info: %q, %v", text, err)
		}
		if _, err := again.Jcmd(t.Context(), "No.such"); !errors.Is(err, ErrRefused) {
			t.Errorf("No.such: %v", err)
		}
		if _, err := again.Command(t.Context(), "jcmd", "a\x00b"); err == nil {
			t.Error("a zero byte was accepted")
		}
		// A cleaner of /tmp may remove the socket of a listener that runs.
		if err := os.Remove(fmt.Sprintf("/tmp/.java_pid%d", p.pid)); err != nil {
			t.Fatal(err)
		}
		if _, err := again.Jcmd(t.Context(), "VM.version"); !errors.Is(err, ErrNoSocket) {
			t.Errorf("without socket: %v", err)
		}
		if _, err := c.Jcmd(t.Context(), "VM.version"); err != nil {
			t.Errorf("the socket was not made anew: %v", err)
		}
		c.Close()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := c.Jcmd(t.Context(), "VM.version"); !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		p.unharmed(t)
	})
}

func TestDialReplacesAStaleSocket(t *testing.T) {
	eachJDK(t, func(t *testing.T, java string) {
		p := startJVM(t, java, targetOptions{})
		stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("/tmp/.java_pid%d", p.pid), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		stale.SetUnlinkOnClose(false)
		stale.Close()
		refused(t, p.pid, Options{}, ErrNoSocket, "earlier process")
		mustDial(t, p.pid, Options{Start: true})
		p.unharmed(t)
	})
}

func TestDialReachesJVMsOfOtherUsers(t *testing.T) {
	needRoot(t)
	eachJDK(t, func(t *testing.T, java string) {
		p := startJVM(t, java, targetOptions{cred: &syscall.Credential{Uid: 65534, Gid: 65534}})
		c := mustDial(t, p.pid, Options{Start: true})
		if _, err := c.ThreadDump(t.Context()); err != nil {
			t.Error(err)
		}
		p.unharmed(t)
	})
}

func TestConnectTakesOnTheJVMsUserOnOneThreadOnly(t *testing.T) {
	needRoot(t)
	p := startHelper(t, "credentials", targetOptions{cred: &syscall.Credential{Uid: 65534, Gid: 65533}})
	c := mustDial(t, p.pid, Options{})
	text, err := c.Command(t.Context(), "who")
	if err != nil || string(text) != "65534 65533 <nil>\n" {
		t.Errorf("the JVM saw %q, %v", text, err)
	}
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	for _, task := range tasks {
		if text, err := os.ReadFile(task); err == nil && (!strings.Contains(string(text), "Uid:\t0\t0\t0\t0") || !strings.Contains(string(text), "Gid:\t0\t0\t0\t0")) {
			t.Errorf("%s: %s", task, text)
		}
	}
	p.unharmed(t)
}

func TestDialReachesIntoNamespaces(t *testing.T) {
	needRoot(t)
	eachJDK(t, func(t *testing.T, java string) {
		dir := mustPrivateClasses(t)
		p := startJVM(t, java, targetOptions{child: true, class: "/tmp",
			wrap: []string{"unshare", "--pid", "--fork", "--mount", "--mount-proc", "sh", "-c", `mount --bind "$0" /tmp && cd / && exec "$@"`, dir}})
		c := mustDial(t, p.pid, Options{Start: true})
		d, err := c.ThreadDump(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		inner := 0 // the JVM is process 1 there
		for _, th := range d.Threads {
			if th.NID > 0 && th.NID < 200 {
				inner++
			}
		}
		if inner != len(d.Threads) {
			t.Errorf("%d of %d threads have numbers of their own namespace", inner, len(d.Threads))
		}
		if _, err := os.Stat(filepath.Join(dir, ".java_pid1")); err != nil {
			t.Errorf("the socket is not in the private /tmp: %v", err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".attach*")); left != nil {
			t.Errorf("left behind: %q", left)
		}
		if _, err := os.Stat("/.attach_pid1"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("left behind: /.attach_pid1, %v", err)
		}
		p.unharmed(t)
	})
}

func TestDialSaysThatTheRootIsReadOnly(t *testing.T) {
	needRoot(t)
	const readOnly = `mount --rbind / /mnt && mount -o remount,bind,ro /mnt && mount --bind /mnt/tmp /mnt/tmp && `
	wrap := func(then string) []string {
		return []string{"unshare", "--mount", "sh", "-c", readOnly + then + ` && exec chroot /mnt "$@"`, "sh"}
	}
	java := mustJava(t, "java-17-openjdk-amd64")
	t.Run("with its tmp", func(t *testing.T) {
		p := startJVM(t, java, targetOptions{wrap: wrap("mount -o remount,bind,ro /mnt/tmp")})
		refused(t, p.pid, Options{Start: true}, ErrReadOnly, "/tmp", "read-only")
		p.unharmed(t)
	})
	t.Run("without its tmp", func(t *testing.T) {
		p := startJVM(t, java, targetOptions{wrap: wrap("mount -o remount,bind,rw /mnt/tmp")})
		mustDial(t, p.pid, Options{Start: true})
		p.unharmed(t)
	})
}

// mustPrivateClasses returns a copy of the test program that the test may clutter.
func mustPrivateClasses(t *testing.T) string {
	t.Helper()
	dir, err := classes()
	if err != nil {
		cannot(t, "cannot compile the test program: %v", err)
	}
	private := t.TempDir()
	if err := os.CopyFS(private, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return private
}

func TestDialHonoursItsContext(t *testing.T) {
	p := startHelper(t, "silent", targetOptions{})
	refused(t, p.pid, Options{Start: true, Timeout: 100 * time.Millisecond}, ErrTimeout, "no socket")
	p.unharmed(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := Dial(ctx, p.pid, Options{Start: true})
		result <- err
	}()
	waitFor(t, "the attach file", func() bool {
		_, err := os.Stat(filepath.Join(p.dir, fmt.Sprintf(".attach_pid%d", p.pid)))
		return err == nil
	})
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	p.unharmed(t)
}
