package leak

import (
	"testing"
	"time"

	"vmaleak/vma"
)

// BenchmarkBook books a mapping and its release, by one of eight threads.
func BenchmarkBook(b *testing.B) {
	bn := newBench(b, Options{})
	var rows [8]vma.Area
	for i := range rows {
		rows[i] = vma.Area{Range: vma.Range{Start: 0x1000, End: 0x11000}, Prot: 3, Kind: vma.Anon,
			Owner: vma.Owner{Thread: tid(i + 1), Acquired: 0x10000, Calls: 1, Op: vma.OpMmap, Origin: vma.Traced}}
	}
	ev := vma.Event{Op: vma.OpMmap}
	var in, out vma.Delta
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		a := rows[i/2%8 : i/2%8+1]
		ev.Thread, ev.Time = a[0].Thread, int64(i)*1000
		if i%2 == 0 {
			in.Acquired = a
			bn.s.Book(&ev, &in)
		} else {
			out.Released = a
			bn.s.Book(&ev, &out)
		}
	}
}

// BenchmarkSnapshot makes the document of a million rows.
func BenchmarkSnapshot(b *testing.B) {
	const rows = 1_000_000
	bn := newBench(b, Options{})
	for i := range uint64(rows) {
		bn.now = epoch.Add(time.Duration(i) * time.Millisecond)
		bn.mmap(tid(int(i%500)+1), 0x100000+i*4*page, 2*page, rw)
	}
	for name, brief := range map[string]bool{"whole": false, "brief": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				s := bn.l.Snapshot(bn.now, Header{Source: SourceLive, Brief: brief}, nil)
				if n := s.Processes[0].Totals.Mapped; n != rows*2*page {
					b.Fatalf("mapped %d", n)
				}
			}
		})
	}
}

// BenchmarkBookStacks books a mapping with a ticket, resolves it to one of a
// thousand stacks, and books its release.
func BenchmarkBookStacks(b *testing.B) {
	bn := newBench(b, Options{Stack: numbered})
	row := []vma.Area{{Range: vma.Range{Start: 0x1000, End: 0x11000}, Prot: 3, Kind: vma.Anon,
		Owner: vma.Owner{Acquired: 0x10000, Calls: 1, Op: vma.OpMmap, Origin: vma.Traced}}}
	ev := vma.Event{Op: vma.OpMmap}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ticket := vma.Ticket + uint32(i)
		row[0].Thread, row[0].Stack = tid(i%8+1), ticket
		ev.Thread, ev.Stack, ev.Time = row[0].Thread, ticket, int64(i)*1000
		bn.s.Book(&ev, &vma.Delta{Acquired: row})
		bn.l.Resolve(ticket, uint32(i%1000)+1)
		bn.s.Book(&ev, &vma.Delta{Released: row})
	}
}
