package heapdump

import (
	"context"
	"io"
)

// The types of values in a dump.
const (
	typeObject = 2
	typeChar   = 5
	typeLong   = 11
)

// typeSize is the size of a value, 0 of a type that does not exist.
func typeSize(t byte, idSize int) int {
	switch t {
	case typeObject:
		return idSize
	case 4, 8: // boolean, byte
		return 1
	case 5, 9: // char, short
		return 2
	case 6, 10: // float, int
		return 4
	case 7, typeLong: // double
		return 8
	}
	return 0
}

// The kinds of GC roots.
const (
	rootUnknown   = 0xff
	rootJNIGlobal = 0x01
	rootJNILocal  = 0x02
	rootJavaFrame = 0x03
	rootNative    = 0x04
	rootClass     = 0x05
	rootBlock     = 0x06
	rootMonitor   = 0x07
	rootThread    = 0x08
)

// root is one GC root.
type root struct {
	kind   byte
	id     uint64
	thread uint32 // its serial number in the dump
	frame  uint32 // of rootJavaFrame and rootJNILocal: depth in the thread's stack; noFrame if none
}

const noFrame = ^uint32(0)

// visitor is what a pass wants to see. What is nil is skipped. Slices are valid during the call only.
type visitor struct {
	text  func(id uint64, text []byte)
	load  func(serial uint32, class, name uint64)
	frame func(id, method uint64, class, line uint32)
	trace func(serial, thread uint32, frames []uint64)
	heap  func() // before the first object

	class    func(*class)
	root     func(root)
	instance func(id, class uint64, data []byte)
	array    func(id, class uint64, n uint32) bool // of objects; false: elements are not wanted
	elements func(part []byte)                     // whole ids, in order, one or more calls for each array
	prims    func(id uint64, typ byte, n uint32) bool
	prim     func(data []byte) // the first bytes, at most primHead
}

// primHead is how much of an array of primitives is ever looked at: it may be the name of a thread.
const primHead = 1024

// scan reads the whole dump once.
func scan(ctx context.Context, src io.ReaderAt, size int64, v *visitor) error {
	r := newReader(io.NewSectionReader(src, 0, size), size)
	r.header()
	begun := false
	for r.err == nil && r.at < size {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.end = size
		tag := r.u1()
		r.skip(4) // time
		length := int64(r.u4())
		if r.err == nil && length > r.left() {
			r.corrupt("a record of %d bytes where %d are left: the dump is cut", length, r.left())
		}
		if r.err != nil {
			break
		}
		r.end = r.at + length
		switch tag {
		case 0x0c, 0x1c:
			if !begun && v.heap != nil {
				v.heap()
			}
			begun = true
			v.segment(ctx, r)
		default:
			v.record(r, tag)
			r.skip(r.left())
		}
	}
	if r.err == nil && !begun {
		r.corrupt("no heap in it")
	}
	return r.err
}

// record reads a record of the outermost level.
func (v *visitor) record(r *reader, tag byte) {
	switch {
	case tag == 0x01 && v.text != nil:
		id := r.id()
		text := r.bytes(int(min(max(r.left(), 0), maxName)))
		if r.err == nil {
			v.text(id, text)
		}
	case tag == 0x02 && v.load != nil:
		serial, class := r.u4(), r.id()
		r.skip(4)
		if name := r.id(); r.err == nil {
			v.load(serial, class, name)
		}
	case tag == 0x04 && v.frame != nil:
		id, method := r.id(), r.id()
		r.skip(int64(2 * r.idSize))
		class, line := r.u4(), r.u4()
		if r.err == nil {
			v.frame(id, method, class, line)
		}
	case tag == 0x05 && v.trace != nil:
		serial, thread, n := r.u4(), r.u4(), r.u4()
		if int64(n)*int64(r.idSize) > r.left() {
			r.corrupt("a trace of %d frames", n)
			return
		}
		frames := make([]uint64, 0, min(n, maxTrace))
		for range cap(frames) {
			frames = append(frames, r.id())
		}
		if r.err == nil {
			v.trace(serial, thread, frames)
		}
	}
}

// segment reads the objects and roots of one segment.
func (v *visitor) segment(ctx context.Context, r *reader) {
	for n := 0; r.err == nil && r.left() > 0; n++ {
		if n&0xffff == 0 && ctx.Err() != nil {
			r.err = ctx.Err()
			return
		}
		switch tag := r.u1(); tag {
		case 0x20:
			c := r.class()
			if r.err == nil && v.class != nil {
				v.class(c)
			}
		case 0x21:
			v.readInstance(r)
		case 0x22:
			v.readArray(r)
		case 0x23:
			v.readPrims(r)
		default:
			v.readRoot(r, tag)
		}
	}
}

func (v *visitor) readInstance(r *reader) {
	id := r.id()
	r.skip(4)
	class := r.id()
	n := int64(r.u4())
	if v.instance == nil || n > readSize {
		r.skip(n) // of more than a class can have fields
		return
	}
	if data := r.bytes(int(n)); r.err == nil {
		v.instance(id, class, data)
	}
}

func (v *visitor) readArray(r *reader) {
	id := r.id()
	r.skip(4)
	n := r.u4()
	class := r.id()
	bytes := int64(n) * int64(r.idSize)
	if r.err == nil && bytes > r.left() {
		r.corrupt("an array of %d elements where %d bytes are left", n, r.left())
	}
	if r.err != nil || v.array == nil || !v.array(id, class, n) {
		r.skip(bytes)
		return
	}
	for bytes > 0 && r.err == nil {
		part := min(bytes, readSize/2)
		if b := r.bytes(int(part)); r.err == nil {
			v.elements(b)
		}
		bytes -= part
	}
}

func (v *visitor) readPrims(r *reader) {
	id := r.id()
	r.skip(4)
	n, typ := r.u4(), r.u1()
	size := typeSize(typ, r.idSize)
	if r.err == nil && (size == 0 || typ == typeObject) {
		r.corrupt("an array of type %d", typ)
	}
	bytes := int64(n) * int64(size)
	if r.err == nil && v.prims != nil && v.prims(id, typ, n) {
		head := min(bytes, primHead)
		if b := r.bytes(int(head)); r.err == nil {
			v.prim(b)
		}
		bytes -= head
	}
	r.skip(bytes)
}

func (v *visitor) readRoot(r *reader, tag byte) {
	o := root{kind: tag, id: r.id(), frame: noFrame}
	switch tag {
	case rootUnknown, rootClass, rootMonitor:
	case rootJNIGlobal:
		r.skip(int64(r.idSize))
	case rootJNILocal, rootJavaFrame:
		o.thread, o.frame = r.u4(), r.u4()
	case rootNative, rootBlock:
		o.thread = r.u4()
	case rootThread:
		o.thread = r.u4()
		r.skip(4)
	default:
		r.corrupt("a record of the unknown kind 0x%02x", tag)
	}
	if r.err == nil && v.root != nil {
		v.root(o)
	}
}
