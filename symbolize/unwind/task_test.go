package unwind

import (
	"fmt"
	"testing"

	"vmaleak/symbolize/hotspot"
)

// carrying is a VM whose threads carry a virtual thread.
type carrying struct {
	javaVM
	late *hotspot.Virtual
}

func (c carrying) Capture(int, uint64, []byte) *hotspot.Moment {
	return &hotspot.Moment{Virtual: c.late}
}

func TestATaskIsWhatIsProvenOrWhatAllLikeItAre(t *testing.T) {
	called := func(name string) *hotspot.Virtual { return &hotspot.Virtual{Name: name} }
	var unknown *hotspot.Virtual
	r, p := NewResolver(Options{}), &process{vm: &virtualMachine{java: carrying{}}}
	for _, tc := range []struct {
		name           string
		virtual        *hotspot.Virtual
		entry, task    string
		likely         uint64
		platformThread bool
	}{
		{"of no name that could be read", unknown, "A.run()", "A.run()", 1, false},
		{"has a name", called("order-7"), "A.run()", "order-# A.run()", 0, false},
		{"then others of its entry are likely it", unknown, "A.run()", "order-# A.run()", 1, false},
		{"but not of another entry", unknown, "B.run()", "B.run()", 1, false},
		{"a cut stack is likely the pool's only task", called("order-8"), "", "order-# A.run()", 1, false},
		{"a cut stack of an unknown pool", called("mail-1"), "", "mail-#", 0, false},
		{"a cut stack of an unknown thread", unknown, "", "", 0, false},
		{"has no name: that is its entry's", called(""), "C.run()", "C.run()", 0, false},
		{"a cut stack without a name", called(""), "", "", 0, false},
		{"a second name for an entry", called("mail-2"), "A.run()", "mail-# A.run()", 0, false},
		{"makes others of it be neither", unknown, "A.run()", "A.run()", 1, false},
		{"a second entry of a name", called("order-9"), "B.run()", "order-# B.run()", 0, false},
		{"makes cut stacks be neither", called("order-9"), "", "order-#", 0, false},
		{"a platform thread", called("order-9"), "", "", 0, true},
	} {
		before := r.Stats().Likely
		if r.moment = (&hotspot.Moment{Virtual: tc.virtual}); tc.platformThread {
			r.moment = nil
		}
		s := r.withTask(p, &Raw{}, &Stack{Status: Continued, entry: tc.entry})
		if s.Task != tc.task || r.Stats().Likely-before != tc.likely {
			t.Errorf("%s: task %q, %d likely; want %q, %d", tc.name, s.Task, r.Stats().Likely-before, tc.task, tc.likely)
		}
	}
}

// A stack that did not look like a virtual thread's is asked about once it turns out to be one.
func TestATaskIsAskedForLateWhereTheCopyDidNotShowIt(t *testing.T) {
	r, p := NewResolver(Options{}), &process{vm: &virtualMachine{java: carrying{late: &hotspot.Virtual{Name: "mail-3"}}}}
	if s := r.withTask(p, &Raw{}, &Stack{Status: Complete, entry: "A.run()"}); s.Task != "mail-# A.run()" {
		t.Errorf("task %q", s.Task)
	}
}

func TestTasksAreBounded(t *testing.T) {
	var known map[string]string
	for i := range 2 * maxTasks {
		learn(&known, fmt.Sprint(i), "task")
	}
	if len(known) != maxTasks || known["1"] != "task" {
		t.Errorf("%d tasks, %q", len(known), known["1"])
	}
}
