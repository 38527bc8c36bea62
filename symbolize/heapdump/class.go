package heapdump

import "strings"

// class is a class of the dump. The record's own fields are set by reader.class, the rest by classes.settle.
type class struct {
	id, super, loader  uint64
	signers, protector uint64
	fields             []field  // its own, in the order of the data
	statics            []static // those that are not 0

	name   string
	parent *class
	state  settling
	size   int     // of an instance's data
	refs   []int32 // offsets in the data of all references but those that hold nothing
	longs  []int32
	traits traits
	shape  shape // where an object of a known kind says what memory it stands for
	index  uint32
}

type field struct {
	name uint64
	typ  byte
}

// static is a static field: a reference, or a long.
type static struct {
	name  uint64
	typ   byte
	value uint64
}

// Limits of what is kept of a dump. Beyond them it is refused, since a part of it proves nothing.
const (
	maxClasses = 1 << 20
	maxFields  = 4 << 20  // of all classes, those inherited counted again
	maxName    = 1024     // bytes kept of a name
	maxText    = 64 << 20 // bytes kept of all names; those beyond are shown as "?"
	maxTrace   = 4096     // frames kept of a thread
	maxFrames  = 1 << 20
	maxRoots   = 8 << 20
	maxDepth   = 256 // of inheritance
)

// class reads a class dump.
func (r *reader) class() *class {
	c := &class{id: r.id()}
	r.skip(4)
	c.super, c.loader, c.signers, c.protector = r.id(), r.id(), r.id(), r.id()
	r.skip(int64(2*r.idSize) + 4)
	for range r.u2() { // constants, of which HotSpot writes none
		r.skip(2)
		r.value()
	}
	for range r.u2() {
		s := static{name: r.id()}
		s.typ, s.value = r.value()
		if s.value != 0 && (s.typ == typeObject || s.typ == typeLong) {
			c.statics = append(c.statics, s)
		}
	}
	n := r.u2()
	if r.err == nil && int64(n)*int64(r.idSize+1) > r.left() {
		r.corrupt("a class of %d fields", n)
	}
	if r.err != nil {
		return c
	}
	c.fields = make([]field, 0, n)
	for range n {
		f := field{name: r.id(), typ: r.u1()}
		if r.err == nil && typeSize(f.typ, r.idSize) == 0 {
			r.corrupt("a field of type %d", f.typ)
		}
		c.fields = append(c.fields, f)
	}
	return c
}

// value reads a type and a value of it.
func (r *reader) value() (typ byte, value uint64) {
	typ = r.u1()
	size := typeSize(typ, r.idSize)
	if r.err == nil && size == 0 {
		r.corrupt("a value of type %d", typ)
	}
	for _, b := range r.bytes(size) {
		value = value<<8 | uint64(b)
	}
	return typ, value
}

// settling is how far a class's inheritance has been followed.
type settling byte

const (
	unsettled settling = iota
	underWay
	settled
)

// settle lays out a class's instances: its own fields, then those of its superclasses. budget is what may still be
// used of maxFields. It is false if the classes inherit in a circle, or too deeply, or too much.
func (d *dump) settle(c *class, depth int, budget *int) bool {
	if c.state != unsettled {
		return c.state == settled
	}
	c.state = underWay
	c.name = strings.ReplaceAll(d.text(d.className[c.id]), "/", ".")
	if c.parent = d.classes[c.super]; c.parent != nil && (depth == 0 || !d.settle(c.parent, depth-1, budget)) {
		return false
	}
	c.traits = traitsOf(c)
	for _, f := range c.fields {
		at := int32(c.size)
		switch {
		case f.typ == typeLong && !strings.HasPrefix(c.name, "java.lang."): // there it is the JVM's own: a thread's eetop
			c.longs = append(c.longs, at)
		case f.typ == typeObject && !c.holdsNothing(d.text(f.name)):
			c.refs = append(c.refs, at)
		}
		c.size += typeSize(f.typ, d.idSize)
	}
	if p := c.parent; p != nil {
		for _, at := range p.refs {
			c.refs = append(c.refs, at+int32(c.size))
		}
		for _, at := range p.longs {
			c.longs = append(c.longs, at+int32(c.size))
		}
		c.size += p.size
	}
	*budget -= len(c.refs) + len(c.longs) + 1
	c.state = settled
	return *budget > 0
}

// holdsNothing reports whether a field of this very class, although it refers to an object, does not keep it alive.
func (c *class) holdsNothing(field string) bool {
	return c.name == "java.lang.ref.Reference" && (field == "referent" || field == "discovered")
}

// offset is where the data of c's instances has the field of this name, the most derived one; -1 if there is none of this type.
func (d *dump) offset(c *class, name string, typ byte) int {
	at := 0
	for ; c != nil; c = c.parent {
		for _, f := range c.fields {
			if f.typ == typ && d.text(f.name) == name {
				return at
			}
			at += typeSize(f.typ, d.idSize)
		}
	}
	return -1
}

// fieldAt is the name of the field at an offset, with the class that declares it if that is another one.
func (d *dump) fieldAt(c *class, offset int) string {
	at := 0
	for ; c != nil; c = c.parent {
		for _, f := range c.fields {
			if at == offset {
				return d.text(f.name)
			}
			at += typeSize(f.typ, d.idSize)
		}
	}
	return "?"
}
