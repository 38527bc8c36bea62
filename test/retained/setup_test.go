package retained

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// skip says aloud why a test cannot run here; where it must run, that fails.
func skip(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("VMALEAK_REQUIRE") == "all" {
		tb.Fatalf("must not skip, but: "+format, args...)
	}
	tb.Skipf(format, args...)
}

// built is where this test process builds programs; TestMain removes it.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "retained"); err != nil {
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

// needProgram is the program that is tested: $VMALEAK_BIN, or built of this tree.
func needProgram(tb testing.TB) string {
	tb.Helper()
	if os.Geteuid() != 0 {
		skip(tb, "needs root to trace")
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		skip(tb, "needs the kernel's BTF: %v", err)
	}
	if bin := os.Getenv("VMALEAK_BIN"); bin != "" {
		bin, err := filepath.Abs(bin)
		if err != nil {
			tb.Fatal(err)
		}
		return bin
	}
	bin := filepath.Join(built, "vmaleak")
	if err := run("go", "build", "-C", "../..", "-o", bin, "./cmd/vmaleak"); err != nil {
		tb.Fatal(err)
	}
	return bin
}

// jdk is the home of a JDK of that version, "" if there is none.
func jdk(version string) string {
	releases, _ := filepath.Glob("/usr/lib/jvm/*/release")
	for _, path := range releases {
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), "JAVA_VERSION=\""+version+".") {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), "bin/javac")); err == nil {
				return filepath.Dir(path)
			}
		}
	}
	return ""
}

// classes compiles the spike, for JDK 17 and later.
var classes = sync.OnceValues(func() (string, error) {
	out := filepath.Join(built, "classes")
	return out, run(filepath.Join(jdk("17"), "bin/javac"), "-nowarn", "-d", out, "../java/RetainedSpike.java")
})

// startSpike starts a JVM and waits until its spike is over.
func startSpike(tb testing.TB, version, args string) int {
	tb.Helper()
	home := jdk(version)
	if home == "" || jdk("17") == "" {
		skip(tb, "needs JDK 17 and %s", version)
	}
	dir, err := classes()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(home, "bin/java"), append([]string{"-Xmx64m", "-cp", dir, "RetainedSpike"}, strings.Fields(args)...)...)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		tb.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		tb.Fatalf("the spike said %q: %v", line, err)
	}
	return cmd.Process.Pid
}
