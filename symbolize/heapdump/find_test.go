package heapdump

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

const (
	addr = 0x7f0000001000
	size = 0x1000
)

var here = []Range{{addr, addr + size}}

// netty is a pool with one chunk and buffers: one held by a static field, one dropped, one given back.
func netty(ids int) *builder {
	b := &builder{ids: ids}
	b.class(0x100, 0, "java/lang/Object", 0)
	b.class(0x200, 0x100, "java/nio/Buffer", 0, "address", 11, "capacity", 10)
	b.class(0x300, 0x200, "java/nio/DirectByteBuffer", 0, "cleaner", 2, "att", 2)
	b.class(0x400, 0x100, "org/x/shaded/io/netty/buffer/AbstractByteBuf", 0)
	b.class(0x500, 0x400, "org/x/shaded/io/netty/buffer/PooledByteBuf", 0, "chunk", 2, "memory", 2, "maxLength", 10)
	b.class(0x600, 0x500, "org/x/shaded/io/netty/buffer/PooledUnsafeDirectByteBuf", 0, "memoryAddress", 11)
	b.class(0x700, 0x100, "org/x/shaded/io/netty/buffer/PoolChunk", 0, "memory", 2, "chunkSize", 10, "freeBytes", 10)
	b.class(0x800, 0x100, "org/x/shaded/io/netty/buffer/PoolArena", 0x1000, "chunk", 2)
	b.class(0xa00, 0x100, "org/x/shaded/io/netty/util/Recycler$Stack", 0x3000, "elements", 2)
	b.instance(0x3000, 0xa00, uint64(0x2500)) // what was given back may still refer to another buffer
	b.instance(0x2500, 0x600, int64(addr+350), uint64(0x1100), uint64(0x1200), int32(10))
	b.class(0x900, 0x100, "app/Sessions", 0x2000, "next", 2, "buf", 2)
	b.instance(0x1000, 0x800, uint64(0x1100))
	b.instance(0x1100, 0x700, uint64(0x1200), int32(size), int32(size-300))
	b.instance(0x1200, 0x300, uint64(0), uint64(0), int64(addr), int32(size))
	b.instance(0x1300, 0x300, uint64(0), uint64(0x1200), int64(addr), int32(size)) // shows the chunk's memory
	b.instance(0x2000, 0x900, uint64(0x2100), uint64(0))
	b.instance(0x2100, 0x900, uint64(0x2000), uint64(0x2200)) // a circle
	b.instance(0x2200, 0x600, int64(addr), uint64(0x1100), uint64(0x1200), int32(100))
	b.instance(0x2300, 0x600, int64(addr+100), uint64(0x1100), uint64(0x1200), int32(150))
	b.instance(0x2400, 0x600, int64(addr+250), uint64(0), uint64(0), int32(100))
	return b
}

func TestFindTellsAPoolsBuffersApart(t *testing.T) {
	for _, ids := range []int{4, 8} {
		h, err := find(netty(ids).bytes(), Options{Ranges: here})
		if err != nil {
			t.Fatal(err)
		}
		const pkg = "org.x.shaded.io.netty.buffer."
		want := []string{
			"held 1 " + pkg + "PooledUnsafeDirectByteBuf 100 B by static app.Sessions.owner: app.Sessions.next*1 app.Sessions.buf*1 " + pkg + "PooledUnsafeDirectByteBuf.*1",
			"dropped 1 " + pkg + "PooledUnsafeDirectByteBuf 150 B",
			"pool 1 java.nio.DirectByteBuffer 4096 B",
			"pool 1 " + pkg + "PoolChunk 4096 B",
			"pool 1 " + pkg + "PooledUnsafeDirectByteBuf 10 B",
			"view 1 java.nio.DirectByteBuffer 4096 B",
			"released 1 " + pkg + "PooledUnsafeDirectByteBuf 100 B",
		}
		for i, g := range h.Groups {
			if i >= len(want) || g.String() != want[i] {
				t.Errorf("ids of %d: group %d is %s", ids, i, g)
			}
		}
		if len(h.Groups) != len(want) || h.Odd != 0 {
			t.Errorf("%d groups, %d odd", len(h.Groups), h.Odd)
		}
		if p := h.Pool; p == nil || *p != (Pool{Chunks: 1, Size: size, Allocated: 300, Held: 100, Dropped: 150}) || p.Lost() != 200 {
			t.Errorf("the pool is %+v", p)
		}
	}
}

