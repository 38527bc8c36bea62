package malloc

import (
	"encoding/binary"
	"testing"
	"time"
)

// garbage is a memory with libc's data, a break and two heaps, which hold a whole malloc that data then damages. Pages are read as they are
// at the time: one that is odd says something else each time.
type garbage struct {
	pages map[uint64][]byte
	odd   byte
	reads int
}

const (
	fakeData = 0x7f0000001000
	fakeBrk  = 0x550000000000
	fakeHeap = 0x7e0000000000
	fakeSize = 64 << 10 // of the break and of each heap
)

func (g *garbage) read(requests []request) error {
	for i := range requests {
		r := &requests[i]
		g.reads++
		r.ok = true
		for at := range r.buf {
			page := g.pages[(r.addr+uint64(at))/pageSize]
			if page == nil {
				r.ok = false
				break
			}
			r.buf[at] = page[(r.addr+uint64(at))%pageSize]
		}
		if g.odd != 0 && g.reads%int(g.odd) == 0 {
			r.buf[g.reads%len(r.buf)] ^= g.odd
		}
	}
	return nil
}

func (g *garbage) present(addr uint64, pages []bool) error {
	for i := range pages {
		pages[i] = g.pages[addr/pageSize+uint64(i)] != nil
	}
	return nil
}

func (g *garbage) put(addr uint64, words ...uint64) {
	for i, w := range words {
		at := addr + uint64(i)*8
		page := g.pages[at/pageSize]
		if page == nil {
			page = make([]byte, pageSize)
			g.pages[at/pageSize] = page
		}
		binary.LittleEndian.PutUint64(page[at%pageSize:], w)
	}
}

// arena writes an arena with one block in the unsorted bin, one in a small bin, two in a fast list.
func (g *garbage) arena(addr, next, memory, size uint64) {
	bins := addr + headBytes[0]
	for i := range uint64(binCount) {
		self := bins + 16*i - 16
		g.put(self+16, self, self)
	}
	unsorted, small, fast1, fast2 := memory+0x2000, memory+0x4000, memory+0x5000, memory+0x6000
	g.put(bins, unsorted, unsorted)
	g.put(unsorted, 0, 0x1800|1, bins-16, bins-16)
	g.put(bins+16*5, small, small)
	g.put(small, 0, 0x60|1, bins+16*5-16, bins+16*5-16)
	g.put(bins-topBefore-fastBytes+8*2, fast1)
	g.put(fast1, 0, 0x40|1, fast2^(fast1+16)>>12)
	g.put(fast2, 0, 0x40|1, (fast2+16)>>12)
	top := memory + 0x8000
	g.put(bins-topBefore, top, 0)
	g.put(top, 0, memory+size-top|1)
	g.put(bins+nextAfter, next)
	g.put(bins+systemAt, size)
}

func newGarbage() (*garbage, []row) {
	g := &garbage{pages: map[uint64][]byte{}}
	for at := uint64(0); at < fakeSize; at += pageSize {
		g.put(fakeBrk+at, 0)
		g.put(fakeHeap+at, 0)
		g.put(fakeHeap+heapBytes+at, 0)
	}
	main, first, second := uint64(fakeData+0x840), uint64(fakeHeap+48), uint64(fakeHeap+heapBytes+48)
	g.arena(main, first, fakeBrk, fakeSize)
	g.arena(first, second, fakeHeap, fakeSize)
	g.arena(second, main, fakeHeap+heapBytes, fakeSize)
	for _, a := range []uint64{first, second} {
		g.put(a-48, a, 0, fakeSize, fakeSize)
	}
	return g, []row{{fakeBrk, fakeBrk + fakeSize, true, "[heap]"}, {fakeHeap, fakeHeap + fakeSize, true, ""},
		{fakeHeap + heapBytes, fakeHeap + heapBytes + fakeSize, true, ""}, {fakeData, fakeData + 4*pageSize, true, "libc.so.6"}}
}

func TestAWholeMallocIsRead(t *testing.T) {
	g, rows := newGarbage()
	r, err := readFrom(g, rows, Options{Time: time.Second})
	if err != nil || len(r.Arenas) != 3 {
		t.Fatal(r, err)
	}
	for _, a := range r.Arenas {
		if a.Free != 0x1800+0x60+2*0x40+0x8000 || a.Fast != 2*0x40 || a.Incomplete != "" {
			t.Errorf("%+v", a)
		}
	}
}

// Whatever the memory says, the reading ends, and what it says of an arena is not more than the arena can have.
func FuzzGarbage(f *testing.F) {
	f.Add([]byte{0}, byte(0))
	f.Add([]byte{1, 0x10, 2, 3, 4, 5, 6, 7, 2, 0x50, 0, 1, 255, 255, 255, 255}, byte(3))
	f.Add([]byte{0, 0x40, 8, 2, 0, 0, 1, 0, 3, 0x20, 16, 2, 0x20, 0, 2, 0}, byte(0))
	f.Fuzz(func(t *testing.T, data []byte, odd byte) {
		g, rows := newGarbage()
		bases := []uint64{fakeData, fakeBrk, fakeHeap, fakeHeap + heapBytes}
		for ; len(data) >= 8; data = data[8:] {
			at := bases[data[0]%4] + uint64(binary.LittleEndian.Uint16(data[1:]))&^7%(4*pageSize)
			switch value := uint64(binary.LittleEndian.Uint32(data[4:])); data[3] % 4 {
			case 0:
				g.put(at, value)
			case 1:
				g.put(at, ^value)
			case 2: // an address of it
				g.put(at, bases[data[4]%4]+value>>8%fakeSize)
			case 3:
				delete(g.pages, at/pageSize)
			}
		}
		g.odd = odd
		began := time.Now()
		r, err := readFrom(g, rows, Options{Time: 200 * time.Millisecond})
		if time.Since(began) > 10*time.Second {
			t.Fatal("it does not end")
		}
		if err != nil {
			return
		}
		for _, a := range r.Arenas {
			if a.Top > a.Free || a.Trimmable+a.TopResident > a.Free || a.Fast > a.Free {
				t.Fatalf("%+v", a)
			}
		}
	})
}
