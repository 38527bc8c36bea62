package workloads

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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

// needTrace skips where nothing can be traced.
func needTrace(tb testing.TB) {
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
	if _, err := exec.LookPath("gcc"); err != nil {
		skip(tb, "needs gcc: %v", err)
	}
}

// needJDK is the home of a JDK.
func needJDK(tb testing.TB, version string) string {
	tb.Helper()
	homes, err := jdks()
	if err != nil {
		skip(tb, "needs a JDK: %v", err)
	}
	if homes[version] == "" {
		skip(tb, "needs JDK %s: there are only %v", version, homes)
	}
	if len(nettyJars()) == 0 {
		skip(tb, "needs Netty: install libnetty-java")
	}
	return homes[version]
}

func nettyJars() []string {
	jars, _ := filepath.Glob("/usr/share/java/netty-*.jar") // the pattern is right
	return jars
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

// classes compiles the Java programs by the JDK that will run them.
var classes = map[string]func() (string, error){
	"17": sync.OnceValues(func() (string, error) { return compile("17") }),
	"25": sync.OnceValues(func() (string, error) { return compile("25") }),
}

func compile(version string) (string, error) {
	homes, err := jdks()
	if err != nil {
		return "", err
	}
	dir, err := root()
	if err != nil {
		return "", err
	}
	sources, err := filepath.Glob(filepath.Join(dir, "test/workloads/java/*.java"))
	if err != nil {
		return "", err
	}
	if n, err := strconv.Atoi(version); err != nil || n < 22 {
		sources = slices.DeleteFunc(sources, func(s string) bool { return filepath.Base(s) == "FfmKind.java" })
	}
	out := filepath.Join(built, "classes"+version)
	args := append([]string{"-nowarn", "-d", out, "-cp", strings.Join(nettyJars(), ":"),
		filepath.Join(dir, "test/java/NettyLeak.java"), filepath.Join(dir, "test/java/NettyLoad.java")}, sources...)
	return out, run(filepath.Join(homes[version], "bin/javac"), args...)
}

// library is the folder of the library of NativeKind.java, built with any JDK's headers.
var library = sync.OnceValues(func() (string, error) {
	homes, err := jdks()
	if err != nil {
		return "", err
	}
	for _, home := range homes {
		include := filepath.Join(home, "include")
		if _, err := os.Stat(filepath.Join(include, "jni.h")); err == nil {
			return built, gcc("leaknative.c", "libleaknative.so", "-fPIC", "-shared", "-I"+include, "-I"+include+"/linux")
		}
	}
	return "", fmt.Errorf("build the JNI library: no jni.h in any of %v", homes)
})

var leaker = sync.OnceValues(func() (string, error) {
	return filepath.Join(built, "leaker"), gcc("leaker.c", "leaker")
})

var goleak = sync.OnceValues(func() (string, error) {
	dir, err := root()
	if err != nil {
		return "", err
	}
	out := filepath.Join(built, "goleak")
	return out, run("go", "build", "-C", dir, "-o", out, "./test/workloads/goleak")
})

func gcc(source, out string, options ...string) error {
	dir, err := root()
	if err != nil {
		return err
	}
	return run("gcc", append([]string{"-O2", "-Wall", "-pthread", "-o", filepath.Join(built, out),
		filepath.Join(dir, "test/workloads/native", source)}, options...)...)
}

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
	// Workloads wait most of the time: some run at once, also on few processors.
	if err := flag.Set("test.parallel", "5"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "workloads"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(built)
		code := m.Run()
		if err := writeVerdicts(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
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

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}
