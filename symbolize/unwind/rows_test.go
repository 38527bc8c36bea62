package unwind

import (
	"testing"

	"go.opentelemetry.io/ebpf-profiler/nativeunwind/stackdeltatypes"
)

func TestRowsHoldFromTheirStartToTheNext(t *testing.T) {
	one, two := rule{BaseReg: 1, Param: 8}, rule{BaseReg: 1, Param: 16}
	block := func(start, end uint64, deltas ...stackdeltatypes.StackDelta) *stackdeltatypes.BasicBlock {
		return &stackdeltatypes.BasicBlock{Start: start, End: end, Deltas: deltas}
	}
	const base = 0xffff_0000_0000
	data := &stackdeltatypes.IntervalData{NumDeltas: 3, Blocks: []*stackdeltatypes.BasicBlock{
		block(base, base+0x20, stackdeltatypes.StackDelta{Offset: 0, Info: one}, stackdeltatypes.StackDelta{Offset: 4, Info: two}),
		block(base+0x20, base+0x30, stackdeltatypes.StackDelta{Offset: 0, Info: one}),
	}}
	table, err := packRows(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		addr uint64
		want rule
	}{{0, noRule}, {base - 1, noRule}, {base, one}, {base + 3, one}, {base + 4, two}, {base + 0x1f, two}, {base + 0x20, one},
		{base + 0x2f, one}, {base + 0x30, noRule}, {1 << 63, noRule}} {
		if got := table.find(c.addr); got != c.want {
			t.Errorf("at %#x %+v, want %+v", c.addr, got, c.want)
		}
	}
	data.Blocks[1].Start, data.Blocks[1].End = base+1<<32, base+1<<32+16
	if _, err := packRows(data); err == nil {
		t.Error("no error for code that is too far apart")
	}
}
