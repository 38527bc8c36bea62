package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"vmaleak/leak"
	"vmaleak/symbolize"
)

// known is what an export says of the process.
type known struct {
	entry *leak.Entry
	at    *time.Time // of the export
	from  string     // which export, for people
}

// known is the export that tells what grows: given, made now, or lying here. Nil without an error: there is none.
func (o *peekOptions) known(ctx context.Context, e env, p *symbolize.Process) (*known, error) {
	if o.traceFor > 0 {
		return o.traceNow(ctx, e, p)
	}
	name := o.export
	if name == "" {
		name = saveName(p.PID)
		if _, err := os.Stat(name); err != nil {
			return nil, nil
		}
	}
	snap, err := readExport(name)
	if err == nil {
		var k *known
		if k, err = knownOf(snap, p); err == nil {
			k.from = name
			return k, nil
		}
		err = fmt.Errorf("use the export %s: %w", name, err)
	}
	if o.export != "" {
		return nil, fmt.Errorf("peek: %w; give an export of this process", err)
	}
	e.say("%v; it is left out", err)
	return nil, nil
}

// knownOf finds the process in an export: its PID, begun at the same time, on the host as it has run since.
func knownOf(snap *leak.Snapshot, p *symbolize.Process) (*known, error) {
	if boot := symbolize.ReadHost().BootID; snap.Host.BootID != nil && boot != "" && *snap.Host.BootID != boot {
		return nil, errors.New("it is of another host, or of a time before the last boot")
	}
	for _, entry := range snap.Processes {
		if entry.PID == nil || *entry.PID != p.PID || entry.Exited || entry.StartedAt == nil {
			continue
		}
		if d := entry.StartedAt.Sub(p.StartedAt).Abs(); d > time.Second {
			return nil, fmt.Errorf("its process %d began at %s, this one at %s", p.PID,
				entry.StartedAt.Local().Format(time.DateTime), p.StartedAt.Local().Format(time.DateTime))
		}
		return &known{entry: entry, at: snap.EndedAt}, nil
	}
	return nil, fmt.Errorf("process %d is not in it, or had ended", p.PID)
}

// traceNow traces the process for a while.
func (o *peekOptions) traceNow(ctx context.Context, e env, p *symbolize.Process) (*known, error) {
	dir, err := os.MkdirTemp("", "vmaleak-peek")
	if err != nil {
		return nil, fmt.Errorf("peek: make room for a trace: %w", err)
	}
	name := filepath.Join(dir, "trace.json")
	t := &traceOptions{pids: []int{p.PID}, duration: o.traceFor, interval: min(o.traceFor, 5*time.Second), top: 1,
		attach: "no", stacks: "auto", noTUI: true, files: files{jsons: []string{name}}}
	e.say("tracing process %d for %v, to find what grows", p.PID, o.traceFor)
	err = trace(ctx, env{io.Discard, e.stderr}, t)
	var snap *leak.Snapshot
	if err == nil {
		snap, err = readExport(name)
	}
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		return nil, err
	}
	k, err := knownOf(snap, p)
	if err != nil {
		return nil, fmt.Errorf("peek: after the trace: %w", err)
	}
	k.from = fmt.Sprintf("a trace of %v", o.traceFor)
	return k, nil
}
