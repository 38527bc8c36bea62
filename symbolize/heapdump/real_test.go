package heapdump

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// cannot ends a test that cannot run here, aloud; where everything must run it fails it.
func cannot(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("VMALEAK_REQUIRE") == "all" {
		tb.Fatalf("must run, but: "+format, args...)
	}
	tb.Skipf("not run: "+format, args...)
}

// eachJDK runs a test on every JDK that must be there, the siblings of the one that `java` leads to.
func eachJDK(t *testing.T, test func(t *testing.T, home string)) {
	found, err := exec.LookPath("java")
	if err == nil {
		found, err = filepath.EvalSymlinks(found)
	}
	if err != nil {
		cannot(t, "no java in PATH: %v", err)
	}
	for _, name := range []string{"java-17-openjdk-amd64", "temurin-25-jdk-amd64"} {
		t.Run(name, func(t *testing.T) {
			home := filepath.Join(filepath.Dir(found), "../..", name)
			if _, err := os.Stat(filepath.Join(home, "bin/java")); err != nil {
				cannot(t, "no JDK %s: %v", name, err)
			}
			test(t, home)
		})
	}
}

// mustDump runs a program of testdata, and returns its dump and where it said that its memory is.
func mustDump(t *testing.T, home, name string, flags ...string) (dump string, where map[string][]Range) {
	t.Helper()
	dir := t.TempDir()
	run := func(args ...string) string {
		cmd := exec.Command(filepath.Join(home, "bin", args[0]), args[1:]...)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("javac", "-encoding", "UTF-8", "-J-XX:TieredStopAtLevel=1", "-d", dir, "testdata/"+name+".java")
	dump = filepath.Join(dir, "heap.hprof")
	args := append([]string{"java", "-Xmx64m", "-Xint", "--add-opens", "java.base/java.nio=ALL-UNNAMED"}, flags...)
	where = map[string][]Range{}
	for line := range strings.Lines(run(append(args, "-cp", dir, name, dump)...)) {
		var what string
		var at, length uint64
		if n, _ := fmt.Sscan(line, &what, &at, &length); n == 3 {
			where[what] = append(where[what], Range{at, at + length})
		}
	}
	return dump, where
}

func mustFind(t *testing.T, name string, opt Options) *Holders {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	h, err := Find(context.Background(), f, st.Size(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var lineNumber = regexp.MustCompile(`( in Owners\.[\w$]+):\d+`)

func (g Group) String() string {
	s := fmt.Sprintf("%s %d %s %d B", g.State, g.Count, g.Class, g.Bytes)
	if g.Owner != "" {
		s += " by " + g.Owner + ":"
	}
	for _, step := range g.Path {
		s += fmt.Sprintf(" %s.%s*%d", step.Class, step.Field, step.Times)
	}
	return s
}

func TestFindTellsWhoHoldsABuffer(t *testing.T) {
	tests := []struct {
		what string
		want string // the first group; the JDKs' classes between may differ
		has  []string
	}{
		{"map", "held 7 java.nio.DirectByteBuffer 70000 B by static Owners.SESSIONS:",
			[]string{"java.util.HashMap.table*1 [Ljava.util.HashMap$Node;.[]*1 java.util.HashMap$Node.value*1 java.nio.DirectByteBuffer.*1"}},
		{"list", "held 1 java.nio.DirectByteBuffer 20000 B by static Owners.QUEUE:", // from the list's last node backwards
			[]string{"java.util.LinkedList.last*1 java.util.LinkedList$Node.item*1"}},
		{"weak", "garbage 1 java.nio.DirectByteBuffer 30000 B", nil},
		{"local", "held 1 java.nio.DirectByteBuffer 40000 B by local variable in Owners.main of thread \"main\":", []string{"[Ljava.lang.Object;.[]*1"}},
		{"dropped", "garbage 1 java.nio.DirectByteBuffer 50000 B", nil},
		{"handle", "held 1 Owners$Handle 0 B by static Owners.handle:", nil},
		{"frame", "held 1 java.nio.DirectByteBuffer 70000 B by local variable in Owners.lambda$main$0 of thread \"hält-7\":", nil},
	}
	eachJDK(t, func(t *testing.T, home string) {
		for _, flags := range [][]string{{"-XX:+UseSerialGC"}, {"-XX:+UseZGC"}, {"-XX:-UseCompressedOops", "-XX:+UseParallelGC"}} {
			dump, where := mustDump(t, home, "Owners", flags...)
			for _, tt := range tests {
				h := mustFind(t, dump, Options{Ranges: where[tt.what]})
				var all []string
				for _, g := range h.Groups {
					all = append(all, g.String())
				}
				text := strings.Join(all, "\n")
				if len(all) == 0 || h.Odd != 0 || h.Unproven != "" || h.Bytes != total(where[tt.what]) {
					t.Fatalf("%s: %+v", tt.what, h)
				}
				if !strings.HasPrefix(lineNumber.ReplaceAllString(text, "$1"), tt.want) {
					t.Errorf("%s:\n%s\nwant %s", tt.what, text, tt.want)
				}
				for _, part := range tt.has {
					if !strings.Contains(text, part) {
						t.Errorf("%s:\n%s\nlacks %s", tt.what, text, part)
					}
				}
				if h.Pool != nil {
					t.Errorf("a pool: %+v", h.Pool)
				}
			}
		}
	})
}

func TestFindTellsWhatBecomesOfASegment(t *testing.T) {
	want := map[string]string{
		"kept":     "held 1 jdk.internal.foreign.NativeMemorySegmentImpl 10000 B by static Segments.kept:",
		"auto":     "garbage 1 jdk.internal.foreign.NativeMemorySegmentImpl 20000 B", // its arena has a cleaner
		"global":   "dropped 1 jdk.internal.foreign.NativeMemorySegmentImpl 30000 B",
		"unclosed": "dropped 1 jdk.internal.foreign.NativeMemorySegmentImpl 40000 B",
	}
	eachJDK(t, func(t *testing.T, home string) {
		if strings.Contains(home, "java-17") {
			return // segments came later
		}
		dump, where := mustDump(t, home, "Segments")
		for what, prefix := range want {
			h := mustFind(t, dump, Options{Ranges: where[what]})
			if len(h.Groups) == 0 || !strings.HasPrefix(h.Groups[0].String(), prefix) {
				t.Errorf("%s: %v, want %s", what, h.Groups, prefix)
			}
		}
	})
}
