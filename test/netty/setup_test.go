package netty

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// skip says aloud why a test cannot run here; where it must run, that fails.
func skip(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("VMALEAK_REQUIRE") == "all" {
		tb.Fatalf("must not skip, but: "+format, args...)
	}
	tb.Skipf(format, args...)
}

// needAll skips unless everything is here that the tests of one JDK need. It
// returns the java of that JDK and the class path of the server.
func needAll(tb testing.TB, version string) (java, classPath string) {
	tb.Helper()
	if os.Geteuid() != 0 {
		skip(tb, "needs root to trace")
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		skip(tb, "needs the kernel's BTF: %v", err)
	}
	// A call with no attributes is refused as invalid; without the right to use BPF, as forbidden.
	if _, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_CREATE, 0, 0); errno == unix.EPERM || errno == unix.ENOSYS {
		skip(tb, "needs BPF: %v", errno)
	}
	if _, err := exec.LookPath("strace"); err != nil {
		skip(tb, "needs strace: %v", err)
	}
	jars, err := filepath.Glob("/usr/share/java/netty-*.jar")
	if err != nil || len(jars) == 0 {
		skip(tb, "needs Netty: install libnetty-java")
	}
	homes, err := jdks()
	if err != nil {
		skip(tb, "needs a JDK: %v", err)
	}
	home := homes[version]
	if home == "" {
		skip(tb, "needs JDK %s: there are only %v", version, homes)
	}
	out, err := classes()
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(home, "bin/java"), strings.Join(append([]string{out}, jars...), ":")
}

// jdks is the homes of the JDKs beside the one that `java` is of, by version: "17".
var jdks = sync.OnceValues(func() (map[string]string, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, err
	}
	if java, err = filepath.EvalSymlinks(java); err != nil {
		return nil, err
	}
	releases, err := filepath.Glob(filepath.Join(filepath.Dir(java), "../../*/release"))
	if err != nil {
		return nil, err
	}
	slices.Sort(releases)
	homes := map[string]string{}
	for _, path := range releases {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // not a JDK that can be used
		}
		_, version, _ := strings.Cut("\n"+string(text), "\nJAVA_VERSION=\"")
		version, _, _ = strings.Cut(version, ".")
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "bin/javac")); err == nil && homes[version] == "" {
			homes[version] = filepath.Dir(path)
		}
	}
	return homes, nil
})

// classes compiles the server and its load, for JDK 17 and later.
var classes = sync.OnceValues(func() (string, error) {
	dir, err := root()
	if err != nil {
		return "", err
	}
	homes, err := jdks()
	if err != nil {
		return "", err
	}
	home := homes["17"]
	if home == "" {
		return "", errors.New("compile the server: no JDK 17")
	}
	jars, err := filepath.Glob("/usr/share/java/netty-*.jar")
	if err != nil {
		return "", err
	}
	out := filepath.Join(built, "classes")
	return out, run(filepath.Join(home, "bin/javac"), "-d", out, "-cp", strings.Join(jars, ":"),
		filepath.Join(dir, "test/java/NettyLeak.java"), filepath.Join(dir, "test/java/NettyLoad.java"),
		filepath.Join(dir, "test/java/NettyHolders.java"))
})

var program = sync.OnceValues(func() (string, error) {
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

func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "../..")
	_, err = os.Stat(filepath.Join(dir, "go.mod"))
	return dir, err
}

// built is where this test process builds programs; TestMain removes it.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "netty"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(built)
		return m.Run()
	}())
}

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
