package exact

import (
	"syscall"
	"testing"
)

// lossy is the shortest ring there is; with the reader stopped it holds less than a thousand calls.
var lossy = []string{"--ring", "64KiB", "--audit=1s"}

// stopped runs stress from one quiet point to the next while the tracer
// stands still, and returns with the tracer running again.
func stopped(t *testing.T, st *stress, tr *tracer) (q quiet, ok bool) {
	t.Helper()
	tr.signal(t, syscall.SIGSTOP)
	waitFor(t, patience, "the tracer to stop", func() bool { return state(tr.Process.Pid) == 'T' })
	st.goOn(t)
	q, ok = st.next(t)
	tr.signal(t, syscall.SIGCONT)
	return q, ok
}

func TestLossHealed(t *testing.T) {
	for _, mode := range []string{"owned,racy", "fork"} {
		t.Run(mode, func(t *testing.T) {
			needTracer(t)
			s := sized(size{30_000, 3}, size{1_000_000, 50})
			st := startStress(t, append([]string{"--mode", mode, "--wait"}, s.args()...)...)
			tr := startTracerOf(t, st.pid, lossy...)
			for q, ok := stopped(t, st, tr); ok; q, ok = stopped(t, st, tr) {
				p := healing(t, tr, q, true).find(st.pid)
				if p.Events.Lost == 0 || p.Events.Resyncs == 0 {
					t.Fatalf("quiet point %d: nothing is said of the loss: %+v", q.round, p.Events)
				}
				if p.Events.DriftBytes != 0 {
					t.Errorf("quiet point %d: a known loss counts as drift: %d bytes", q.round, p.Events.DriftBytes)
				}
				if p.Totals.Healed == 0 {
					t.Errorf("quiet point %d: no byte is marked healed", q.round)
				}
			}
			tr.last(t)
		})
	}
}

// A stop that the ring outlasts changes nothing at all.
func TestStopContinue(t *testing.T) {
	needTracer(t)
	s := sized(size{80_000, 3}, size{2_000_000, 50})
	st := startStress(t, append([]string{"--mode", "owned,racy", "--wait"}, s.args()...)...)
	tr := startTracerOf(t, st.pid, "--audit=off")
	for q, ok := stopped(t, st, tr); ok; q, ok = stopped(t, st, tr) {
		mustBeExact(t, tr.export(t), q)
	}
	tr.last(t)
}

// Attached in the middle of a storm: the snapshot and the events must join
// without a seam. Until they have, the ledger must not say verified; and
// nothing was lost, so nothing may count as lost, or as healed.
func TestSeedInStorm(t *testing.T) {
	for _, mode := range []string{"owned,racy,storm", "owner,storm", "fork,storm"} {
		t.Run(mode, func(t *testing.T) {
			needTracer(t)
			st := startStress(t, "--mode", mode)
			for range sized(2, 50) {
				tr := startTracerOf(t, st.pid, "--audit=1s")
				ready := nowTicks()
				for range 2 {
					st.signal(t, syscall.SIGUSR2)
					q, ok := st.next(t)
					if !ok {
						t.Fatal("the storm ended")
					}
					q.mayLack = map[int]bool{}
					for _, pid := range q.pids[1:] {
						q.mayLack[pid] = startTicks(pid) <= ready
					}
					e := healing(t, tr, q, true)
					mustBeExact(t, e, q)
					st.goOn(t)
				}
				tr.signal(t, syscall.SIGINT)
				if code := tr.wait(t); code != 0 {
					t.Fatalf("vmaleak: exit code %d\n%s", code, tr.stderr())
				}
			}
			st.signal(t, syscall.SIGTERM)
			st.wait(t)
		})
	}
}
