package tracer

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"vmaleak/vma"
)

// mustTracer opens a tracer, or skips where the kernel or the privileges do not allow one.
func mustTracer(tb testing.TB, o Options, h Handler) *Tracer {
	tb.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("VMALEAK_REQUIRE") == "all" {
			tb.Fatal("must run as root")
		}
		tb.Skip("needs root to load BPF programs")
	}
	vmopt, err := ModelOptions()
	if err != nil {
		tb.Fatal(err)
	}
	t, err := Open(o, vmopt, h)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := t.Close(); err != nil {
			tb.Error(err)
		}
	})
	return t
}

type counter struct{ opened, applied, ended int }

func (c *counter) Open(*Space)                          { c.opened++ }
func (c *counter) Apply(*Space, *vma.Event, *vma.Delta) { c.applied++ }
func (c *counter) End(_ *Space, _ time.Time, by string) { c.ended++ }
func (c *counter) Stack(*Space, uint32, *Stack)         {}

func TestBothBackendsSeeTheirOwnCalls(t *testing.T) {
	for _, mode := range []string{LockSequence, EnterExit} {
		t.Run(mode, func(t *testing.T) {
			if _, err := os.Stat("/sys/kernel/tracing/events/mmap_lock"); mode == LockSequence && err != nil {
				t.Skipf("this kernel does not tell when the mmap lock is taken (5.11 does): %v", err)
			}
			tr := mustTracer(t, Options{Backend: mode}, &counter{})
			for name, how := range tr.Backend.Hooks {
				t.Logf("%s: %s", name, how)
			}
		})
	}
}

func TestAProcessIsFollowedToItsEnd(t *testing.T) {
	h := &counter{}
	tr := mustTracer(t, Options{}, h)
	cmd := exec.Command("sleep", "0.3")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := tr.Follow(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	for s := range tr.Spaces() {
		t.Log(s.ID, s.VM().Len())
		t.Log(s.Verified())
	}
	go cmd.Wait()
	for end := time.Now().Add(3 * time.Second); h.ended == 0 && time.Now().Before(end); {
		if err := tr.Poll(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%+v", *h)
	if h.ended != 1 || h.opened != 1 {
		t.Fatal("not followed to its end")
	}
}
