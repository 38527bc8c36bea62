package stacks

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

// needAll skips unless everything is here that the tests of one JDK need, whose home it returns.
func needAll(tb testing.TB, version string) (home string) {
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
	homes, err := jdks()
	if err != nil {
		skip(tb, "needs a JDK: %v", err)
	}
	if homes[version] == "" {
		skip(tb, "needs JDK %s: there are only %v", version, homes)
	}
	return homes[version]
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

// classes compiles the programs for JDK 17 and later.
var classes = sync.OnceValues(func() (string, error) {
	homes, err := jdks()
	if err != nil {
		return "", err
	}
	if homes["17"] == "" {
		return "", errors.New("compile the program: no JDK 17")
	}
	sources, err := filepath.Glob("../java/Stack*.java")
	if err != nil {
		return "", err
	}
	out := filepath.Join(built, "classes")
	args := append([]string{"-nowarn", "-d", out}, sources...)
	text, err := exec.Command(filepath.Join(homes["17"], "bin/javac"), args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("compile the program: %w\n%s", err, text)
	}
	return out, nil
})

// foreign compiles what only JDK 25 can, and returns where both are.
var foreign = sync.OnceValues(func() (string, error) {
	base, err := classes()
	if err != nil {
		return "", err
	}
	homes, err := jdks()
	if err != nil {
		return "", err
	}
	out := filepath.Join(built, "foreign")
	text, err := exec.Command(filepath.Join(homes["25"], "bin/javac"), "-nowarn", "-cp", base, "-d", out, "../java/foreign/StackForeign.java").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("compile the program for JDK 25: %w\n%s", err, text)
	}
	return base + ":" + out, nil
})

// built is where this test process builds programs; TestMain removes it.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "stacks"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(built)
		return m.Run()
	}())
}
