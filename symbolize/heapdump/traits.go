package heapdump

import (
	"encoding/binary"
	"regexp"
	"strings"
)

// traits is what is known of a class by its name, or its superclasses' names.
type traits uint16

const (
	isThread   traits = 1 << iota
	isString          // java.lang.String
	isCleaner         // frees memory when its referent is gone; in a list that the JVM keeps
	isPool            // the books of an allocator: it refers to all of its memory, whoever uses it
	isChunk           // of these: Netty's PoolChunk
	isBuffer          // java.nio.Buffer
	isByteBuf         // Netty's
	isPooled          // of these: one that belongs to a pool's chunk
	isSegment         // java.lang.foreign.MemorySegment
	isBookkeep        // knows an address only in order to free it
)

// inherited are the traits that subclasses have, too.
const inherited = isThread | isCleaner | isBuffer | isByteBuf | isPooled | isSegment

// The package is open on the left: Netty is often relocated (org.apache.foo.shaded.io.netty).
var (
	poolNames    = regexp.MustCompile(`(^|\.)buffer\.(PoolArena|PoolChunk|PoolChunkList|PoolSubpage|PoolThreadCache|PooledByteBufAllocator)(\$|$)`)
	chunkName    = regexp.MustCompile(`(^|\.)buffer\.PoolChunk$`)
	byteBufName  = regexp.MustCompile(`(^|\.)buffer\.AbstractByteBuf$`)
	adaptName    = regexp.MustCompile(`(^|\.)buffer\.AdaptivePoolingAllocator(\$|$)`) // of 4.1.75 and later
	adaptBuf     = regexp.MustCompile(`(^|\.)buffer\.AdaptivePoolingAllocator\$AdaptiveByteBuf$`)
	pooledName   = regexp.MustCompile(`(^|\.)buffer\.PooledByteBuf$`)
	recyclerName = regexp.MustCompile(`(^|\.)util\.Recycler(\$|$)`) // keeps what was given back, and what that still refers to
	bookkeepName = regexp.MustCompile(`^(java\.nio|sun\.nio\.ch)\..*(Deallocator|Unmapper)$`)
)

func traitsOf(c *class) (t traits) {
	if c.parent != nil {
		t = c.parent.traits & inherited
	}
	switch c.name {
	case "java.lang.Thread":
		t |= isThread
	case "java.lang.String":
		t |= isString
	case "java.nio.Buffer":
		t |= isBuffer
	case "jdk.internal.ref.Cleaner", "sun.misc.Cleaner", "java.nio.BufferCleaner$PhantomCleaner",
		"jdk.internal.ref.PhantomCleanable", "jdk.internal.ref.WeakCleanable", "jdk.internal.ref.SoftCleanable":
		t |= isCleaner
	case "jdk.internal.foreign.AbstractMemorySegmentImpl":
		t |= isSegment
	}
	if strings.Contains(c.name, "buffer.") {
		for _, n := range []struct {
			name  *regexp.Regexp
			trait traits
		}{{poolNames, isPool}, {chunkName, isChunk}, {byteBufName, isByteBuf}, {pooledName, isPooled}} {
			if n.name.MatchString(c.name) {
				t |= n.trait
			}
		}
	}
	if adaptName.MatchString(c.name) && !adaptBuf.MatchString(c.name) {
		t |= isPool
	}
	if recyclerName.MatchString(c.name) {
		t |= isPool
	}
	if bookkeepName.MatchString(c.name) {
		t |= isBookkeep
	}
	return t
}

// shape is the offsets of the fields of a known kind of object; -1 is none.
type shape struct {
	address, length int // of its memory
	wide            bool
	unit            uint64
	chunk, within   int // of a pooled buffer: its chunk, and where in it
	base            int // of other buffers of Netty: whose memory it is
	memory, free    int // of a chunk: its buffer, and how many bytes of it are free
	cleaner         int // of a java.nio buffer: who frees it
	att, segment    int // and whose memory it shows, if it is not its own
	session         int // of a memory segment: when it ends its memory is freed
	name            int // of a thread, or value of a string
}

// shapeOf finds the fields of a class that is known. What is not found stays -1, and the object is one like any other.
func (d *dump) shapeOf(c *class) shape {
	const typeInt = 10
	s := shape{-1, -1, false, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}
	switch t := c.traits; {
	case t&isChunk != 0:
		s.memory, s.length, s.free = d.offset(c, "memory", typeObject), d.offset(c, "chunkSize", typeInt), d.offset(c, "freeBytes", typeInt)
	case t&isPooled != 0:
		s.address, s.length = d.offset(c, "memoryAddress", typeLong), d.offset(c, "maxLength", typeInt)
		s.chunk, s.within = d.offset(c, "chunk", typeObject), d.offset(c, "offset", typeInt)
	case t&isByteBuf != 0 && adaptBuf.MatchString(c.name):
		s.base, s.length = d.offset(c, "rootParent", typeObject), d.offset(c, "length", typeInt)
		if s.within = d.offset(c, "adjustment", typeInt); s.within < 0 {
			s.within = d.offset(c, "startIndex", typeInt)
		}
	case t&isByteBuf != 0:
		s.base = d.offset(c, "buffer", typeObject)
		s.address, s.length = d.offset(c, "memoryAddress", typeLong), d.offset(c, "capacity", typeInt)
	case t&isBuffer != 0:
		s.address, s.length, s.cleaner = d.offset(c, "address", typeLong), d.offset(c, "capacity", typeInt), d.offset(c, "cleaner", typeObject)
		s.att, s.segment = d.offset(c, "att", typeObject), d.offset(c, "segment", typeObject)
		s.unit = elementSize(c.name)
	case t&isSegment != 0:
		s.address, s.length, s.wide = d.offset(c, "min", typeLong), d.offset(c, "length", typeLong), true
		s.session = d.offset(c, "scope", typeObject)
	case t&isBookkeep != 0:
		s.address, s.length, s.wide = d.offset(c, "address", typeLong), d.offset(c, "size", typeLong), true
	case t&isThread != 0:
		s.name = d.offset(c, "name", typeObject)
	case t&isString != 0:
		s.name = d.offset(c, "value", typeObject)
	}
	return s
}

// elementSize is what one element of a java.nio buffer takes, by the buffer's name.
func elementSize(name string) uint64 {
	switch {
	case strings.HasPrefix(name, "java.nio.DirectLong"), strings.HasPrefix(name, "java.nio.DirectDouble"):
		return 8
	case strings.HasPrefix(name, "java.nio.DirectInt"), strings.HasPrefix(name, "java.nio.DirectFloat"):
		return 4
	case strings.HasPrefix(name, "java.nio.DirectChar"), strings.HasPrefix(name, "java.nio.DirectShort"):
		return 2
	}
	return 1
}

// long reads the eight bytes at an offset, 0 if there are none.
func long(data []byte, at int) uint64 {
	if at < 0 || at+8 > len(data) {
		return 0
	}
	return binary.BigEndian.Uint64(data[at:])
}

// integer reads a Java int at an offset; negative ones, and none, are 0.
func integer(data []byte, at int) uint64 {
	if at < 0 || at+4 > len(data) {
		return 0
	}
	return uint64(max(int32(binary.BigEndian.Uint32(data[at:])), 0))
}

// ref reads a reference at an offset, 0 if there is none.
func (d *dump) ref(data []byte, at int) uint64 {
	if at < 0 || at+d.idSize > len(data) {
		return 0
	}
	return idOf(data[at : at+d.idSize])
}
