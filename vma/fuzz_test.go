package vma

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// world is one space and the page map that it must equal.
type world struct {
	s    *Space
	m    *pagemap
	sums map[Owner]int64 // of m
}

func (w *world) clone() *world {
	m := *w.m
	return &world{w.s.Clone(), &m, w.sums}
}

// newWorld has memory of every kind from before the trace, and fill rows of one page.
func newWorld(tb testing.TB, fill int) *world {
	text := fmt.Sprintf("%x-%x rw-p 00000000 00:00 0 \n%x-%x r--p 00000000 fe:00 12 /lib/x.so\n%x-%x rw-p 00000000 00:00 0 [heap]\n%x-%x rw-p 00000000 00:00 0 [stack]\n",
		pageAddr(0), pageAddr(4), pageAddr(4), pageAddr(8), pageAddr(pagemapHeap), pageAddr(pagemapHeap+2), pageAddr(pagemapLen-4), pageAddr(pagemapLen))
	s, err := ParseMaps([]byte(text), Options{})
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{s: s, m: &pagemap{brk: pagemapHeap + 2}}
	pre := Owner{Origin: PreExisting}
	for i := range 4 {
		w.m.pages[i] = page{kind: Anon, prot: 3, owner: pre}
		w.m.pages[4+i] = page{kind: Opaque, prot: ProtRead}
		w.m.pages[pagemapLen-4+i] = page{kind: Stack, prot: 3, owner: pre}
	}
	w.m.pages[pagemapHeap] = page{kind: Heap, prot: 3, owner: pre}
	w.m.pages[pagemapHeap+1] = w.m.pages[pagemapHeap]
	for i := range fill {
		ev := Event{Op: OpMmap, Seq: uint64(1000 + i), Len: pageBytes, Prot: 3, Flags: anonPrivate, Ret: int64(pageAddr(8 + i))}
		w.m.mmap(&ev, 8+i, 1)
		w.s.Apply(&ev)
	}
	w.sums = w.m.sums()
	return w
}

// fuzzOp is the length of one encoded call.
const fuzzOp = 8

// step makes an event of op, if the kernel could have done it, gives it to
// both models and compares them.
func (w *world) step(tb testing.TB, seq uint64, op []byte) {
	at, n := int(binary.LittleEndian.Uint16(op[1:]))%pagemapLen, int(op[3])%48
	dst, to := int(binary.LittleEndian.Uint16(op[4:]))%pagemapLen, int(op[6])%48
	ev := Event{Seq: seq, Time: int64(seq), Thread: Thread{TID: uint32(op[7] >> 6)}, Stack: uint32(op[7] >> 5 & 1),
		Addr: pageAddr(at), Len: uint64(n) * pageBytes, Prot: uint32(op[7]) & 7}
	if op[7]&8 != 0 && n > 0 {
		ev.Len -= 100 // the kernel rounds up
	}
	fits := at+n <= pagemapLen && n > 0
	switch kind := op[0] % 16; kind {
	case 0, 1, 2, 3:
		ev.Op, ev.Ret = OpMmap, int64(ev.Addr)
		ev.Flags = [...]uint32{unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE,
			unix.MAP_SHARED | unix.MAP_ANONYMOUS, unix.MAP_PRIVATE}[kind]
		if !fits {
			return
		}
		w.m.mmap(&ev, at, n)
	case 4, 5:
		ev.Op = OpMunmap
		if !fits {
			return
		}
		w.m.munmap(at, n)
	case 6, 7, 8:
		ev.Op = OpMprotect
		if kind == 8 {
			ev.Op = OpPkeyMprotect
		}
		if !fits {
			return
		}
		for i := range n {
			if w.m.pages[at+i].kind == 0 {
				ev.Ret = -int64(unix.ENOMEM)
			}
		}
		w.m.mprotect(&ev, at, n)
	case 9:
		ev.Op, ev.Addr = OpBrk, pageAddr(w.m.brk)
		to := pagemapHeap + at%64
		for i := w.m.brk; i < to; i++ {
			if w.m.pages[i].kind != 0 {
				return
			}
		}
		ev.Ret = int64(pageAddr(to))
		w.m.setBrk(&ev, to)
	case 10, 11, 12, 13:
		ev.Op, ev.Flags = OpMremap, unix.MREMAP_MAYMOVE
		fixed, keep := op[7]&16 != 0, kind == 13
		switch {
		case kind == 10:
			dst = at
		case keep:
			to, ev.Flags = n, ev.Flags|unix.MREMAP_DONTUNMAP
		case kind == 12:
			to = n
		}
		if !w.m.canMremap(at, n, dst, to, fixed, keep) {
			return
		}
		if fixed && (dst != at || keep) {
			ev.Flags |= unix.MREMAP_FIXED
		}
		ev.NewLen, ev.Ret = uint64(to)*pageBytes, int64(pageAddr(dst))
		w.m.mremap(&ev, at, n, dst, to, keep)
	case 14:
		ev.Op, ev.Ret = OpShmat, int64(ev.Addr)
		if !fits {
			return
		}
		w.m.shmat(&ev, at, n)
	case 15:
		ev.Op = OpShmdt
		if p := w.m.pages[at]; p.seg != 0 {
			at = max(0, at-p.offset)
			ev.Addr = pageAddr(at)
		}
		if !w.m.shmdt(at) {
			return
		}
	}
	d := w.s.Apply(&ev)
	err := w.s.Check()
	if err == nil {
		err = w.m.compare(w.s)
	}
	if err == nil {
		before := w.sums
		w.sums = w.m.sums()
		err = compareDelta(d, before, w.sums)
	}
	if err != nil {
		tb.Helper()
		tb.Fatalf("after %+v: %v", ev, err)
	}
}

// FuzzApply compares Space with the page map after every call, and clones
// with theirs at the end.
func FuzzApply(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(byte(seed*51), randomOps(seed, 60))
	}
	f.Fuzz(func(t *testing.T, fill byte, ops []byte) {
		worlds := []*world{newWorld(t, int(fill))}
		for seq := uint64(1); len(ops) >= fuzzOp && seq <= 100; seq++ {
			w := worlds[int(seq)%len(worlds)]
			if ops[0] >= 252 && len(worlds) < 4 {
				worlds = append(worlds, w.clone())
			}
			w.step(t, 5000+seq, ops[:fuzzOp])
			ops = ops[fuzzOp:]
		}
		for i, w := range worlds {
			if err := w.m.compare(w.s); err != nil {
				t.Fatalf("world %d: %v", i, err)
			}
		}
	})
}

func randomOps(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	ops := make([]byte, n*fuzzOp)
	for i := range ops {
		ops[i] = byte(r.Uint32())
	}
	return ops
}

// TestApplyEqualsPageMap is the fuzz test over calls that crowd in a small
// range, where pieces of pieces are cut.
func TestApplyEqualsPageMap(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := newWorld(t, int(seed)%2*200)
		var copies []*world
		span := 16 + r.IntN(pagemapLen-16)
		for seq := range uint64(300) {
			op := randomOps(seed<<32|seq, 1)
			binary.LittleEndian.PutUint16(op[1:], uint16(r.IntN(span)))
			binary.LittleEndian.PutUint16(op[4:], uint16(r.IntN(span)))
			if seq%64 == 63 {
				copies = append(copies, w.clone())
			}
			w.step(t, 5000+seq, op)
		}
		for _, c := range copies {
			if err := c.m.compare(c.s); err != nil {
				t.Fatalf("seed %d: a clone changed with its original: %v", seed, err)
			}
		}
	}
}
