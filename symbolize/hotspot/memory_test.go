package hotspot

import (
	"encoding/binary"
	"errors"
	"os"
	"sort"
	"strings"
	"testing"
	"time"
	"unsafe"
)

var errUnmapped = errors.New("nothing is mapped there")

// fakeMemory is a memory of pages, made as they are written.
type fakeMemory map[uint64]*[pageSize]byte

func (m fakeMemory) Read(addr uint64, p []byte) error {
	for len(p) > 0 {
		page, ok := m[addr/pageSize]
		if !ok {
			return errUnmapped
		}
		n := copy(p, page[addr%pageSize:])
		p, addr = p[n:], addr+uint64(n)
	}
	return nil
}

func (m fakeMemory) write(addr uint64, p []byte) {
	for len(p) > 0 {
		page, ok := m[addr/pageSize]
		if !ok {
			page = new([pageSize]byte)
			m[addr/pageSize] = page
		}
		n := copy(page[addr%pageSize:], p)
		p, addr = p[n:], addr+uint64(n)
	}
}

func (m fakeMemory) put8(addr uint64, v uint8) { m.write(addr, []byte{v}) }

func (m fakeMemory) put16(addr uint64, v uint16) {
	m.write(addr, binary.LittleEndian.AppendUint16(nil, v))
}

func (m fakeMemory) put32(addr uint64, v uint32) {
	m.write(addr, binary.LittleEndian.AppendUint32(nil, v))
}

func (m fakeMemory) put64(addr uint64, v uint64) {
	m.write(addr, binary.LittleEndian.AppendUint64(nil, v))
}

// copied returns a memory that can be changed without changing m.
func (m fakeMemory) copied() fakeMemory {
	c := fakeMemory{}
	for number, page := range m {
		other := *page
		c[number] = &other
	}
	return c
}

// numbers are the pages' numbers in order.
func (m fakeMemory) numbers() []uint64 {
	var all []uint64
	for number := range m {
		all = append(all, number)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return all
}

func TestAPageIsNeverOlderThanItsAge(t *testing.T) {
	mem := fakeMemory{}
	mem.put64(0x1000, 1)
	mem.put64(0x2000, 1)
	var now time.Duration
	c := NewPageCache(mem)
	c.now = func() time.Duration { return now }
	r := reader{c}
	read := func(addr, want uint64) {
		t.Helper()
		if got, err := r.u64(addr); err != nil || got != want {
			t.Errorf("at %v: %d, %v instead of %d", now, got, err, want)
		}
	}
	read(0x1000, 1)
	now += maxAge / 2
	mem.put64(0x1000, 2)
	read(0x1000, 1)
	read(0x2000, 1) // does not make the first page younger
	now += maxAge/2 + 1
	read(0x1000, 2)
	mem.put64(0x1000, 3)
	read(0x1000, 2)
	c.Drop()
	read(0x1000, 3)
}

func TestThePageCacheIsBounded(t *testing.T) {
	mem := fakeMemory{}
	c := NewPageCache(mem)
	c.now = func() time.Duration { return 0 }
	for i := uint64(1); i < 3*maxPages; i++ {
		mem[i] = new([pageSize]byte)
		mem.put64(i*pageSize, i)
		if got, err := (reader{c}).u64(i * pageSize); err != nil || got != i {
			t.Fatalf("page %d: %d, %v", i, got, err)
		}
	}
	if len(c.pages) > maxPages || len(c.index) > maxPages {
		t.Errorf("%d pages", len(c.pages))
	}
}

func TestReadsAcrossPages(t *testing.T) {
	mem := fakeMemory{}
	text := strings.Repeat("0123456789", 1000)
	mem.write(0x1ff8, append([]byte(text), 0))
	for _, r := range []reader{{mem}, {NewPageCache(mem)}} {
		if got, err := r.cstring(0x1ff8, 20000); err != nil || got != text {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := r.cstring(0x1ff8, 100); err == nil {
			t.Error("a string beyond its bound")
		}
		if got, err := r.bytes(0x1ff8, len(text)); err != nil || string(got) != text {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := r.u64(0x4ffc); !errors.Is(err, errUnmapped) {
			t.Errorf("half a word: %v", err)
		}
		if _, err := r.bytes(0x1ff8, maxRead+1); err == nil {
			t.Error("a read beyond all bounds")
		}
	}
}

func TestProcessMemory(t *testing.T) {
	mem := ProcessMemory{PID: os.Getpid()}
	want := []byte("some bytes of our own")
	got := make([]byte, len(want))
	if err := mem.Read(uint64(uintptr(unsafe.Pointer(&want[0]))), got); err != nil || string(got) != string(want) {
		t.Errorf("%q, %v", got, err)
	}
	if err := mem.Read(16, got); err == nil {
		t.Error("the first page can be read")
	}
	if err := (ProcessMemory{PID: 1 << 30}).Read(0x1000, got); err == nil {
		t.Error("a process that is none can be read")
	}
}
