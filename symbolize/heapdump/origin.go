package heapdump

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// origin is where paths begin: a static field, or a root.
type origin struct {
	class  *class // of a static field
	static uint64 // its name
	root   root
}

// reachable marks every node that the JVM would keep at a garbage collection, and more: what is held in whatever way.
func (d *dump) reachable() []tier {
	byLoader := map[uint32][]uint32{}
	var seeds []seed
	for _, c := range d.order {
		node, _ := d.g.find(c.id)
		if c.loader == 0 {
			seeds = append(seeds, seed{node, none})
		} else if loader, ok := d.g.find(c.loader); ok {
			byLoader[loader] = append(byLoader[loader], node)
		}
	}
	for _, r := range d.roots {
		if node, ok := d.g.find(r.id); ok {
			seeds = append(seeds, seed{node, none})
		}
	}
	// What an object holds beside its references: its class; and a loader the classes that it has loaded.
	own := make([]uint32, 1)
	w := walker{g: d.g, bar: d.bar, extra: func(node uint32) []uint32 {
		if c := d.g.class[node]; c != none {
			var ok bool
			if own[0], ok = d.g.find(d.order[c].id); ok && byLoader[node] == nil {
				return own
			} else if ok {
				return append(byLoader[node], own[0])
			}
		}
		return byLoader[node]
	}}
	w.walk(seeds)
	return w.tiers
}

// bar keeps paths through the books of pools, and through cleaners, from being taken for an owner's.
func (d *dump) bar(node uint32) tier {
	if c := d.g.class[node]; c != none {
		switch t := d.order[c].traits; {
		case t&isCleaner != 0:
			return byCleaner
		case t&isPool != 0:
			return byPool
		}
	}
	return byOwner
}

// owners prepares the walk whose paths are shown. It begins at the static fields of all live classes, so that paths are short and begin
// with a name that stands in a source file; threads, their frames and native code come after them.
func (d *dump) owners(live []tier) (*walker, []seed) {
	var seeds []seed
	add := func(id uint64, o origin) {
		if node, ok := d.g.find(id); ok && id != 0 {
			seeds = append(seeds, seed{node, uint32(len(d.origins))})
			d.origins = append(d.origins, o)
		}
	}
	for _, c := range d.order {
		if node, ok := d.g.find(c.id); !ok || live[node] == 0 {
			continue
		}
		for _, s := range c.statics {
			if s.typ == typeObject {
				add(s.value, origin{class: c, static: s.name})
			}
		}
	}
	for _, kind := range []byte{rootThread, rootJavaFrame, rootJNILocal, rootJNIGlobal, rootNative, rootBlock, rootMonitor, rootUnknown} {
		for _, r := range d.roots {
			if r.kind == kind {
				add(r.id, origin{root: r})
			}
		}
	}
	for _, c := range d.order {
		if node, ok := d.g.find(c.id); ok && live[node] != 0 {
			for _, id := range []uint64{c.id, c.loader, c.signers, c.protector} {
				add(id, origin{class: c})
			}
		}
	}
	n := len(d.g.ids)
	return &walker{g: d.g, bar: d.bar, parent: make([]uint32, n), origin: make([]uint32, n)}, seeds
}

// name is an origin in words.
func (d *dump) originName(i uint32) string {
	if i == none {
		return "one of many others"
	}
	o := d.origins[i]
	if o.class != nil {
		if o.static == 0 {
			return "the class loader or domain of " + o.class.name
		}
		return fmt.Sprintf("static %s.%s", o.class.name, d.text(o.static))
	}
	thread := ""
	if o.root.kind == rootThread {
		if name := d.threadName(o.root.id); name != "" {
			return fmt.Sprintf("thread %q", name)
		}
		return "a thread"
	}
	if name := d.threadName(d.threadOf[o.root.thread]); name != "" {
		thread = fmt.Sprintf(" of thread %q", name)
	}
	switch o.root.kind {
	case rootJavaFrame, rootJNILocal:
		return "local variable" + d.frameName(o.root) + thread
	case rootJNIGlobal:
		return "native code (a JNI global reference)"
	case rootMonitor:
		return "a lock that is held"
	}
	return "the JVM itself"
}

// frameName is the method of a frame.
func (d *dump) frameName(r root) string {
	ids := d.traces[r.thread]
	if r.frame == noFrame || int64(r.frame) >= int64(len(ids)) {
		return ""
	}
	f, ok := d.frames[ids[r.frame]]
	if !ok {
		return ""
	}
	class := "?"
	if c := d.classes[d.bySerial[f.class]]; c != nil {
		class = c.name
	}
	if f.line > 0 && f.line < 1<<16 {
		return fmt.Sprintf(" in %s.%s:%d", class, d.text(f.method), f.line)
	}
	return fmt.Sprintf(" in %s.%s", class, d.text(f.method))
}

// javaText is a java.lang.String.
type javaText struct {
	value uint64 // its array
	utf16 bool   // big-endian in a dump of chars, in the machine's order in one of bytes
}

// threadName is the name of a thread, "" if it is not known.
func (d *dump) threadName(id uint64) string {
	s, ok := d.strings[d.threads[id]]
	data := d.values[s.value]
	if !ok || data == "" {
		return ""
	}
	if !s.utf16 {
		if !d.chars[s.value] {
			runes := make([]rune, 0, len(data))
			for _, b := range []byte(data) { // Latin-1
				runes = append(runes, rune(b))
			}
			return string(runes)
		}
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 0; i+1 < len(data); i += 2 {
		if d.chars[s.value] {
			units = append(units, uint16(data[i])<<8|uint16(data[i+1]))
		} else {
			units = append(units, uint16(data[i+1])<<8|uint16(data[i]))
		}
	}
	return strings.ToValidUTF8(string(utf16.Decode(units)), "\ufffd")
}