// adaptive is a chunk of 1 MiB of the adaptive pool, and buffers in it: one held, one dropped. Who frees the memory is in cleaner.
func adaptive(cleaner uint64) *builder {
	b := &builder{ids: 8}
	b.class(0x100, 0, "java/lang/Object", 0)
	b.class(0x200, 0x100, "java/nio/Buffer", 0, "address", 11, "capacity", 10)
	b.class(0x300, 0x200, "java/nio/DirectByteBuffer", 0, "cleaner", 2)
	b.class(0x400, 0x100, "io/netty/buffer/AbstractByteBuf", 0)
	b.class(0x500, 0x400, "io/netty/buffer/UnpooledUnsafeDirectByteBuf", 0, "buffer", 2, "capacity", 10, "memoryAddress", 11)
	b.class(0x600, 0x400, "io/netty/buffer/AdaptivePoolingAllocator$AdaptiveByteBuf", 0, "adjustment", 10, "rootParent", 2, "chunk", 2, "length", 10)
	b.class(0x700, 0x100, "io/netty/buffer/AdaptivePoolingAllocator$Chunk", 0, "delegate", 2)
	b.class(0x800, 0x100, "app/Sessions", 0x1400, "x", 2)
	b.instance(0x1000, 0x700, uint64(0x1100))
	b.instance(0x1100, 0x500, uint64(0x1200), int32(size), int64(addr))
	b.instance(0x1200, 0x300, cleaner, int64(addr), int32(size))
	b.instance(0x1300, 0x600, int32(256), uint64(0x1100), uint64(0x1000), int32(16))
	b.instance(0x1500, 0x500, uint64(0), int32(size), int64(addr))         // released
	b.instance(0x1400, 0x600, int32(512), uint64(0), uint64(0), int32(16)) // released
	return b
}

func TestFindFollowsAnAdaptivePoolsBuffers(t *testing.T) {
	for cleaner, state := range map[uint64]State{0: Dropped, 0x9999: Garbage} {
		h, err := find(adaptive(cleaner).bytes(), Options{Ranges: here})
		if err != nil {
			t.Fatal(err)
		}
		const pkg = "io.netty.buffer."
		want := []string{
			string(state) + " 1 " + pkg + "UnpooledUnsafeDirectByteBuf 4096 B",
			string(state) + " 1 java.nio.DirectByteBuffer 4096 B",
			string(state) + " 1 " + pkg + "AdaptivePoolingAllocator$AdaptiveByteBuf 16 B",
			"released 1 " + pkg + "UnpooledUnsafeDirectByteBuf 4096 B",
		}
		for i, g := range h.Groups {
			if i >= len(want) || g.String() != want[i] {
				t.Errorf("group %d is %s", i, g)
			}
		}
		if len(h.Groups) != len(want) || (h.Dropped == size) != (state == Dropped) {
			t.Errorf("%+v", h)
		}
		b := adaptive(cleaner)
		b.instance(0x2000, 0x800, uint64(0x1300))
		b.class(0x900, 0x100, "app/Kept", 0x2000)
		h, err = find(b.bytes(), Options{Ranges: here})
		if err != nil || len(h.Groups) == 0 || h.Groups[0].State != Held || h.Groups[0].Owner != "static app.Kept.owner" {
			t.Errorf("kept: %+v, %v", h, err)
		}
	}
}

func TestFindSaysWhatIsTooLarge(t *testing.T) {
	for _, opt := range []Options{{Ranges: here, MaxObjects: 5}, {Ranges: here, MaxRefs: 8}} {
		h, err := find(netty(8).bytes(), opt)
		if err != nil || h.Unproven == "" || len(h.Groups) != 3 {
			t.Fatalf("%+v, %v", h, err)
		}
		for _, g := range h.Groups {
			if g.State != Unknown || g.Owner != "" {
				t.Errorf("%s", g)
			}
		}
	}
}

