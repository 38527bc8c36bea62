package heapdump

import (
	"fmt"
	"strings"
)

// readClasses is the first pass: classes, roots and stacks, which may stand anywhere.
func (d *dump) readClasses() *visitor {
	fields, frames := 0, 0
	return &visitor{
		load: func(serial uint32, class, name uint64) {
			if len(d.className) >= maxClasses || len(d.bySerial) >= maxClasses {
				d.fail("more than %d classes", maxClasses)
				return
			}
			d.className[class], d.bySerial[serial] = name, class
			d.need(name)
		},
		class: func(c *class) {
			fields += len(c.fields) + len(c.statics)
			if len(d.order) >= maxClasses || fields > maxFields {
				d.fail("more than %d classes or %d fields", maxClasses, maxFields)
				return
			}
			if d.classes[c.id] != nil {
				return
			}
			c.index = uint32(len(d.order))
			d.order = append(d.order, c)
			d.classes[c.id] = c
			for _, f := range c.fields {
				d.need(f.name)
			}
			for _, s := range c.statics {
				d.need(s.name)
			}
		},
		instance: func(uint64, uint64, []byte) { d.objects++ },
		array: func(uint64, uint64, uint32) bool {
			d.objects++
			return false
		},
		root: func(r root) {
			if len(d.roots) >= maxRoots {
				d.fail("more than %d GC roots", maxRoots)
				return
			}
			d.roots = append(d.roots, r)
		},
		frame: func(id, method uint64, class, line uint32) {
			if len(d.frames) < maxFrames {
				d.frames[id] = frame{method, class, line}
				d.need(method)
			}
		},
		trace: func(_, thread uint32, ids []uint64) {
			if frames += len(ids); frames < maxFrames {
				d.traces[thread] = ids
			}
		},
	}
}

// readObjects is the second pass: the texts that are needed, the objects that stand for memory, and the ids of all that can lead to another.
func (d *dump) readObjects() *visitor {
	for _, r := range d.roots {
		if r.kind == rootThread {
			d.threads[r.id] = 0
			d.threadOf[r.thread] = r.id
		}
	}
	// Memory is taken once, and what is not used of it costs nothing: growing would take it three times.
	d.ids = make([]uint64, 0, min(d.objects, d.opt.MaxObjects)+len(d.order))
	return &visitor{
		text: func(id uint64, text []byte) {
			if old, needed := d.texts[id]; needed && old == "" && d.textBytes+len(text) <= maxText {
				d.textBytes += len(text)
				d.texts[id] = strings.ToValidUTF8(string(text), "\ufffd")
			}
		},
		heap: func() {
			budget := maxFields
			for _, c := range d.order {
				if !d.settle(c, maxDepth, &budget) {
					d.fail("its classes inherit in a circle or too deeply")
					return
				}
				c.shape = d.shapeOf(c)
				d.node(c.id, uint64(len(c.statics)+4))
			}
		},
		instance: func(id, class uint64, data []byte) {
			c := d.classes[class]
			if c == nil || c.size != len(data) {
				d.odd++
				return
			}
			stands := d.look(c, id, data)
			if _, wanted := d.threads[id]; wanted && c.traits&isThread != 0 {
				if d.threads[id] = d.ref(data, c.shape.name); d.threads[id] != 0 {
					d.strings[d.threads[id]] = javaText{}
				}
			}
			if stands || len(c.refs) > 0 && c.traits&isString == 0 {
				d.node(id, uint64(len(c.refs)))
			}
		},
		array: func(id, _ uint64, n uint32) bool {
			if n > 0 {
				d.node(id, uint64(n))
			}
			return false
		},
	}
}

// node makes an object a node of the graph, with at most so many references.
func (d *dump) node(id, refs uint64) {
	d.refs += refs + 1
	switch {
	case len(d.ids) >= d.opt.MaxObjects:
		d.tooLarge = fmt.Sprintf("the heap has more than %d objects", d.opt.MaxObjects)
	case d.refs > uint64(d.opt.MaxRefs):
		d.tooLarge = fmt.Sprintf("the heap's objects have more than %d references", d.opt.MaxRefs)
	default:
		d.ids = append(d.ids, id)
	}
}

// readRefs is the third pass: what refers to what.
func (d *dump) readRefs() *visitor {
	d.g = newGraph(d.ids, d.refs)
	d.ids = nil
	for _, c := range d.order {
		if d.g.begin(c.id, none) {
			for _, id := range []uint64{c.super, c.loader, c.signers, c.protector} {
				d.g.add(id)
			}
			for _, s := range c.statics {
				if s.typ == typeObject {
					d.g.add(s.value)
				}
			}
		}
	}
	return &visitor{
		instance: func(id, class uint64, data []byte) {
			c := d.classes[class]
			if c == nil || c.size != len(data) {
				return
			}
			if s, wanted := d.strings[id]; wanted && c.traits&isString != 0 {
				s.value = d.ref(data, c.shape.name)
				if at := d.offset(c, "coder", 8); at >= 0 {
					s.utf16 = data[at] != 0
				}
				d.strings[id] = s
				d.values[s.value] = ""
			}
			if len(c.refs) == 0 && c.traits&isString == 0 || !d.g.begin(id, c.index) {
				return
			}
			for _, at := range c.refs {
				d.g.add(idOf(data[at : int(at)+d.idSize]))
			}
		},
		array: func(id, class uint64, _ uint32) bool {
			c := d.classes[class]
			index := none
			if c != nil {
				index = c.index
			}
			return d.g.begin(id, index)
		},
		elements: func(part []byte) {
			for ; len(part) >= d.idSize; part = part[d.idSize:] {
				d.g.add(idOf(part[:d.idSize]))
			}
		},
	}
}

// readPaths is the fourth pass: the fields along the paths that will be shown, and the names of threads.
func (d *dump) readPaths() *visitor {
	d.paths = map[edge]string{}
	current := uint64(0)
	var left []uint64
	return &visitor{
		instance: func(id, class uint64, data []byte) {
			next, wanted := d.onPath[id]
			c := d.classes[class]
			if !wanted || c == nil || c.size != len(data) {
				return
			}
			for _, to := range next {
				for _, at := range c.refs {
					if idOf(data[at:int(at)+d.idSize]) == to {
						d.paths[edge{id, to}] = d.fieldAt(c, int(at))
						break
					}
				}
			}
		},
		array: func(id, _ uint64, _ uint32) bool {
			current, left = id, d.onPath[id]
			return len(left) > 0
		},
		elements: func(part []byte) {
			for ; len(part) >= d.idSize; part = part[d.idSize:] {
				for _, to := range left {
					if idOf(part[:d.idSize]) == to {
						d.paths[edge{current, to}] = "[]"
					}
				}
			}
		},
		prims: func(id uint64, typ byte, _ uint32) bool {
			_, wanted := d.values[id]
			current = id
			if wanted && typ == typeChar {
				d.chars[id] = true
			}
			return wanted && id != 0
		},
		prim: func(data []byte) { d.values[current] = string(data) },
	}
}
