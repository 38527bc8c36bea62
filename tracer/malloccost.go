package tracer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"vmaleak/bpf"
)

// MallocCost is what a call of malloc or free takes longer where it is followed: one of less
// than Options.Malloc, which stops at a probe all the same, and one of a block that is followed, with its stack.
type MallocCost struct{ Small, Followed time.Duration }

// How often the stand-ins are called: the stacks of all rounds are below the rate.
const (
	costRounds     = 3
	costOfSmall    = 3000
	costOfFollowed = 150
	costPatience   = 5 * time.Second
)

// StandIn is the child of MeasureMalloc: it tells where its stand-ins for malloc and free are, then for each
// line "N SIZE" how many nanoseconds N calls of both took. Its return addresses are
// replaced while it runs, which Go's own walks of stacks would not understand: none happens.
func StandIn(in io.Reader, out io.Writer) error {
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	malloc, free := standIns()
	if _, err := fmt.Fprintln(out, malloc, free); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var n, size uint64
		if _, err := fmt.Sscan(lines.Text(), &n, &size); err != nil || n == 0 {
			return fmt.Errorf("the line %q is for vmaleak itself", lines.Text())
		}
		began := time.Now()
		callStandIns(n, size)
		if _, err := fmt.Fprintln(out, time.Since(began).Nanoseconds()); err != nil {
			return err
		}
	}
	return nil
}

// standIn is a running StandIn.
type standIn struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// pair is what one call of malloc or free takes, the shortest of some rounds.
func (c *standIn) pair(n int, size uint64) (time.Duration, error) {
	best := time.Duration(1<<63 - 1)
	for range costRounds {
		if _, err := fmt.Fprintln(c.in, n, size); err != nil {
			return 0, err
		}
		var ns int64
		if _, err := fmt.Fscan(c.out, &ns); err != nil {
			return 0, err
		}
		best = min(best, time.Duration(ns)/time.Duration(2*n))
	}
	return best, nil
}

// MeasureMalloc measures on a child of ours, started with the given command line and calling StandIn, what
// following costs. It takes a few ten milliseconds.
func (t *Tracer) MeasureMalloc(args []string) (MallocCost, error) {
	cost, err := t.measureMalloc(args)
	if err != nil {
		return MallocCost{}, fmt.Errorf("measure what following malloc costs: %w", err)
	}
	return cost, nil
}

func (t *Tracer) measureMalloc(args []string) (cost MallocCost, err error) {
	c := standIn{cmd: exec.Command(args[0], args[1:]...)}
	c.cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return cost, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return cost, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return cost, err
	}
	patience := time.AfterFunc(costPatience, func() { _ = c.cmd.Process.Kill() }) // its answers end, and so does this
	defer patience.Stop()
	pid := c.cmd.Process.Pid
	h, blocks := t.h, t.opt.Blocks
	t.h, t.opt.Blocks = &prober{}, &prober{}
	defer func() {
		err = errors.Join(err, c.in.Close())
		_ = c.cmd.Wait() // it may have been killed
		for end := time.Now().Add(2 * time.Second); t.known(pid) && time.Now().Before(end); {
			err = errors.Join(err, t.Poll(time.Now().Add(5*time.Millisecond)))
		}
		t.unfollow(pid)
		t.h, t.opt.Blocks = h, blocks
	}()
	var malloc, free uint64
	if _, err := fmt.Fscan(c.out, &malloc, &free); err != nil {
		return cost, fmt.Errorf("our own program did not come up: %w", err)
	}
	if err := t.Follow(pid); err != nil {
		return cost, err
	}
	if err := t.loadMalloc(); err != nil {
		return cost, err
	}
	self, err := os.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return cost, err
	}
	defer self.Close()
	f := mallocFile{f: self, functions: []function{{"free", free, bpf.CallFree}, {"malloc", malloc, bpf.CallMalloc}}}
	for i := range f.functions {
		if f.functions[i].offset, err = codeOffset(pid, f.functions[i].offset); err != nil {
			return cost, err
		}
		if runtime.GOARCH == "amd64" {
			f.functions[i].offset = entry(self, f.functions[i].offset)
		}
	}
	p := &mallocProbes{}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := t.probeFile(pid, p, &f); err != nil {
		return cost, err
	}
	if cost.Small, err = c.pair(costOfSmall, 0); err != nil {
		return cost, err
	}
	cost.Followed, err = c.pair(costOfFollowed, t.opt.Malloc)
	return cost, err
}

// known reports whether a space of the process is followed.
func (t *Tracer) known(pid int) bool {
	for _, s := range t.bySlot {
		if s.PID() == pid {
			return true
		}
	}
	return false
}

// codeOffset is where in its file the code at an address of a process is.
func codeOffset(pid int, addr uint64) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var start, end, offset uint64
		var prot string
		if _, err := fmt.Sscanf(line, "%x-%x %s %x", &start, &end, &prot, &offset); err == nil && start <= addr && addr < end {
			return addr - start + offset, nil
		}
	}
	return 0, fmt.Errorf("no code at %#x", addr)
}
