package exact

import (
	"fmt"
	"os"
	"testing"
)

// classes is how many classes of lengths test/stress tells apart.
const classes = 97

// checkOwner holds one row against the rule that thread I acquires only
// lengths of I mod 97 pages. A row of several calls is that many times as long.
func checkOwner(m *mapping, owners map[int]int) error {
	page := uint64(os.Getpagesize())
	class, ok := owners[m.TID]
	if !ok {
		return fmt.Errorf("%s-%s, %s of tid %d: no such thread", m.Start, m.End, m.Op, m.TID)
	}
	calls := max(m.Calls, 1)
	if m.Acquired%page != 0 || m.Acquired/page%classes != uint64(class)*calls%classes {
		return fmt.Errorf("%s-%s, %s of tid %d: %d calls acquired %d pages, class %d, want %d",
			m.Start, m.End, m.Op, m.TID, calls, m.Acquired/page, m.Acquired/page%classes, class)
	}
	return nil
}

func TestAttribution(t *testing.T) {
	ops := map[string]int{}
	inModes(t, "owner", sized(size{100_000, 5}, size{5_000_000, 200}), auditOff, func(t *testing.T, st *stress, tr *tracer, q quiet) {
		e := tr.export(t)
		mustBeExact(t, e, q)
		p, wrong := e.find(q.pids[0]), 0
		for i := range p.Mappings {
			m := &p.Mappings[i]
			if m.Origin != "traced" {
				continue
			}
			ops[m.Op]++
			if err := checkOwner(m, st.owners); err != nil {
				if wrong++; wrong <= 10 {
					t.Error(err)
				}
			}
		}
		if wrong > 0 {
			t.Fatalf("quiet point %d: %d of %d rows have the wrong owner", q.round, wrong, len(p.Mappings))
		}
	})
	for _, op := range []string{"mmap", "mremap", "brk", "mprotect"} {
		if ops[op] == 0 {
			t.Errorf("no row of %s was ever seen: %v", op, ops)
		}
	}
}

func TestOwnerRule(t *testing.T) {
	page := uint64(os.Getpagesize())
	owners := map[int]int{70: 3, 71: 4}
	for _, tt := range []struct {
		m    mapping
		good bool
	}{
		{mapping{TID: 70, Calls: 1, Acquired: 3 * page}, true},
		{mapping{TID: 70, Calls: 1, Acquired: 100 * page}, true},
		{mapping{TID: 70, Calls: 2, Acquired: 103 * page}, true},
		{mapping{TID: 71, Calls: 1, Acquired: 3 * page}, false},
		{mapping{TID: 72, Calls: 1, Acquired: 3 * page}, false},
		{mapping{TID: 70, Calls: 1, Acquired: 3*page + 1}, false},
	} {
		if err := checkOwner(&tt.m, owners); (err == nil) != tt.good {
			t.Errorf("%+v: %v", tt.m, err)
		}
	}
}
