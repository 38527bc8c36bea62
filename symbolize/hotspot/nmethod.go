package hotspot

import (
	"fmt"
)

// maxDebug bounds what an nmethod says about its code: 1 MiB each for scopes, descriptions of pcs, and metadata. Larger
// ones are refused by the VM's compilers.
const maxDebug = 1 << 20

// region is a range of memory.
type region struct{ begin, end uint64 }

func (r region) size() uint64 { return r.end - r.begin }

// debug is where an nmethod's description of its code lies.
type debug struct {
	pcs      region // PcDescs: pc offset -> offset in scopes
	scopes   region // compressed: sender, method, bytecode index, ...
	metadata region // the methods that scopes name by index
}

// debugLayout is where an nmethod keeps it:
//
//	8       from the blob on: metadata, scopes, pcs, dependencies
//	9 - 22  the same, but scopes by address
//	23, 24  immutable data of its own (pcs, scopes, to its end); metadata in the blob's data
//	25      likewise, and mutable data of its own: relocations, then metadata to its end
//
// The structures that are exported tell which of them it is.
type debugLayout struct {
	immutable, immutableSize, refCount uint64
	hasImmutable, hasRefCount          bool
	mutable, mutableSize, relocation   uint64
	hasMutable                         bool
	metadata                           uint64
	metadataWidth                      int
	pcs, scopes, after                 uint64 // after: what begins where pcs end
	scopesPointer                      bool
	pcSize, pcOffset, pcScope          uint64
}

func newDebugLayout(f *finder) debugLayout {
	l := debugLayout{
		pcs:    f.offset("nmethod", "_scopes_pcs_offset"),
		pcSize: f.size("PcDesc"), pcOffset: f.offset("PcDesc", "_pc_offset"), pcScope: f.offset("PcDesc", "_scope_decode_offset"),
	}
	if l.pcSize < 8 {
		f.note(false, "PcDesc", "size")
	}
	if _, l.hasImmutable = f.table.offset("nmethod", "_immutable_data"); l.hasImmutable {
		l.immutable, l.immutableSize = f.offset("nmethod", "_immutable_data"), f.offset("nmethod", "_immutable_data_size")
		l.scopes = f.offset("nmethod", "_scopes_data_offset")
		if _, l.hasRefCount = f.table.offset("nmethod", "_immutable_data_ref_count_offset"); l.hasRefCount { // since 26
			l.refCount = f.offset("nmethod", "_immutable_data_ref_count_offset")
		}
	} else {
		_, l.scopesPointer = f.table.offset("nmethod", "_scopes_data_begin")
		l.scopes, l.after = f.offset("nmethod", "_scopes_data_begin", "_scopes_data_offset"), f.offset("nmethod", "_dependencies_offset")
	}
	if _, l.hasMutable = f.table.offset("CodeBlob", "_mutable_data"); l.hasMutable {
		l.mutable, l.mutableSize = f.offset("CodeBlob", "_mutable_data"), f.offset("CodeBlob", "_mutable_data_size")
		l.relocation = f.offset("CodeBlob", "_relocation_size")
	} else {
		var ok bool
		l.metadata = f.offset("nmethod", "_metadata_offset")
		l.metadataWidth, ok = f.table.width("nmethod", "_metadata_offset")
		f.note(ok, "nmethod", "_metadata_offset's width")
	}
	return l
}

// read returns where the description of b's code lies; p is b's structure.
func (l *debugLayout) read(b *blob, p []byte) (debug, error) {
	var d debug
	u32 := func(offset uint64) uint64 { return uint64(le32(p[offset:])) }
	if l.hasImmutable {
		base := le64(p[l.immutable:])
		size := u32(l.immutableSize)
		if l.hasRefCount {
			size = min(size, u32(l.refCount))
		}
		d.pcs = region{base + u32(l.pcs), base + u32(l.scopes)}
		d.scopes = region{d.pcs.end, base + size}
	} else {
		d.scopes = region{b.addr + u32(l.scopes), b.addr + u32(l.pcs)}
		if l.scopesPointer {
			d.scopes.begin = le64(p[l.scopes:])
		}
		d.pcs = region{d.scopes.end, b.addr + u32(l.after)}
	}
	switch {
	case l.hasMutable:
		base := le64(p[l.mutable:])
		d.metadata = region{base + u32(l.relocation), base + u32(l.mutableSize)}
	case l.hasImmutable:
		offset := u32(l.metadata)
		if l.metadataWidth == 2 {
			offset &= 0xffff
		}
		d.metadata = region{b.codeEnd + offset, b.end}
	default:
		d.metadata = region{b.addr + u32(l.metadata), d.scopes.begin}
	}
	for _, r := range []region{d.pcs, d.scopes, d.metadata} {
		if r.end < r.begin || r.size() > maxDebug {
			return d, fmt.Errorf("nmethod at %#x: its tables overlap or are too large: %x", b.addr, d)
		}
	}
	if d.pcs.size()%l.pcSize != 0 {
		return d, fmt.Errorf("nmethod at %#x: %d bytes of pcs", b.addr, d.pcs.size())
	}
	return d, nil
}
