package leak

import (
	"maps"
	"slices"
	"testing"

	"vmaleak/vma"
)

func TestAStackIsInUseAsLongAsItHoldsMemory(t *testing.T) {
	b := newBench(t, Options{Stack: numbered})
	b.with(7, func() { b.mmap(tid(1), 0x100000, 4*page, rw) })
	b.with(8, func() { b.mmap(tid(1), 0x200000, 4*page, rw) })
	b.with(vma.Ticket+1, func() { b.mmap(tid(1), 0x300000, 4*page, rw) })
	b.munmap(tid(1), 0x200000, 4*page)
	b.l.Resolve(vma.Ticket+1, 9)
	b.l.Resolve(vma.Ticket+2, 10) // its event is still to come
	if got, want := slices.Sorted(maps.Keys(b.l.StacksInUse())), []uint32{7, 9, 10}; !slices.Equal(got, want) {
		t.Errorf("in use are %v, want %v", got, want)
	}
	if e := b.stacksOf(0); accounts(e) != "t0 null 16384/16384 of 1/1 calls false;t0 7 0/16384 of 0/1 calls true;t0 9 0/16384 of 0/1 calls true;" {
		t.Errorf("accounts are %s", accounts(e))
	}
}
