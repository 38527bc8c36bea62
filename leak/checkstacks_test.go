package leak

import (
	"strings"
	"testing"
)

func TestStacksThatAreWrongAreFound(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(e *Entry)
		want  string
	}{
		{"twice", func(e *Entry) { e.Stacks = append(e.Stacks, e.Stacks[0]) }, "not unique"},
		{"missing", func(e *Entry) { e.Stacks = e.Stacks[:0] }, "no stack"},
		{"status", func(e *Entry) { e.Stacks[0].Status = "fine" }, "status"},
		{"kind", func(e *Entry) { e.Stacks[0].Frames = []Frame{{Kind: "perl"}} }, "kind"},
		{"frames", func(e *Entry) { e.Stacks[0].Frames = nil }, "null"},
		{"a row's", func(e *Entry) { e.Mappings[0].Stack = nil }, "mappings are"},
		{"a pool's", func(e *Entry) { e.Pools[0].Stacks[0].Outstanding++ }, "more than it holds"},
		{"a task's", func(e *Entry) { e.Threads[0].Carried[0].Acquired++ }, "carried more"},
		{"an account's", func(e *Entry) { e.Accounts[0].Task = nil }, "carried \"task-2\""},
		{"a sum", func(e *Entry) { e.Events.Stacks.Reasons["x"]++ }, "not the sum"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, Options{Stack: numbered})
			b.with(2, func() { b.mmap(tid(1), 0x100000, 4*page, rw) })
			s := b.snapshot()
			tt.spoil(s.Processes[0])
			if err := s.CheckValid(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want one with %q", err, tt.want)
			}
		})
	}
}
