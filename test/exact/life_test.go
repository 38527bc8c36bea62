package exact

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Where test/stress places what it maps at fixed addresses.
const arenaStart, arenaEnd = 0xd00000000, 0x2000000000

// arena keeps what lies in the part of the space where only the workload maps:
// it stands still from the last quiet point to the end, malloc's part does not.
func arena(spans []span) []span {
	return slices.DeleteFunc(slices.Clone(spans), func(s span) bool { return s.start < arenaStart || s.end > arenaEnd })
}

// mustKeep fails unless the last ledger of an ended process still shows what the kernel last did.
func mustKeep(t *testing.T, e *export, pid, exec int, by string, kernel []span) {
	t.Helper()
	for i := range e.Processes {
		p := &e.Processes[i]
		if p.PID != pid || p.Exec != exec {
			continue
		}
		if !p.Exited || p.EndedBy == nil || *p.EndedBy != by {
			t.Errorf("pid %d, exec %d: exited %v by %s, want %s", pid, exec, p.Exited, text(p.EndedBy), by)
		}
		ledger := must[[]span](t)(p.spans())
		if diffs := compare(arena(kernel), arena(ledger)); len(diffs) > 0 {
			t.Errorf("pid %d, exec %d: %d bytes of the last ledger differ:%s", pid, exec, total(diffs), describe(diffs))
		}
		if len(arena(ledger)) == 0 {
			t.Errorf("pid %d, exec %d: nothing was kept", pid, exec)
		}
		return
	}
	t.Errorf("pid %d, exec %d is not in the export", pid, exec)
}

// The target execs itself, and later exits: each of its spaces is kept as it last was.
func TestExecAndExit(t *testing.T) {
	needTracer(t)
	st := startStress(t, "--mode", "owned,racy", "--wait", "--calls", sized("20000", "500000"), "--quiet", "2", "--exec", "2")
	tr := startTracerOf(t, st.pid, "--audit=off")
	var last [3][]span
	for n := range last {
		if n > 0 {
			st.awaitReady(t)
		}
		st.goOn(t)
		for q, ok := st.next(t); ok; q, ok = st.next(t) {
			e := healing(t, tr, q, true) // a space made by exec may take a second
			mustBeExact(t, e, q)
			if p := e.find(st.pid); p.Exec != n {
				t.Errorf("exec is %d, want %d", p.Exec, n)
			}
			last[n] = must[[]span](t)(readMaps(st.pid))
			st.goOn(t)
		}
	}
	e := tr.last(t)
	mustKeep(t, e, st.pid, 0, "exec", last[0])
	mustKeep(t, e, st.pid, 1, "exec", last[1])
	mustKeep(t, e, st.pid, 2, "exit", last[2])
}

// The target is killed as it stands at a quiet point.
func TestKilled(t *testing.T) {
	needTracer(t)
	st := startStress(t, "--mode", "owned,racy", "--wait", "--calls", "20000", "--quiet", "1")
	tr := startTracerOf(t, st.pid, "--audit=off")
	st.goOn(t)
	if _, ok := st.next(t); !ok {
		t.Fatal("no quiet point")
	}
	kernel := must[[]span](t)(readMaps(st.pid))
	st.signal(t, syscall.SIGKILL)
	mustKeep(t, tr.last(t), st.pid, 0, "signal", kernel)
}

// A command is traced from its first instruction on: also the exec of a shell into the workload.
func TestCommand(t *testing.T) {
	needTracer(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	for _, path := range []string{in, out} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Both ends of each, so that no open waits for another.
	st := &stress{child: &child{}, owners: map[int]int{}}
	stdin := must[*os.File](t)(os.OpenFile(in, os.O_RDWR, 0))
	stdout := must[*os.File](t)(os.OpenFile(out, os.O_RDWR, 0))
	t.Cleanup(func() { stdin.Close(); stdout.Close() })
	st.stdin, st.lines = stdin, readLines(stdout)

	tr := startTracer(t, "--audit=off", "--", must[string](t)(exec.LookPath("sh")), "-c", `exec "$@" <`+in+` >`+out, "sh",
		must[string](t)(buildStress()), "--mode", "owned,racy,fork", "--wait", "--calls", sized("20000", "500000"), "--quiet", "3")
	st.awaitReady(t)
	t.Cleanup(func() {
		if !tr.ended() { // else its target, too, has ended
			_ = syscall.Kill(st.pid, syscall.SIGKILL) // it may end just now
		}
	})
	st.goOn(t)
	rounds := 0
	for q, ok := st.next(t); ok; q, ok = st.next(t) {
		e := healing(t, tr, q, true)
		mustBeExact(t, e, q)
		p := e.find(st.pid)
		if rounds++; p.Exec == 0 {
			t.Errorf("quiet point %d: exec is 0: the shell's exec was not seen", q.round)
		}
		for _, m := range p.Mappings {
			at := must[uint64](t)(parseAddress(m.Start))
			if m.Origin == "pre-existing" && at >= arenaStart && at < arenaEnd {
				t.Errorf("quiet point %d: %s-%s was there before a trace that began first", q.round, m.Start, m.End)
			}
		}
		st.goOn(t)
	}
	if rounds != 3 {
		t.Errorf("%d quiet points, want 3\n%s", rounds, tr.stderr())
	}
	if e := tr.last(t); !slices.ContainsFunc(e.Processes, func(p process) bool { return p.Exited && strings.HasPrefix(text(p.EndedBy), "exit") }) {
		t.Error("no process ended by exit")
	}
}