func TestFindRefusesWhatIsNoWholeDump(t *testing.T) {
	whole := netty(8).bytes()
	for n := range whole {
		// The last record may be missing: all of the heap was there.
		if _, err := find(whole[:n], Options{Ranges: here}); !errors.Is(err, ErrCorrupt) && n < len(whole)-9 {
			t.Fatalf("cut at byte %d of %d: %v", n, len(whole), err)
		}
	}
	circle := &builder{ids: 8}
	circle.class(0x100, 0x200, "A", 0)
	circle.class(0x200, 0x100, "B", 0)
	if _, err := find(circle.bytes(), Options{Ranges: here}); err == nil || !strings.Contains(err.Error(), "circle") {
		t.Errorf("classes in a circle: %v", err)
	}
	long := netty(8)
	long.declared = 1<<32 - 1
	if _, err := find(long.bytes(), Options{Ranges: here}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a segment of 4 GiB: %v", err)
	}
	for name, write := range map[string]func(*bytes.Buffer){
		"an array of 4 G references": func(w *bytes.Buffer) {
			put(w, byte(0x22), uint64(1), uint32(0), uint32(1<<32-1), uint64(0x100))
		},
		"an array of 4 G longs":                      func(w *bytes.Buffer) { put(w, byte(0x23), uint64(1), uint32(0), uint32(1<<32-1), byte(11)) },
		"an instance of 4 GiB":                       func(w *bytes.Buffer) { put(w, byte(0x21), uint64(1), uint32(0), uint64(0x100), uint32(1<<32-1)) },
		"an array of references of a type of values": func(w *bytes.Buffer) { put(w, byte(0x23), uint64(1), uint32(0), uint32(0), byte(2)) },
		"an unknown record":                          func(w *bytes.Buffer) { put(w, byte(0xc3), uint64(1)) },
	} {
		b := netty(8)
		write(&b.heap)
		if _, err := find(b.bytes(), Options{Ranges: here}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFindCountsObjectsThatDoNotFitTheirClass(t *testing.T) {
	b := netty(8)
	b.instance(0x5000, 0x600, int64(addr))
	b.instance(0x5100, 0xdead, int64(addr))
	h, err := find(b.bytes(), Options{Ranges: here})
	if err != nil || h.Odd != 2 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestFindPutsOwnersTogetherThatAreTooMany(t *testing.T) {
	b := netty(8)
	for i := range uint64(maxGroups + 100) {
		at := 0x100000 + i*0x1000
		b.class(at, 0x100, "app/Holder", at+0x800)
		b.instance(at+0x800, 0x600, int64(addr+i), uint64(0x1100), uint64(0x1200), int32(1))
	}
	h, err := find(b.bytes(), Options{Ranges: here})
	if err != nil || len(h.Groups) > 2*maxGroups {
		t.Fatalf("%d groups, %v", len(h.Groups), err)
	}
	count := 0
	others := false
	for _, g := range h.Groups {
		if g.State == Held {
			count += g.Count
			others = others || g.Owner == "one of many others" && g.Count > 1
		}
	}
	if count != maxGroups+101 || !others {
		t.Errorf("%d are held, others %v", count, others)
	}
}

func FuzzFind(f *testing.F) {
	f.Add(netty(4).bytes())
	f.Add(netty(8).bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := find(data, Options{Ranges: here, MaxObjects: 1000, MaxRefs: 1000})
		if err != nil {
			return
		}
		for _, g := range h.Groups {
			if g.Bytes > h.Bytes || g.Count < 1 || (g.State == Held) != (g.Owner != "") {
				t.Errorf("%s", g)
			}
		}
	})
}

func TestIndexFindsEachIdAndNoOther(t *testing.T) {
	for _, ids := range [][]uint64{nil, {7}, {0, 1}, {1, 1 << 63, 1<<64 - 1}, {8, 8, 16, 24, 1 << 40, 1<<40 + 8}} {
		in := map[uint64]bool{}
		for _, id := range ids {
			in[id] = true
		}
		x := newIndex(append([]uint64(nil), ids...))
		for _, id := range append([]uint64{0, 1, 2, 8, 9, 1 << 40, 1<<40 - 1, 1<<64 - 1, 1<<64 - 2}, ids...) {
			if node, ok := x.find(id); ok != in[id] || ok && x.ids[node] != id {
				t.Errorf("%x in %x: %d, %v", id, ids, node, ok)
			}
		}
	}
}
