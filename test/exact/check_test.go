package exact

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// differences compares one live process of e with the kernel's view of it.
func (e *export) differences(pid int) ([]diff, error) {
	p := e.find(pid)
	if p == nil {
		return nil, fmt.Errorf("pid %d is not in the export", pid)
	}
	ledger, err := p.spans()
	if err != nil {
		return nil, fmt.Errorf("pid %d: %w", pid, err)
	}
	if err := p.checkSums(); err != nil {
		return nil, fmt.Errorf("pid %d: %w", pid, err)
	}
	kernel, err := readMaps(pid)
	if err != nil {
		return nil, err
	}
	if s := state(pid); s == 0 || s == 'Z' || s == 'X' { // then the map reads as empty
		return nil, fmt.Errorf("pid %d has ended", pid)
	}
	return compare(kernel, ledger), nil
}

// mustEqual fails unless the ledger of every pid is the kernel's view.
func mustEqual(tb testing.TB, e *export, q quiet) {
	tb.Helper()
	for _, pid := range q.pids {
		if q.mayLack[pid] && e.find(pid) == nil {
			continue
		}
		diffs, err := e.differences(pid)
		if err != nil {
			tb.Fatalf("quiet point %d: %v", q.round, err)
		}
		if len(diffs) > 0 {
			tb.Fatalf("quiet point %d, %d calls: pid %d: %d bytes differ:%s", q.round, q.calls, pid, total(diffs), describe(diffs))
		}
	}
}

func (v events) trouble() error {
	if v.Lost != 0 || v.Gaps != 0 || v.Resyncs != 0 || v.DriftBytes != 0 {
		return fmt.Errorf("lost %d, gaps %d, resyncs %d, drift %d bytes, untraced %v", v.Lost, v.Gaps, v.Resyncs, v.DriftBytes, v.Untraced)
	}
	return nil
}

// inDoubt says that the ledger met a failed call which may, on some kernel,
// have changed something. With audits off it stays in doubt for ever, and is
// right to say so; that it is exact all the same is compared.
func (p *process) inDoubt() bool { return strings.Contains(text(p.Unverified), "failed call") }

// mustBeExact fails unless the ledgers are exact by themselves: nothing was lost, and nothing healed.
func mustBeExact(tb testing.TB, e *export, q quiet) {
	tb.Helper()
	var errs []error
	if err := e.Events.trouble(); err != nil {
		errs = append(errs, err)
	}
	for i := range e.Processes {
		p := &e.Processes[i]
		if err := p.Events.trouble(); err != nil {
			errs = append(errs, fmt.Errorf("pid %d: %w", p.PID, err))
		}
		if !p.Verified && !p.Exited && !p.inDoubt() {
			errs = append(errs, fmt.Errorf("pid %d: unverified: %s", p.PID, text(p.Unverified)))
		}
		if p.Totals.Healed != 0 {
			errs = append(errs, fmt.Errorf("pid %d: %d bytes healed", p.PID, p.Totals.Healed))
		}
		if p.Backend.Mode != "lock-sequence" {
			errs = append(errs, fmt.Errorf("pid %d: back end %s", p.PID, p.Backend.Mode))
		}
	}
	for _, w := range e.Warnings {
		tb.Logf("warning %s (%d): %s", w.Code, w.Count, w.Message)
	}
	if err := errors.Join(errs...); err != nil {
		tb.Fatalf("quiet point %d, %d calls: %v", q.round, q.calls, err)
	}
	mustEqual(tb, e, q)
}

func text(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// healing polls exports at a quiet point until all pids are equal to the
// kernel's view, and verified or in doubt only. An export that says verified while it differs
// fails at once, if it must be honest.
func healing(tb testing.TB, tr *tracer, q quiet, honest bool) *export {
	tb.Helper()
	var e *export
	var why error
	for deadline := time.Now().Add(30 * time.Second); ; {
		e, why = tr.export(tb), nil
		for _, pid := range q.pids {
			p := e.find(pid)
			if p == nil && q.mayLack[pid] {
				continue
			}
			if p == nil {
				why = fmt.Errorf("pid %d is not in the export", pid)
				continue
			}
			diffs, err := e.differences(pid)
			if err != nil {
				tb.Fatalf("quiet point %d: %v", q.round, err)
			}
			switch {
			case len(diffs) > 0 && p.Verified && honest:
				tb.Fatalf("quiet point %d: pid %d says verified, but %d bytes differ:%s", q.round, pid, total(diffs), describe(diffs))
			case len(diffs) > 0:
				why = fmt.Errorf("pid %d: unverified: %s: %d bytes differ, audits %d:%s", pid, text(p.Unverified), total(diffs), p.Events.Audits, describe(diffs))
			case !p.Verified && !p.inDoubt():
				why = fmt.Errorf("pid %d: unverified: %s", pid, text(p.Unverified))
			}
		}
		if why == nil {
			return e
		}
		if time.Now().After(deadline) {
			tb.Fatalf("quiet point %d: not healed after 30 s: %v", q.round, why)
		}
	}
}
