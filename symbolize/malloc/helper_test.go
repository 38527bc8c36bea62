package malloc

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// skipAloud leaves a test out and says why; where every test must run, it fails.
func skipAloud(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("VMALEAK_REQUIRE") != "" {
		tb.Fatalf("this test must run here: %s", why)
	}
	fmt.Fprintf(os.Stderr, "SKIP %s: %s\n", tb.Name(), why)
	tb.Skip(why)
}

// program is testdata/arenas.c at work: it stands still but for trims.
type program struct {
	tb  testing.TB
	pid int
	in  io.WriteCloser
	out *bufio.Reader
}

// build compiles testdata/arenas.c.
func build(tb testing.TB, flags ...string) string {
	tb.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		skipAloud(tb, "needs a C compiler")
	}
	prog := filepath.Join(tb.TempDir(), "arenas")
	args := append([]string{"-O1", "-pthread", "-o", prog, "testdata/arenas.c"}, flags...)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		tb.Fatalf("%s %v: %v\n%s", cc, args, err, out)
	}
	return prog
}

// start runs it until it has freed its blocks, and returns what malloc says of each arena.
func start(tb testing.TB, prog, args string) (*program, []held) {
	tb.Helper()
	if os.Geteuid() != 0 {
		skipAloud(tb, "needs root to read another process's memory")
	}
	cmd := exec.Command(prog, strings.Fields(args)...)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		tb.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p := &program{tb, cmd.Process.Pid, in, bufio.NewReader(out)}
	return p, p.said()
}

// trim has it call malloc_trim.
func (p *program) trim() []held {
	p.tb.Helper()
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		p.tb.Fatal(err)
	}
	return p.said()
}

// held is what malloc_info(3) says of an arena.
type held struct{ free, fast, system uint64 }

var (
	heapText = regexp.MustCompile(`(?s)<heap nr.*?</heap>`)
	total    = regexp.MustCompile(`type="(fast|rest|current)"(?: count="(\d+)")? size="(\d+)"`)
)

// said reads one answer of malloc_info. The sizes of blocks in bins have a flag in them, 1 for each; the top counts as a block.
func (p *program) said() []held {
	p.tb.Helper()
	var text strings.Builder
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			p.tb.Fatal(err)
		}
		if line == "end\n" {
			break
		}
		text.WriteString(line)
	}
	var all []held
	for _, heap := range heapText.FindAllString(text.String(), -1) {
		var h held
		for _, m := range total.FindAllStringSubmatch(heap, -1) {
			count, _ := strconv.ParseUint(m[2], 10, 64)
			size, _ := strconv.ParseUint(m[3], 10, 64)
			switch m[1] {
			case "fast":
				h.fast = size
			case "rest":
				h.free = size - (count - 1)
			case "current":
				h.system = size
			}
		}
		h.free += h.fast
		all = append(all, h)
	}
	return all
}

// anon is how many bytes of anonymous memory of a process are in memory, counted page by page.
func anon(tb testing.TB, pid int) uint64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Anonymous:"); ok {
			n, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return n << 10
		}
	}
	tb.Fatal("smaps_rollup has no Anonymous")
	return 0
}
