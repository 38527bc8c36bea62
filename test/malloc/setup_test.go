package malloc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmaleak/leak"
	"vmaleak/tracer"
	"vmaleak/vma"
)

// skip says aloud why a test cannot run here; where it must run, that fails.
func skip(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("VMALEAK_REQUIRE") == "all" {
		tb.Fatalf("must not skip, but: "+format, args...)
	}
	tb.Skipf(format, args...)
}

// mustBuild compiles a program of this folder, or skips where the compiler is missing.
func mustBuild(tb testing.TB, source string, compiler ...string) string {
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
	if _, err := exec.LookPath(compiler[0]); err != nil {
		skip(tb, "needs %s: %v", compiler[0], err)
	}
	out := filepath.Join(tb.TempDir(), strings.TrimSuffix(source, ".c"))
	args := append(compiler[1:], "-O1", "-g", "-Wall", "-pthread", "-o", out, filepath.Join("programs", source))
	if text, err := exec.Command(compiler[0], args...).CombinedOutput(); err != nil {
		tb.Fatalf("%s %v: %v\n%s", compiler[0], args, err, text)
	}
	return out
}

// books keeps the books of blocks of all spaces, as a trace does.
type books struct {
	tb     testing.TB
	tr     *tracer.Tracer
	ledger *leak.Ledger
	spaces map[*tracer.Space]*leak.Space
	least  uint64
	ended  int
	depth  map[uint32]int // copied bytes of stacks, by ticket
	given  int            // blocks told of, and those of them with a stack
	stacks int
	child  func() // a child is followed
}

func (k *books) Open(s *tracer.Space) {
	k.spaces[s] = k.ledger.Open(leak.Process{PID: s.PID(), PIDs: s.PIDs, Space: s.ID, Parent: s.Parent}, s.VM(), s.Since)
	if _, err := k.tr.FollowMalloc(s.PID()); err != nil {
		k.tb.Error(err)
	}
	if s.Parent != "" && k.child != nil {
		k.child()
	}
}
func (k *books) Apply(s *tracer.Space, ev *vma.Event, d *vma.Delta) { k.spaces[s].Book(ev, d) }
func (k *books) End(s *tracer.Space, at time.Time, by string) {
	k.spaces[s].End(at, by)
	k.ended++
}
func (k *books) Stack(_ *tracer.Space, ticket uint32, raw *tracer.Stack) {
	k.depth[ticket] = len(raw.Mem)
	k.ledger.Resolve(ticket, 0)
}
func (k *books) Block(s *tracer.Space, b *tracer.Block) {
	if b.ID != 0 {
		k.given++
		if b.Stack > 1<<31 {
			k.stacks++
		}
	}
	k.spaces[s].BookBlock(&leak.Block{ID: b.ID, Gone: b.Gone, Addr: b.Addr, Size: b.Size, At: b.Time, Thread: b.Thread, Stack: b.Stack,
		Failed: b.Failed, Untracked: b.Untracked})
}

// mustTrace opens a tracer that follows blocks.
func mustTrace(tb testing.TB, o tracer.Options) *books {
	tb.Helper()
	k := &books{tb: tb, ledger: leak.New(leak.Options{}), spaces: map[*tracer.Space]*leak.Space{}, least: o.Malloc, depth: map[uint32]int{}}
	vmopt, err := tracer.ModelOptions()
	if err != nil {
		tb.Fatal(err)
	}
	o.Blocks = k
	if k.tr, err = tracer.Open(o, vmopt, k); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { k.tr.Close() })
	return k
}

// heal makes good lost records.
func (k *books) heal() {
	k.tb.Helper()
	for s, b := range k.spaces {
		live, err := k.tr.Live(s)
		if err != nil {
			k.tb.Fatal(err)
		}
		var blocks []leak.Block
		for _, l := range live {
			blocks = append(blocks, leak.Block{ID: l.ID, Size: l.Size, At: l.Time, Thread: l.Thread})
		}
		b.HealBlocks(blocks, time.Now())
	}
}

// entries is the books of each space, checked, by PID.
func (k *books) entries() map[int]*leak.Blocks {
	k.tb.Helper()
	if _, err := k.tr.Drain(); err != nil {
		k.tb.Fatal(err)
	}
	snap := k.ledger.Snapshot(time.Now(), leak.Header{Source: leak.SourceLive}, func(s *leak.Space) leak.Facts {
		f := leak.Facts{Blocks: &leak.BlockFacts{MinSize: k.least, Since: k.tr.MallocSince(s.Process().PID)}}
		for sp, b := range k.spaces {
			if b == s {
				c := sp.Events.Blocks
				f.Blocks.Dropped, f.Blocks.Untracked, f.Blocks.Missed = c.Dropped, c.Untracked, c.Missed
			}
		}
		return f
	})
	if err := snap.CheckValid(); err != nil {
		k.tb.Fatal(err)
	}
	all := map[int]*leak.Blocks{}
	for _, e := range snap.Processes {
		all[*e.PID] = e.Blocks
	}
	return all
}

// block is one that lives: its size, and the thread that asked for it.
type block struct {
	size uint64
	tid  int
}

// liveOf is the blocks that the books hold, by how many.
func liveOf(k *leak.Blocks) map[block]int {
	m := map[block]int{}
	for _, a := range k.Accounts {
		if a.Live > 0 && a.Size != nil && a.TID != nil {
			m[block{*a.Size, *a.TID}] += int(a.Live)
		}
	}
	return m
}

// program is a running program that works on a line and then tells what lives.
type program struct {
	pid int
	in  io.WriteCloser
	out *bufio.Scanner
}

// mustStart starts a program and waits until it is ready.
func mustStart(tb testing.TB, path string, args ...string) *program {
	tb.Helper()
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
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
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	p := &program{cmd.Process.Pid, in, bufio.NewScanner(out)}
	if !p.out.Scan() || p.out.Text() != "ready" {
		tb.Fatalf("%s did not come up: %q", path, p.out.Text())
	}
	return p
}

// told is what a program says of itself.
type told struct {
	live   map[int]map[block]int // by PID
	bytes  uint64
	failed uint64
}

// mustWork lets the program work while it is traced, and returns what it tells.
func (p *program) mustWork(tb testing.TB, k *books) told {
	tb.Helper()
	if _, err := io.WriteString(p.in, "go\n"); err != nil {
		tb.Fatal(err)
	}
	t := told{live: map[int]map[block]int{}}
	done := make(chan error, 1)
	go func() {
		for p.out.Scan() {
			f := strings.Fields(p.out.Text())
			var pid, tid, n int
			var size uint64
			switch {
			case len(f) == 4 && f[0] == "block":
				if _, err := fmt.Sscan(strings.Join(f[1:], " "), &pid, &size, &tid); err != nil {
					done <- err
					return
				}
				if t.live[pid] == nil {
					t.live[pid] = map[block]int{}
				}
				t.live[pid][block{size, tid}]++
			case len(f) == 4 && f[0] == "sum":
				_, err := fmt.Sscan(strings.Join(f[1:], " "), &n, &t.bytes, &t.failed)
				done <- err
				return
			}
		}
		done <- errors.Join(errors.New("the program ended early"), p.out.Err())
	}()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		if err := k.tr.Poll(time.Now().Add(5 * time.Millisecond)); err != nil {
			tb.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				tb.Fatal(err)
			}
			return t
		default:
		}
		if time.Now().After(deadline) {
			tb.Fatal("the program does not end")
		}
	}
}
