package tracer

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"vmaleak/vma"
)

// deafHandler takes what a Tracer tells, and does nothing.
type deafHandler struct{}

func (deafHandler) Open(*Space)                          {}
func (deafHandler) Apply(*Space, *vma.Event, *vma.Delta) {}
func (deafHandler) End(*Space, time.Time, string)        {}
func (deafHandler) Stack(*Space, uint32, *Stack)         {}

// read is a torn reading of the whole arena, and the calls that were made meanwhile.
func (t *torn) read(step func() vma.Event) (text string, evs []vma.Event) {
	var w strings.Builder
	for at := uint64(tornStart); at < tornStart+tornPages*tornPage; {
		to := min(at+(1+t.Uint64N(tornPages))*tornPage, tornStart+tornPages*tornPage)
		t.rows(&w, vma.Range{Start: at, End: to})
		at = to
		for range t.IntN(12) {
			evs = append(evs, step())
		}
	}
	return w.String(), evs
}

// pages is what each page of the arena is: a hole, opaque, or its protection.
func pages(vm *vma.Space) (state [tornPages]string) {
	for i := range state {
		at := uint64(tornStart + i*tornPage)
		for a := range vm.Over(vma.Range{Start: at, End: at + 1}) {
			if state[i] = "opaque"; a.Kind.Exported() {
				state[i] = a.Prot.String()
			}
		}
	}
	return state
}

// A model that was seeded by a torn reading, and audited by others, is the space, outside of what it says is in doubt.
func TestAModelIsRightOutsideOfItsDoubtAuditAfterAudit(t *testing.T) {
	const seed = 21
	sure := 0
	for round := range uint64(5_000) {
		k := &torn{rand.New(rand.NewPCG(seed, round)), vma.New(vma.Options{})}
		seq := uint64(0)
		step := func() vma.Event {
			seq++
			ev := k.next(seq)
			k.vm.Apply(&ev)
			return ev
		}
		for range 6 {
			step()
		}
		tr := &Tracer{h: deafHandler{}, opt: Options{Audit: time.Hour}}
		s := &Space{vm: vma.New(vma.Options{}), settling: true, origin: vma.PreExisting, ready: true}
		var log strings.Builder
		reading := func(kind snapshotKind) {
			s0 := seq
			text, during := k.read(step)
			truth, err := vma.ParseMaps([]byte(text), vma.Options{})
			if err != nil {
				t.Fatal(err)
			}
			s.snap = &snapshot{kind: kind, s0: s0, s1: seq}
			if kind == audit {
				s.snap.truth = truth
			} else {
				s.vm.Reconcile(truth, nil, vma.PreExisting)
			}
			log.WriteString(text + list(during))
			for i := range during {
				tr.apply(s, &record{ev: during[i]})
			}
			tr.snapped(s)
		}
		mustAgree := func(when string) {
			t.Helper()
			have, want := pages(s.vm), pages(k.vm)
			for i, h := range have {
				at := uint64(tornStart + i*tornPage)
				if h != want[i] && !s.dirty.overlaps(vma.Range{Start: at, End: at + 1}) {
					t.Fatalf("round %d, %s: %x differs, have %v, want %v, in doubt %v\n%s", round, when, at, h, want[i], s.dirty, log.String())
				}
			}
		}
		reading(seeding)
		mustAgree("after the seed")
		for range 8 {
			for range k.IntN(20) {
				ev := step()
				log.WriteString(list([]vma.Event{ev}))
				tr.apply(s, &record{ev: ev})
				mustAgree("between")
			}
			reading(audit)
			mustAgree("after an audit")
			if s.Events.DriftBytes != 0 {
				t.Fatalf("round %d: %d bytes of drift\n%s", round, s.Events.DriftBytes, log.String())
			}
		}
		if len(s.dirty) == 0 {
			sure++
		}
	}
	t.Logf("%d models are sure of everything", sure)
}
