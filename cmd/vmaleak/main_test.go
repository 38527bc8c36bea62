package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// mainEnv makes the test binary the program itself, so that tests run the real
// command, its children and its signals.
const mainEnv = "VMALEAK_MAIN"

// partEnv makes the test binary a target: see play.
const partEnv = "VMALEAK_PART"

func TestMain(m *testing.M) {
	if part := os.Getenv(partEnv); part != "" {
		if err := play(part); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(mainEnv) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	code := m.Run()
	if sharedDir != "" {
		os.RemoveAll(sharedDir)
	}
	os.Exit(code)
}

// sharedDir is what TestMain removes: the directory that shared made, if it was called.
var sharedDir string

// shared is a directory that every user can read, with the program in it.
var shared = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "vmaleak-cmd-")
	if err != nil {
		return "", err
	}
	sharedDir = dir
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return dir, copyFile(filepath.Join(dir, "vmaleak"), self)
})

func mustShared(tb testing.TB) string {
	tb.Helper()
	dir, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// classes compiles the program of symbolize's tests, once.
var classes = sync.OnceValues(func() (string, error) {
	dir, err := shared()
	if err != nil {
		return "", err
	}
	for _, home := range jdkHomes() {
		javac := filepath.Join(home, "bin/javac")
		if _, err := os.Stat(javac); err != nil {
			continue
		}
		out, err := exec.Command(javac, "--release", "8", "-Xlint:-options", "-encoding", "UTF-8", "-J-XX:TieredStopAtLevel=1",
			"-d", dir, "../../symbolize/testdata/Named.java").CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("javac: %w: %s", err, out)
		}
		return dir, nil
	}
	return "", fmt.Errorf("no JDK with a compiler")
})

// jdkHomes are this machine's JDKs, each once, by name.
func jdkHomes() map[string]string {
	found := map[string]string{}
	places, _ := filepath.Glob("/usr/lib/jvm/*/bin/java")
	if path, err := exec.LookPath("java"); err == nil {
		places = append(places, path)
	}
	for _, place := range places {
		if real, err := filepath.EvalSymlinks(place); err == nil {
			home := filepath.Dir(filepath.Dir(real))
			found[filepath.Base(home)] = home
		}
	}
	return found
}

// mustJDK is a JDK of this major version.
func mustJDK(tb testing.TB, major string) string {
	tb.Helper()
	for name, home := range jdkHomes() {
		if strings.Contains(name, "-"+major+"-") {
			return home
		}
	}
	cannot(tb, "needs a JDK %s below /usr/lib/jvm", major)
	return ""
}

func mustClasses(tb testing.TB) string {
	tb.Helper()
	dir, err := classes()
	if err != nil {
		cannot(tb, "needs compiled Java: %v", err)
	}
	return dir
}

// cannot leaves a test out aloud; where every test must run it fails.
func cannot(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("VMALEAK_REQUIRE") == "all" {
		tb.Fatalf("must run, but: "+format, args...)
	}
	tb.Skipf("not run: "+format, args...)
}

// waitFor polls until a condition holds.
func waitFor(ctx context.Context, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for: %s", what)
		case <-tick.C:
		}
	}
	return nil
}

func mustWaitFor(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	if err := waitFor(tb.Context(), what, holds); err != nil {
		tb.Fatal(err)
	}
}
