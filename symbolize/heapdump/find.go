package heapdump

import (
	"context"
	"fmt"
	"io"
)

// Options say what is looked for.
type Options struct {
	// Ranges are the addresses in question.
	Ranges []Range
	// MaxObjects and MaxRefs bound what is held in memory, at some 25 and 4 bytes each. 0: 48 million, 160 million.
	// Beyond them the objects are listed without saying who holds them.
	MaxObjects, MaxRefs int
}

// maxFound bounds the objects that are kept of those found.
const maxFound = 2 << 20

// Find reads a heap dump and returns the objects with addresses in the given ranges, grouped by class and by who holds them.
// src must not change meanwhile.
func Find(ctx context.Context, src io.ReaderAt, size int64, opt Options) (*Holders, error) {
	if opt.MaxObjects <= 0 {
		opt.MaxObjects = 48_000_000
	}
	if opt.MaxRefs <= 0 {
		opt.MaxRefs = 160_000_000
	}
	r := newReader(io.NewSectionReader(src, 0, size), size)
	if r.header(); r.err != nil {
		return nil, r.err
	}
	d := &dump{opt: opt, idSize: r.idSize, ranges: union(opt.Ranges), classes: map[uint64]*class{}, className: map[uint64]uint64{},
		bySerial: map[uint32]uint64{}, frames: map[uint64]frame{}, traces: map[uint32][]uint64{}, texts: map[uint64]string{},
		threads: map[uint64]uint64{}, threadOf: map[uint32]uint64{}, strings: map[uint64]javaText{}, values: map[uint64]string{}, chars: map[uint64]bool{}}
	for _, pass := range []func() *visitor{d.readClasses, d.readObjects} {
		if err := d.scan(ctx, src, size, pass()); err != nil {
			return nil, err
		}
	}
	d.settleFound()
	if d.tooLarge != "" {
		return d.holders(), nil
	}
	if err := d.scan(ctx, src, size, d.readRefs()); err != nil {
		return nil, err
	}
	d.group()
	if err := d.scan(ctx, src, size, d.readPaths()); err != nil {
		return nil, err
	}
	return d.holders(), nil
}

func (d *dump) scan(ctx context.Context, src io.ReaderAt, size int64, v *visitor) error {
	if err := scan(ctx, src, size, v); err != nil {
		return err
	}
	return d.err
}

// dump is what is known of a heap dump so far.
type dump struct {
	opt    Options
	idSize int
	ranges []Range
	err    error // found by a visitor

	classes   map[uint64]*class
	order     []*class
	className map[uint64]uint64 // text of a class's name
	bySerial  map[uint32]uint64 // class of a serial number
	roots     []root
	frames    map[uint64]frame
	traces    map[uint32][]uint64 // frames of a thread, by its serial number
	texts     map[uint64]string   // those that are needed

	textBytes int

	ids      []uint64 // of nodes
	found    []object
	pooled   []object // pooled buffers that know only where in a chunk, or in another buffer, they are
	chunks   []chunk
	refs     uint64 // of nodes, at most
	unkept   int    // found, but too many
	odd      int    // objects that do not fit their class, or have none
	objects  int    // instances and arrays of objects in the dump
	tooLarge string // why nothing is said of who holds what

	g       *graph
	way     *walker // the walk from the owners
	origins []origin
	groups  []*group
	paths   map[edge]string     // the field by which one node of a path refers to the next
	onPath  map[uint64][]uint64 // what readPaths must find: nodes, and what they refer to

	threadOf map[uint32]uint64   // thread of a serial number
	threads  map[uint64]uint64   // name of a thread: a string
	strings  map[uint64]javaText // of strings that are needed
	values   map[uint64]string   // of arrays that are needed
	chars    map[uint64]bool     // those of them that are of char
}

type frame struct {
	method uint64
	class  uint32
	line   uint32
}

// object stands for memory in the ranges.
type object struct {
	id       uint64
	class    *class
	addr     uint64
	length   uint64 // 0 unknown
	chunk    uint64 // of a pooled buffer
	base     uint64 // of another buffer of Netty: whose memory it is
	session  uint64 // of a memory segment
	released bool   // it was given back to its pool: the address is a memory of former times
	view     bool   // it shows memory of another one, which it refers to
	cleaned  bool   // a cleaner frees the memory when the object is gone
}

// chunk is a piece of memory of which Netty's pool serves buffers.
type chunk struct {
	id, memory uint64
	class      *class
	size, free uint64
}

// fail keeps the first error of a visitor.
func (d *dump) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("read the heap dump: "+format, args...)
	}
}

// text is a text of the dump that was asked for, or a sign that it is missing.
func (d *dump) text(id uint64) string {
	if s, ok := d.texts[id]; ok && s != "" {
		return s
	}
	return "?"
}

// need asks for a text in the next pass.
func (d *dump) need(id uint64) {
	if id != 0 {
		d.texts[id] = ""
	}
}
