package jvm

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAnswersAreBounded(t *testing.T) {
	tests := []struct {
		mode  string
		want  error
		words string
	}{
		{"flood", ErrTooLarge, "67108864"},
		{"mute", ErrTimeout, "try again"},
		{"garbage", ErrRefused, "HTTP/1.1"},
		{"hangup", ErrRefused, "own user"},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			p := startHelper(t, tt.mode, targetOptions{})
			timeout := 5 * time.Second
			if tt.mode == "mute" {
				timeout = 100 * time.Millisecond
			}
			refused(t, p.pid, Options{Start: true, Timeout: timeout}, tt.want, tt.words)
			p.unharmed(t)
		})
	}
}

func TestDialIsNotLedAstrayBySockets(t *testing.T) {
	java := mustJava(t, "java-17-openjdk-amd64")
	outside := filepath.Join(t.TempDir(), "socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: outside, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := startJVM(t, java, targetOptions{})
	path := fmt.Sprintf("/tmp/.java_pid%d", p.pid)
	tests := []struct {
		name  string
		place func() error
		words string
	}{
		{"a link to a socket", func() error { return os.Symlink(outside, path) }, "not a socket"},
		{"a link to nothing", func() error { return os.Symlink("/nowhere", path) }, "not a socket"},
		{"a file", func() error { return os.WriteFile(path, nil, 0o600) }, "not a socket"},
		{"a FIFO", func() error { return unix.Mkfifo(path, 0o600) }, "not a socket"},
		{"another name of the socket of another process", func() error { return os.Link(outside, path) }, fmt.Sprintf("process %d", os.Getpid())},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.place(); err != nil {
				t.Fatal(err)
			}
			refused(t, p.pid, Options{Start: true}, ErrForeignSocket, tt.words)
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
			p.unharmed(t)
		})
	}
	// Only the last one got as far as a connection, over which nothing was sent.
	if err := listener.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("received %d bytes, %v", n, err)
	}
	if err := listener.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := listener.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a second connection: %v", err)
	}
	mustDial(t, p.pid, Options{Start: true})
	p.unharmed(t)
}

func TestDialSendsNoSIGQUITThatPrintsADump(t *testing.T) {
	p := startJVM(t, mustJava(t, "temurin-25-jdk-amd64"), targetOptions{})
	attach := filepath.Join(p.dir, fmt.Sprintf(".attach_pid%d", p.pid))
	for _, place := range []func() error{
		func() error { return os.Symlink("/etc/hostname", attach) },
		func() error { return os.Mkdir(attach, 0o755) },
	} {
		if err := place(); err != nil {
			t.Fatal(err)
		}
		refused(t, p.pid, Options{Start: true}, os.ErrExist, "remove it")
		if err := os.Remove(attach); err != nil {
			t.Error(err)
		}
	}
	p.unharmed(t)
	// A listener that runs, whose socket was exchanged for a dead one.
	mustDial(t, p.pid, Options{Start: true})
	socket := fmt.Sprintf("/tmp/.java_pid%d", p.pid)
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	refused(t, p.pid, Options{Start: true}, ErrNoSocket, "remove that file")
	p.unharmed(t)
}

func TestTheJVMsTmpIsSoughtInItsOwnRoot(t *testing.T) {
	needRoot(t)
	for _, link := range []string{"/real", "../../../real", "../../../../../../../../real"} {
		root := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(root, "real"), 0o755), os.Symlink(link, filepath.Join(root, "tmp"))); err != nil {
			t.Fatal(err)
		}
		p := startHelper(t, "silent", targetOptions{env: []string{"VMALEAK_TEST_ROOT=" + root}})
		q, err := openProcess(p.pid)
		if err != nil {
			t.Fatal(err)
		}
		defer q.close()
		want := mustInode(t, filepath.Join(root, "real"))
		tmp, err := q.openTmp()
		if err != nil {
			t.Fatal(err)
		}
		if got := mustInode(t, fmt.Sprintf("/proc/self/fd/%d", tmp.Fd())); got != want {
			t.Errorf("inode %d, want %d", got, want)
		}
		tmp.Close()
	}
}

func mustInode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestCleanStaleRemovesOnlyDeadVmaleaksFiles(t *testing.T) {
	p := startHelper(t, "silent", targetOptions{})
	ns, err := pidNamespace()
	if err != nil {
		t.Fatal(err)
	}
	own, err := ownMarker()
	if err != nil {
		t.Fatal(err)
	}
	dead := fmt.Sprintf(markerFormat, p.pid, 1, ns)
	tests := []struct {
		name, text string
		mode       os.FileMode
		removed    bool
	}{
		{"of a vmaleak that is gone", fmt.Sprintf(markerFormat, 1<<22+1, 77, ns), 0o600, true},
		{"of a vmaleak whose number another process has", dead, 0o600, true},
		{"of a vmaleak that lives", own, 0o600, false},
		{"of a vmaleak in another pid namespace", fmt.Sprintf(markerFormat, 1<<22+1, 77, ns+1), 0o600, false},
		{"of jstack", "", 0o600, false},
		{"with another mode", dead, 0o644, false},
		{"with more text", dead + "x", 0o600, false},
		{"with other text", strings.Replace(dead, "vmaleak", "another", 1), 0o600, false},
	}
	for _, dir := range []string{p.dir, "/tmp"} {
		path := filepath.Join(dir, fmt.Sprintf(".attach_pid%d", p.pid))
		for _, tt := range tests {
			if err := errors.Join(os.WriteFile(path, []byte(tt.text), tt.mode), os.Chmod(path, tt.mode)); err != nil {
				t.Fatal(err)
			}
			if err := CleanStale(p.pid); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			_, err := os.Lstat(path)
			if removed := errors.Is(err, os.ErrNotExist); removed != tt.removed {
				t.Errorf("%s in %s: removed %v", tt.name, dir, removed)
			}
			os.Remove(path)
		}
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := CleanStale(p.pid); err != nil {
			t.Error(err)
		}
		if err := os.Remove(path); err != nil {
			t.Errorf("the FIFO: %v", err)
		}
	}
	// A dead vmaleak's file does not stand in the way of an attach, a living tool's is used and left alone.
	path := filepath.Join(p.dir, fmt.Sprintf(".attach_pid%d", p.pid))
	if err := os.WriteFile(path, []byte(dead), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, p.pid, Options{Start: true, Timeout: 50 * time.Millisecond}, ErrTimeout)
	p.unharmed(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, p.pid, Options{Start: true, Timeout: 50 * time.Millisecond}, ErrTimeout)
	if err := os.Remove(path); err != nil {
		t.Errorf("another tool's file: %v", err)
	}
}
