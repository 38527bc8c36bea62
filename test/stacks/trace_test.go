package stacks

import (
	"io"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"vmaleak/symbolize/unwind"
	"vmaleak/tracer"
	"vmaleak/vma"
)

// The length of block N, as the program allocates it and malloc rounds it: 33 MiB and N+1 pages.
const (
	blockBase = 33 << 20
	blockPage = 4096
)

// traced is the stack of one block.
type traced struct {
	stack   *unwind.Stack
	bytes   int  // that were copied
	limited bool // there was more
}

// recorder resolves the stacks of one program's blocks, as a trace does.
type recorder struct {
	resolver *unwind.Resolver
	stacks   map[uint32]traced // by ticket
	blocks   map[int]traced    // by number
	first    int64             // when the first block was allocated, and the last
	last     int64
}

func (r *recorder) Open(*tracer.Space)                   {}
func (r *recorder) End(*tracer.Space, time.Time, string) {}

func (r *recorder) Stack(_ *tracer.Space, ticket uint32, raw *tracer.Stack) {
	u := unwind.Raw{PID: raw.PID, TID: raw.TID, PC: raw.PC, SP: raw.SP, Regs: raw.Regs, Mem: raw.Mem, Absent: raw.Absent, Limited: raw.Limited}
	for _, ret := range raw.Returns {
		u.Returns = append(u.Returns, unwind.Return(ret))
	}
	bytes := len(raw.Mem)
	r.stacks[ticket] = traced{r.resolver.Resolve(&u), bytes, raw.Limited}
}

func (r *recorder) Apply(_ *tracer.Space, e *vma.Event, _ *vma.Delta) {
	n := number(e)
	if n < 0 {
		return
	}
	if r.last = e.Time; r.first == 0 {
		r.first = e.Time
	}
	if e.Stack == 0 {
		return
	}
	r.blocks[n] = traced{bytes: int(e.Stack)} // replaced by settle
}

// settle joins blocks with their stacks, which may come later.
func (r *recorder) settle() {
	for n, b := range r.blocks {
		r.blocks[n] = r.stacks[uint32(b.bytes)]
	}
}

// number is that of the block that the call allocates, -1 if it does not.
func number(e *vma.Event) int {
	if e.Op != vma.OpMmap || e.Failed() || e.Len <= blockBase || e.Len%blockPage != 0 || e.Len > blockBase*16 {
		return -1
	}
	return int(e.Len-blockBase)/blockPage - 1
}

// mustRun runs the program under a JDK, traced, and returns both accounts of its blocks.
func mustRun(tb testing.TB, home string, flags, options []string) (*truth, *recorder) {
	tb.Helper()
	compile := classes
	if homes, err := jdks(); err == nil && homes["25"] == home {
		compile = foreign
		flags = append([]string{"--enable-native-access=ALL-UNNAMED"}, flags...)
	}
	dir, err := compile()
	if err != nil {
		tb.Fatal(err)
	}
	rec := &recorder{resolver: unwind.NewResolver(unwind.Options{}), stacks: map[uint32]traced{}, blocks: map[int]traced{}}
	vmopt, err := tracer.ModelOptions()
	if err != nil {
		tb.Fatal(err)
	}
	tr, err := tracer.Open(tracer.Options{Stacks: true, Audit: -1}, vmopt, rec)
	if err != nil {
		tb.Fatal(err)
	}
	defer tr.Close()
	if why := tr.Backend.NoStacks; why != "" {
		skip(tb, "needs copies of stacks: %s", why)
	}
	args := append([]string{"-Xmx256m"}, flags...)
	args = append(append(args, "-cp", dir, "StackStress"), options...)
	cmd := exec.Command(filepath.Join(home, "bin/java"), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
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
	defer func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	}()
	ready, done := make(chan struct{}), make(chan error, 1)
	var told *truth
	go func() {
		var err error
		told, err = readTruth(out, ready)
		done <- err
	}()
	select {
	case <-ready:
	case err := <-done:
		tb.Fatalf("java %v ended early: %v", args, err)
	}
	if err := tr.Follow(cmd.Process.Pid); err != nil {
		tb.Fatal(err)
	}
	rec.resolver.Prepare(cmd.Process.Pid)
	if _, err := io.WriteString(in, "\n"); err != nil {
		tb.Fatal(err)
	}
	for {
		if err := tr.Poll(time.Now().Add(10 * time.Millisecond)); err != nil {
			tb.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil || !told.ended {
				tb.Fatalf("java %v: %v", args, err)
			}
			if _, err := tr.Drain(); err != nil {
				tb.Fatal(err)
			}
			rec.settle()
			return told, rec
		default:
		}
	}
}
