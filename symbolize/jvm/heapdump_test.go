package jvm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// noDump fails the test if a dump, or the directory of one, is left.
func noDump(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if left, _ := filepath.Glob(filepath.Join(dir, ".vmaleak-heap-*")); left != nil {
			t.Errorf("left behind: %q", left)
		}
	}
}

func TestHeapDumpLeavesNothingBehind(t *testing.T) {
	eachJDK(t, func(t *testing.T, java string) {
		tests := map[string]targetOptions{"own user": {}}
		if os.Geteuid() == 0 {
			tests["other user"] = targetOptions{cred: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		for name, o := range tests {
			t.Run(name, func(t *testing.T) {
				p := startJVM(t, java, o)
				c := mustDial(t, p.pid, Options{Start: true})
				f, err := c.HeapDump(t.Context(), HeapDumpOptions{Bytes: 64 << 20})
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				noDump(t, os.TempDir(), p.dir)
				st, err := f.Stat()
				if err != nil {
					t.Fatal(err)
				}
				if sys := st.Sys().(*syscall.Stat_t); st.Mode().Perm() != 0o600 || sys.Nlink != 0 || sys.Uid != uint32(c.mustEUID(t)) {
					t.Errorf("mode %v, links %d, user %d", st.Mode(), sys.Nlink, sys.Uid)
				}
				head := make([]byte, 18)
				if _, err := io.ReadFull(f, head); err != nil || string(head) != "JAVA PROFILE 1.0.2" {
					t.Errorf("it begins with %q, %v", head, err)
				}
				p.unharmed(t)
			})
		}
	})
}

func (c *Client) mustEUID(t *testing.T) int {
	t.Helper()
	s, err := c.p.status()
	if err != nil {
		t.Fatal(err)
	}
	return s.euid
}

func TestHeapDumpIsRefusedWhereThereIsNoRoom(t *testing.T) {
	p := startJVM(t, mustJava(t, "java-17-openjdk-amd64"), targetOptions{})
	c := mustDial(t, p.pid, Options{Start: true})
	var st unix.Statfs_t
	tests := []struct {
		opt   HeapDumpOptions
		words string
	}{
		{HeapDumpOptions{Bytes: 1 << 50}, "MiB free, for a dump of up to"},
		{HeapDumpOptions{Dir: "/no/such"}, "no such file"},
		{HeapDumpOptions{Dir: "/proc"}, "MiB free"},
	}
	if err := unix.Statfs("/dev/shm", &st); err == nil && st.Type == unix.TMPFS_MAGIC {
		tests = append(tests, struct {
			opt   HeapDumpOptions
			words string
		}{HeapDumpOptions{Dir: "/dev/shm"}, "in memory"})
	}
	for _, tt := range tests {
		f, err := c.HeapDump(t.Context(), tt.opt)
		if err == nil {
			f.Close()
		}
		if !errors.Is(err, ErrNoRoom) || !strings.Contains(err.Error(), tt.words) || !strings.Contains(err.Error(), "--dir") {
			t.Errorf("%+v: %v", tt.opt, err)
		}
	}
	noDump(t, os.TempDir(), p.dir)
	p.unharmed(t)
}

func TestHeapDumpThatIsGivenUpLeavesNothingBehind(t *testing.T) {
	p := startHelper(t, "mute", targetOptions{}) // takes the command and never answers
	e, err := openProcess(p.pid)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{p: e, opt: Options{Timeout: 20e9}, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	t.Cleanup(func() { c.Close() })
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := c.HeapDump(ctx, HeapDumpOptions{Dir: dir})
		result <- err
	}()
	var made []string
	waitFor(t, "the directory of the dump", func() bool {
		made, _ = filepath.Glob(filepath.Join(dir, ".vmaleak-heap-*"))
		return made != nil
	})
	// As a JVM of 25 leaves its parts when it fails.
	for _, name := range []string{"heap.hprof", "heap.hprof.p0"} {
		if err := os.WriteFile(filepath.Join(made[0], name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	noDump(t, dir)
}

func TestHeapDumpRemovesWhatAKilledOneLeft(t *testing.T) {
	p := startJVM(t, mustJava(t, "temurin-25-jdk-amd64"), targetOptions{})
	c := mustDial(t, p.pid, Options{Start: true})
	dir := t.TempDir()
	marker, err := ownMarker()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := pidNamespace()
	if err != nil {
		t.Fatal(err)
	}
	ours := heapDirName(marker) + "OURS"
	stale := fmt.Sprintf("%s%d-%d-%d-STALE", heapDirPrefix, os.Getpid(), 1, ns) // the same number, another start
	other := heapDirPrefix + "OTHER"
	for _, name := range []string{ours, stale, other} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, heapFile), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := c.HeapDump(t.Context(), HeapDumpOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	slices.Sort(left)
	want := []string{ours, other}
	slices.Sort(want)
	if !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
	p.unharmed(t)
}
