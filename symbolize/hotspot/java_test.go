package hotspot

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// jdks are the home directories of this machine's JDKs by their major version.
func jdks(tb testing.TB) map[string]string {
	tb.Helper()
	homes := map[string]string{}
	places, _ := filepath.Glob("/usr/lib/jvm/*/release")
	for _, place := range places {
		text, err := os.ReadFile(place)
		if err != nil {
			continue
		}
		_, version, _ := strings.Cut(string(text), `JAVA_VERSION="`)
		version = strings.TrimPrefix(version, "1.")
		major, _, _ := strings.Cut(version, ".")
		home, err := filepath.EvalSymlinks(filepath.Dir(place))
		if err == nil && major != "" {
			homes[major] = home
		}
	}
	if len(homes) == 0 {
		skip(tb, "needs a JDK below /usr/lib/jvm")
	}
	return homes
}

// skip leaves a test out and says why; where every test must run it fails.
func skip(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("VMALEAK_REQUIRE") == "all" {
		tb.Fatal("must run here: " + why)
	}
	tb.Skip(why)
}

// mustCompile compiles a program of testdata with the JDK at home, for the releases from the one given on.
func mustCompile(tb testing.TB, home, release, source string) (classes string) {
	tb.Helper()
	classes = tb.TempDir()
	cmd := exec.Command(filepath.Join(home, "bin/javac"), "--release", release, "-Xlint:-options", "-encoding", "UTF-8",
		"-J-XX:TieredStopAtLevel=1", "-d", classes, source)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %v: %s", cmd.Args, err, out)
	}
	return classes
}

// program is a running JVM with a conversation over its stdin and stdout.
type program struct {
	tb  testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func mustRun(tb testing.TB, home string, args ...string) *program {
	tb.Helper()
	cmd := exec.Command(filepath.Join(home, "bin/java"), args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &program{tb, cmd, in, bufio.NewReader(out)}
}

func (p *program) pid() int { return p.cmd.Process.Pid }

func (p *program) line() string {
	p.tb.Helper()
	s, err := p.out.ReadString('\n')
	if err != nil {
		p.tb.Fatalf("%v says no more: %q %v", p.cmd.Args, s, err)
	}
	return strings.TrimSuffix(s, "\n")
}

func (p *program) tell(line string) {
	p.tb.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.tb.Fatalf("tell %v %q: %v", p.cmd.Args, line, err)
	}
}

// named reads how so many threads are called, by TID.
func (p *program) named(count int) map[int]string {
	p.tb.Helper()
	names := map[int]string{}
	for len(names) < count {
		line := p.line()
		var tid int
		if n, _ := fmt.Sscanf(line, "T %d", &tid); n != 1 {
			continue // the JVM's own warnings
		}
		name, err := base64.StdEncoding.DecodeString(line[strings.LastIndexByte(line, ' ')+1:])
		if err != nil {
			p.tb.Fatalf("the program says %q: %v", line, err)
		}
		names[tid] = string(name)
	}
	return names
}
