package exact

import (
	"slices"
	"strconv"
	"testing"
)

// size is how much one test does.
type size struct{ calls, quiet int }

func (s size) args() []string {
	return []string{"--calls", strconv.Itoa(s.calls), "--quiet", strconv.Itoa(s.quiet)}
}

// inModes runs stress under a tracer, and check at each of its quiet points;
// then the tracer must end by itself.
func inModes(t *testing.T, mode string, s size, flags []string, check func(t *testing.T, st *stress, tr *tracer, q quiet)) {
	t.Helper()
	needTracer(t)
	st := startStress(t, append([]string{"--mode", mode, "--wait"}, s.args()...)...)
	tr := startTracerOf(t, st.pid, flags...)
	st.goOn(t)
	var last quiet
	for {
		q, ok := st.next(t)
		if !ok {
			break
		}
		check(t, st, tr, q)
		st.goOn(t)
		last = q
	}
	if last.round != s.quiet {
		t.Errorf("%d quiet points, want %d", last.round, s.quiet)
	}
	e := tr.last(t)
	switch i := slices.IndexFunc(e.Processes, func(p process) bool { return p.PID == st.pid }); {
	case i < 0:
		t.Errorf("the last ledger of the target, pid %d, was not kept", st.pid)
	case !e.Processes[i].Exited:
		t.Errorf("the target, pid %d, has ended, and the export does not say so", st.pid)
	}
	t.Logf("%d calls, %d quiet points; at the end %d processes, %d events", last.calls, last.round, len(e.Processes), e.Events.Received)
}

func exactly(t *testing.T, _ *stress, tr *tracer, q quiet) {
	t.Helper()
	mustBeExact(t, tr.export(t), q)
}

// settled is exactly, where spaces come into being that work at once: one
// whose map cannot be read in a consistent state yet is unverified, and tried
// again each second.
func settled(t *testing.T, _ *stress, tr *tracer, q quiet) {
	t.Helper()
	mustBeExact(t, healing(t, tr, q, true), q)
}

var auditOff = []string{"--audit=off"}

func TestExactOwned(t *testing.T) {
	inModes(t, "owned", sized(size{100_000, 5}, size{5_000_000, 200}), auditOff, exactly)
}

func TestExactRacy(t *testing.T) {
	inModes(t, "racy", sized(size{100_000, 5}, size{5_000_000, 200}), auditOff, exactly)
}

func TestExactMixed(t *testing.T) {
	inModes(t, "owned,racy,fork", sized(size{40_000, 4}, size{5_000_000, 200}), auditOff, settled)
}

func TestExactFork(t *testing.T) {
	inModes(t, "fork", sized(size{40_000, 5}, size{2_000_000, 200}), auditOff, settled)
}

// The length of a segment is no argument of the calls: what they leave in doubt an audit settles.
func TestShm(t *testing.T) {
	inModes(t, "shm", sized(size{30_000, 4}, size{1_000_000, 50}), []string{"--audit=1s"}, healed)
}

func TestDie(t *testing.T) {
	inModes(t, "die", sized(size{40_000, 4}, size{1_000_000, 50}), auditOff, settled)
}

// Areas that a child does not inherit: no mapping call says so.
func TestDontFork(t *testing.T) {
	inModes(t, "dontfork", sized(size{30_000, 4}, size{500_000, 50}), []string{"--audit=1s"}, func(t *testing.T, _ *stress, tr *tracer, q quiet) {
		healing(t, tr, q, false)
	})
}

// Mappings that grow by faults, and calls that no tracepoint shows, are found by an audit.
func TestFault(t *testing.T) { untraced(t, "fault", "fault") }

func TestCompat(t *testing.T) {
	needTracer(t)
	if !hasInt80(t) {
		skip(t, "skip compat: the kernel does not answer int 0x80")
	}
	untraced(t, "compat", "compat")
}

func untraced(t *testing.T, mode, class string) {
	t.Helper()
	inModes(t, mode, sized(size{20_000, 3}, size{500_000, 50}), nil, func(t *testing.T, _ *stress, tr *tracer, q quiet) {
		e := healing(t, tr, q, false)
		p := e.find(q.pids[0])
		if p.Events.Untraced[class] == 0 {
			t.Fatalf("quiet point %d: no untraced calls of class %s: %v", q.round, class, p.Events.Untraced)
		}
		if p.Events.Lost != 0 || p.Events.Gaps != 0 {
			t.Fatalf("quiet point %d: %v", q.round, p.Events.trouble())
		}
	})
}

// Calls that fail when they have already changed a part make a range dirty, and an audit looks again.
func TestDirty(t *testing.T) {
	inModes(t, "dirty", sized(size{20_000, 3}, size{500_000, 50}), []string{"--audit=1s"}, healed)
}

// healed expects doubts, settled by an audit, but no loss, and no drift.
func healed(t *testing.T, _ *stress, tr *tracer, q quiet) {
	t.Helper()
	p := healing(t, tr, q, true).find(q.pids[0])
	if err := p.Events.trouble(); err != nil {
		t.Fatalf("quiet point %d: %v", q.round, err)
	}
}
