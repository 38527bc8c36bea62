package heapdump

import (
	"bytes"
	"context"
	"encoding/binary"
)

// builder writes heap dumps that no JVM would write.
type builder struct {
	ids      int
	head     bytes.Buffer // records
	heap     bytes.Buffer // of the one segment
	declared int64        // length of the segment, if it shall lie
}

func (b *builder) id(w *bytes.Buffer, id uint64) {
	if b.ids == 4 {
		binary.Write(w, binary.BigEndian, uint32(id))
		return
	}
	binary.Write(w, binary.BigEndian, id)
}

func put(w *bytes.Buffer, values ...any) {
	for _, v := range values {
		binary.Write(w, binary.BigEndian, v)
	}
}

func (b *builder) record(tag byte, body []byte) {
	put(&b.head, tag, uint32(0), uint32(len(body)), body)
}

// text writes a name under an id.
func (b *builder) text(id uint64, s string) {
	var w bytes.Buffer
	b.id(&w, id)
	w.WriteString(s)
	b.record(0x01, w.Bytes())
}

// class writes a class with fields given as name and type, and one static reference.
func (b *builder) class(id, super uint64, name string, static uint64, fields ...any) {
	b.text(id+1, name)
	var w bytes.Buffer
	put(&w, uint32(id))
	b.id(&w, id)
	put(&w, uint32(0))
	b.id(&w, id+1)
	b.record(0x02, w.Bytes())
	h := &b.heap
	h.WriteByte(0x20)
	b.id(h, id)
	put(h, uint32(0))
	for _, v := range []uint64{super, 0, 0, 0, 0, 0} {
		b.id(h, v)
	}
	put(h, uint32(0), uint16(0))
	if static != 0 {
		b.text(id+2, "owner")
		put(h, uint16(1))
		b.id(h, id+2)
		h.WriteByte(typeObject)
		b.id(h, static)
	} else {
		put(h, uint16(0))
	}
	put(h, uint16(len(fields)/2))
	for i := 0; i < len(fields); i += 2 {
		name := id + 3 + uint64(i)
		b.text(name, fields[i].(string))
		b.id(h, name)
		h.WriteByte(byte(fields[i+1].(int)))
	}
}

// instance writes an object; a uint64 is a reference, an int64 a long, an int32 an int.
func (b *builder) instance(id, class uint64, values ...any) {
	var data bytes.Buffer
	for _, v := range values {
		if ref, ok := v.(uint64); ok {
			b.id(&data, ref)
		} else {
			put(&data, v)
		}
	}
	h := &b.heap
	h.WriteByte(0x21)
	b.id(h, id)
	put(h, uint32(0))
	b.id(h, class)
	put(h, uint32(data.Len()), data.Bytes())
}

func (b *builder) bytes() []byte {
	var w bytes.Buffer
	w.WriteString("JAVA PROFILE 1.0.2\x00")
	put(&w, uint32(b.ids), uint64(0), b.head.Bytes())
	if b.declared == 0 {
		b.declared = int64(b.heap.Len())
	}
	put(&w, byte(0x1c), uint32(0), uint32(b.declared), b.heap.Bytes(), byte(0x2c), uint32(0), uint32(0))
	return w.Bytes()
}

func find(data []byte, opt Options) (*Holders, error) {
	return Find(context.Background(), bytes.NewReader(data), int64(len(data)), opt)
}
