package hotspot

import (
	"fmt"
	"testing"
)

// figures asks the program for numbers.
func (p *program) figures(what string, n int) []uint64 {
	p.tb.Helper()
	p.tell(what)
	list := make([]uint64, n)
	line := p.line()
	args := make([]any, n)
	for i := range list {
		args[i] = &list[i]
	}
	if _, err := fmt.Sscan(line, args...); err != nil {
		p.tb.Fatalf("%s: %q: %v", what, line, err)
	}
	return list
}

// about reports whether a figure that changes is near another one.
func about(got *uint64, want, slack uint64) bool {
	return got != nil && *got+slack >= want && *got <= want+slack
}

func show(n *uint64) string {
	if n == nil {
		return "unknown"
	}
	return fmt.Sprint(*n)
}

func TestHeapIsAsTheVMSays(t *testing.T) {
	eachCollector(t, func(t *testing.T, p *program, _ string) {
		vm, err := Attach(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []string{"at once", "litter 300", "drop"} {
			if step != "at once" {
				p.tell(step)
				p.line()
			}
			truth := p.figures("heap", 3)
			u, err := vm.HeapUsage()
			if err != nil {
				t.Fatalf("%s: %v", step, err)
			}
			// Objects are made while it is asked, by the program and by the VM; G1 counts whole regions of a megabyte.
			if !about(u.Used, truth[0], 6<<20) || !about(u.Committed, truth[1], 0) || !about(u.Max, 128<<20, 0) {
				t.Errorf("%s: used %s, committed %s, at most %s, the VM says %d", step, show(u.Used), show(u.Committed), show(u.Max), truth)
			}
		}
	})
}

func TestSpacesAreAsTheVMSays(t *testing.T) {
	eachCollector(t, func(t *testing.T, p *program, _ string) {
		vm, err := Attach(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		p.figures("spaces", 6) // the first time it loads classes
		truth := p.figures("spaces", 6)
		s, err := vm.Spaces()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name            string
			got             Usage
			used, committed uint64
		}{
			{"metaspace", s.Metaspace, truth[0] - truth[2], truth[1] - truth[3]},
			{"class space", s.ClassSpace, truth[2], truth[3]},
			{"code cache", s.CodeCache, truth[4], truth[5]},
		} {
			if c.committed == 0 && c.name == "class space" { // full class pointers
				if c.got != (Usage{}) {
					t.Errorf("%+v of class space where there is none", c.got)
				}
				continue
			}
			const slack = 256 << 10 // code is compiled meanwhile, and classes are linked
			if !about(c.got.Used, c.used, slack) || !about(c.got.Committed, c.committed, slack) || c.got.Max == nil || *c.got.Max < c.committed {
				t.Errorf("%s: used %s, committed %s, reserved %s, the VM says %d and %d", c.name,
					show(c.got.Used), show(c.got.Committed), show(c.got.Max), c.used, c.committed)
			}
		}
		if s.Threads == nil || *s.Threads < 5 || *s.Threads > 100 {
			t.Errorf("%s threads", show(s.Threads))
		}
		vm.locals = map[string]uint64{} // stripped
		p.tell("drop")
		p.line()
		s, err = vm.Spaces()
		if err != nil {
			t.Fatal(err)
		}
		const slack = 1 << 20 // as of the collection
		if !about(s.Metaspace.Used, truth[0]-truth[2], slack) || !about(s.Metaspace.Committed, truth[1]-truth[3], slack) {
			t.Errorf("metaspace of a stripped VM: used %s, committed %s, the VM says %d and %d", show(s.Metaspace.Used), show(s.Metaspace.Committed), truth[0]-truth[2], truth[1]-truth[3])
		}
	})
}
