package exact

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	soak    = os.Getenv("VMALEAK_SOAK") == "1"
	require = os.Getenv("VMALEAK_REQUIRE") == "all"
)

// sized is short, or full in a soak.
func sized[T any](short, full T) T {
	if soak {
		return full
	}
	return short
}

// seed is the same for all runs of one test process, and new for each.
var seed = sync.OnceValue(func() uint64 {
	if s, err := strconv.ParseUint(os.Getenv("VMALEAK_TEST_SEED"), 0, 64); err == nil {
		return s
	}
	return uint64(time.Now().UnixNano())
})

// skip says aloud why a test cannot run here; where it must run, that fails.
func skip(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if require {
		tb.Fatalf("must not skip, but: "+format, args...)
	}
	tb.Skipf(format, args...)
}

// needTracer skips unless BPF programs can be loaded here.
func needTracer(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		skip(tb, "needs root to trace")
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		skip(tb, "needs the kernel's BTF: %v", err)
	}
	if _, err := exec.LookPath("gcc"); err != nil && os.Getenv("VMALEAK_STRESS") == "" {
		skip(tb, "needs gcc for the workload: %v", err)
	}
	// A call with no attributes is refused as invalid; without the right to use BPF, as forbidden.
	if _, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_CREATE, 0, 0); errno == unix.EPERM || errno == unix.ENOSYS {
		skip(tb, "needs BPF: %v", errno)
	}
}

var root = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			err = fmt.Errorf("no go.mod above the tests")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
})

// built is where this test process builds programs; main removes it.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "exact"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(built)
		return m.Run()
	}())
}

// buildStress builds the workload, unless VMALEAK_STRESS names one: in a virtual machine there is no compiler.
var buildStress = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("VMALEAK_STRESS"); bin != "" {
		return filepath.Abs(bin)
	}
	dir, err := root()
	if err != nil {
		return "", err
	}
	sources, err := filepath.Glob(filepath.Join(dir, "test/stress/*.c"))
	if err != nil {
		return "", err
	}
	out := filepath.Join(built, "stress")
	return out, run("gcc", append([]string{"-O2", "-g", "-Wall", "-Wextra", "-pthread", "-o", out}, sources...)...)
})

var buildTracer = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("VMALEAK_BIN"); bin != "" {
		return filepath.Abs(bin)
	}
	dir, err := root()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "bin/vmaleak")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	bin = filepath.Join(built, "vmaleak")
	return bin, run("go", "build", "-C", dir, "-o", bin, "./cmd/vmaleak")
})

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

func must[T any](tb testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// waitFor polls until ok says so, and fails the test when that takes too long.
func waitFor(tb testing.TB, limit time.Duration, what string, ok func() bool) {
	tb.Helper()
	if !poll(limit, ok) {
		tb.Fatalf("waited %v for %s", limit, what)
	}
}

// poll reports whether ok became true within the limit.
func poll(limit time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		if ok() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}
