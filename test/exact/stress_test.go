package exact

import (
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stress is a running test/stress.
type stress struct {
	*child
	pid    int
	stdin  io.WriteCloser
	lines  <-chan string
	owners map[int]int // class by TID, of the last quiet point
}

// quiet is one of its quiet points: nobody in it is inside a mapping call.
type quiet struct {
	round int
	calls int64
	pids  []int
	// mayLack holds those that were forked before the trace began: it need not know of them.
	mayLack map[int]bool
}

// startStress returns when its threads exist; they wait for a line if told so.
func startStress(tb testing.TB, args ...string) *stress {
	tb.Helper()
	args = append(args, "--seed", strconv.FormatUint(seed(), 10))
	tb.Logf("stress %s", strings.Join(args, " "))
	cmd := exec.Command(must[string](tb)(buildStress()), args...)
	s := &stress{stdin: must[io.WriteCloser](tb)(cmd.StdinPipe())}
	s.lines = readLines(must[io.ReadCloser](tb)(cmd.StdoutPipe()))
	s.child = startChild(tb, cmd)
	s.awaitReady(tb)
	return s
}

func (s *stress) awaitReady(tb testing.TB) {
	tb.Helper()
	line := s.line(tb)
	if _, err := fmt.Sscanf(line, "ready pid %d", &s.pid); err != nil {
		tb.Fatalf("stress said %q: %v", line, err)
	}
}

// line is the next line of stdout, "" at its end.
func (s *stress) line(tb testing.TB) string {
	tb.Helper()
	select {
	case line := <-s.lines:
		return line
	case <-time.After(sized[time.Duration](2, 10) * patience):
		tb.Fatalf("stress says nothing\n%s", s.stderr())
		return ""
	}
}

// goOn ends a quiet point, or begins a run that waits.
func (s *stress) goOn(tb testing.TB) {
	tb.Helper()
	if _, err := io.WriteString(s.stdin, "\n"); err != nil {
		tb.Fatalf("stress is gone: %v\n%s", err, s.stderr())
	}
}

// next is the next quiet point; false when the run is done.
func (s *stress) next(tb testing.TB) (q quiet, ok bool) {
	tb.Helper()
	s.owners = map[int]int{}
	for {
		line := s.line(tb)
		var tid, class int
		switch {
		case strings.HasPrefix(line, "owner "):
			if _, err := fmt.Sscanf(line, "owner %d %d", &tid, &class); err != nil {
				tb.Fatalf("stress said %q: %v", line, err)
			}
			s.owners[tid] = class
		case strings.HasPrefix(line, "quiet "):
			return parseQuiet(tb, line), true
		case strings.HasPrefix(line, "done calls "):
			return quiet{}, false
		default:
			tb.Fatalf("stress said %q\n%s", line, s.stderr())
		}
	}
}

func parseQuiet(tb testing.TB, line string) (q quiet) {
	tb.Helper()
	f := strings.Fields(line)
	if len(f) < 6 || f[0] != "quiet" || f[2] != "calls" || f[4] != "pid" {
		tb.Fatalf("not a quiet point: %q", line)
	}
	q.round = must[int](tb)(strconv.Atoi(f[1]))
	q.calls = must[int64](tb)(strconv.ParseInt(f[3], 10, 64))
	for _, pid := range f[5:] {
		q.pids = append(q.pids, must[int](tb)(strconv.Atoi(pid)))
	}
	return q
}

func TestQuietPointIsParsed(t *testing.T) {
	q := parseQuiet(t, "quiet 3 calls 120000 pid 77 78 80")
	if q.round != 3 || q.calls != 120000 || !slices.Equal(q.pids, []int{77, 78, 80}) {
		t.Errorf("got %+v", q)
	}
}

// The workload itself: one thread, against one byte for each page.
func TestStressAgainstItsModel(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		skip(t, "needs gcc for the workload: %v", err)
	}
	bin := must[string](t)(buildStress())
	for _, mode := range []string{"owned", "racy", "owned,racy"} {
		out, err := exec.Command(bin, "--self-check", "--mode", mode, "--calls", sized("30000", "1000000"), "--quiet", "100",
			"--seed", strconv.FormatUint(seed(), 10)).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", mode, err, out)
		}
	}
}
