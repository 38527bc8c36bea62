package tracer

import (
	"bufio"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"vmaleak/vma"
)

// built is where the tests' program is; TestMain removes it.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "tracer"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(built)
		return m.Run()
	}())
}

// buildMapper builds testdata/mapper.c, unless VMALEAK_MAPPER names it: in a virtual machine there is no compiler.
var buildMapper = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("VMALEAK_MAPPER"); bin != "" {
		return bin, nil
	}
	bin := filepath.Join(built, "mapper")
	return bin, exec.Command("gcc", "-O1", "-static", "-fno-omit-frame-pointer", "-Wall", "-Werror", "-o", bin, "testdata/mapper.c").Run()
})

// mapper is a followed process that waits to begin.
type mapper struct {
	*stackHandler
	tb    testing.TB
	tr    *Tracer
	pid   int
	stdin io.WriteCloser
	done  chan bool
}

// stackHandler keeps what it is told of.
type stackHandler struct {
	counter
	space  *Space
	events []vma.Event
	stacks map[uint32]*Stack
}

func (h *stackHandler) Apply(s *Space, ev *vma.Event, _ *vma.Delta) {
	h.space = s
	if ev.Op != 0 {
		h.events = append(h.events, *ev)
	}
}
func (h *stackHandler) Stack(_ *Space, ticket uint32, raw *Stack) { h.stacks[ticket] = raw }

// mustMapper starts and follows the program.
func mustMapper(tb testing.TB, o Options, args ...string) *mapper {
	tb.Helper()
	m := &mapper{stackHandler: &stackHandler{stacks: map[uint32]*Stack{}}, tb: tb, done: make(chan bool)}
	m.tr = mustTracer(tb, o, m)
	bin, err := buildMapper()
	if err != nil {
		if os.Getenv("VMALEAK_REQUIRE") == "all" {
			tb.Fatalf("build the program to trace: %v", err)
		}
		tb.Skipf("needs gcc and a static libc: %v", err)
	}
	cmd := exec.Command(bin, args...)
	if m.stdin, err = cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	m.pid = cmd.Process.Pid
	tb.Cleanup(func() {
		m.stdin.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("mapper %q: %v", args, err)
		}
	})
	lines := bufio.NewReader(stdout)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		tb.Fatalf("the program said %q: %v", line, err)
	}
	if err := m.tr.Follow(m.pid); err != nil {
		tb.Fatal(err)
	}
	go func() {
		line, _ := lines.ReadString('\n') // an end without "done" is what done tells
		m.done <- line == "done\n"
	}()
	return m
}

// run has the program do its work, and returns when all of it has been applied.
func (m *mapper) run() {
	m.tb.Helper()
	if _, err := m.stdin.Write([]byte("\n")); err != nil {
		m.tb.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if err := m.tr.Poll(time.Now().Add(200 * time.Millisecond)); err != nil {
			m.tb.Fatal(err)
		}
		select {
		case ok := <-m.done:
			if _, err := m.tr.Drain(); err != nil || !ok {
				m.tb.Fatalf("the program ended early: %v, %v", !ok, err)
			}
			return
		default:
			if time.Now().After(deadline) {
				m.tb.Fatal("the program takes more than a minute")
			}
		}
	}
}

// stackOf is the event of that operation and length that was seen, with its stack or nil.
func (m *mapper) stackOf(op vma.Op, length uint64) (vma.Event, *Stack) {
	m.tb.Helper()
	for i := len(m.events) - 1; i >= 0; i-- {
		if ev := m.events[i]; ev.Op == op && (ev.Len == length || op == vma.OpBrk && uint64(ev.Ret)-ev.Addr == length) {
			return ev, m.stacks[ev.Stack]
		}
	}
	m.tb.Fatalf("no %v of %d bytes was seen", op, length)
	return vma.Event{}, nil
}

// symbols are the functions of the program, by their first and last address.
func mustSymbols(tb testing.TB) func(pc uint64) string {
	tb.Helper()
	bin, err := buildMapper()
	if err != nil {
		tb.Fatal(err)
	}
	f, err := elf.Open(bin)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	all, err := f.Symbols()
	if err != nil {
		tb.Fatal(err)
	}
	return func(pc uint64) string {
		for _, s := range all {
			if elf.ST_TYPE(s.Info) == elf.STT_FUNC && pc >= s.Value && pc < s.Value+s.Size {
				return s.Name
			}
		}
		return ""
	}
}
