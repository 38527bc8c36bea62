package heapdump

// look finds out whether an object stands for memory in the ranges, and keeps it if so.
func (d *dump) look(c *class, id uint64, data []byte) bool {
	s := &c.shape
	switch {
	case c.traits&isChunk != 0:
		if s.memory >= 0 && len(d.chunks) < maxFound {
			d.chunks = append(d.chunks, chunk{id, d.ref(data, s.memory), c, integer(data, s.length), integer(data, s.free)})
		}
		return true
	case c.traits&isPooled != 0 && s.chunk >= 0:
		o := object{id: id, class: c, chunk: d.ref(data, s.chunk), length: integer(data, s.length)}
		o.released = o.chunk == 0
		if s.address >= 0 {
			o.addr = long(data, s.address)
			return d.keep(o)
		}
		o.addr = integer(data, s.within)
		if o.released || len(d.pooled) >= maxFound {
			return false
		}
		d.pooled = append(d.pooled, o)
		return true
	case s.base >= 0 && s.address < 0:
		o := object{id: id, class: c, base: d.ref(data, s.base), length: integer(data, s.length), addr: integer(data, s.within)}
		if o.base == 0 || len(d.pooled) >= maxFound { // released, and its place forgotten
			return false
		}
		d.pooled = append(d.pooled, o)
		return true
	case s.address >= 0:
		o := object{id: id, class: c, addr: long(data, s.address), cleaned: d.ref(data, s.cleaner) != 0,
			session: d.ref(data, s.session), view: d.ref(data, s.att) != 0 || d.ref(data, s.segment) != 0}
		if s.base >= 0 {
			o.base = d.ref(data, s.base)
			o.released = o.base == 0
		}
		if s.wide {
			o.length = long(data, s.length)
		} else {
			o.length = integer(data, s.length) * s.unit
		}
		return d.keep(o)
	}
	for _, at := range c.longs {
		// Of a class that is not known any long may be an address. By chance none is: they are 64 bits wide.
		if addr := long(data, int(at)); overlaps(d.ranges, Range{addr, addr}) {
			return d.keep(object{id: id, class: c, addr: addr})
		}
	}
	return false
}

// keep keeps an object if it stands for memory in the ranges.
func (d *dump) keep(o object) bool {
	if o.addr == 0 || o.addr+o.length < o.addr || !overlaps(d.ranges, Range{o.addr, o.addr + o.length}) {
		return false
	}
	if len(d.found) >= maxFound {
		d.unkept++
		return false
	}
	d.found = append(d.found, o)
	return true
}

// settleFound follows references that could not be followed while they were read: from chunks to their memory, and from
// buffers to their chunks.
func (d *dump) settleFound() {
	at := make(map[uint64]*object, len(d.found))
	found := d.found // what is kept from now on may move d.found
	for i := range found {
		if o := &found[i]; o.class.traits&(isBuffer|isByteBuf) != 0 {
			at[o.id] = o
		}
	}
	for i := range found {
		if base := at[found[i].base]; base != nil {
			found[i].cleaned = base.cleaned
		}
	}
	where := make(map[uint64]uint64, len(d.chunks))
	chunks := d.chunks[:0]
	for _, c := range d.chunks {
		memory := at[c.memory]
		if memory == nil {
			continue
		}
		addr := memory.addr
		where[c.id] = addr
		if d.keep(object{id: c.id, class: c.class, addr: addr, length: c.size}) {
			chunks = append(chunks, c)
		}
	}
	d.chunks = chunks
	for _, o := range d.pooled {
		if base := at[o.base]; base != nil {
			o.addr += base.addr
			o.cleaned = base.cleaned
			d.keep(o)
		} else if base, ok := where[o.chunk]; ok {
			o.addr += base
			d.keep(o)
		}
	}
	d.pooled = nil
}
