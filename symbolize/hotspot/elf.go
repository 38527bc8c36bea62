package hotspot

import (
	"debug/elf"
	"errors"
	"fmt"
)

// image is a shared object as it lies in memory. Its symbols are looked up there, through the dynamic linker's own hash
// table: no file has to be opened, so deleted ones, containers and missing rights on map_files do not matter.
type image struct {
	mem                  reader
	bias                 uint64
	symtab, strtab, hash uint64
}

const (
	maxHeaders = 64
	maxDynamic = 512
	maxChain   = 1 << 12
	maxBuckets = 1 << 24
)

// openImage reads the headers of the 64-bit object whose first byte is mapped at base.
func openImage(mem Memory, base uint64) (*image, error) {
	im := &image{mem: reader{mem}}
	h, err := im.mem.bytes(base, 64)
	if err != nil {
		return nil, fmt.Errorf("elf header: %w", err)
	}
	machine := elf.Machine(le16(h[18:]))
	if string(h[:4]) != elf.ELFMAG || elf.Class(h[4]) != elf.ELFCLASS64 || elf.Data(h[5]) != elf.ELFDATA2LSB ||
		machine != elf.EM_X86_64 && machine != elf.EM_AARCH64 {
		return nil, errors.New("not an object of a 64-bit machine that is known")
	}
	size, count := uint64(le16(h[54:])), uint64(le16(h[56:]))
	if size != 56 || count > maxHeaders {
		return nil, fmt.Errorf("elf header: %d program headers of %d bytes", count, size)
	}
	headers, err := im.mem.bytes(base+le64(h[32:]), int(size*count))
	if err != nil {
		return nil, fmt.Errorf("program headers: %w", err)
	}
	var dynamic, dynamicSize uint64
	loaded := false
	for ; len(headers) > 0; headers = headers[size:] {
		switch typ, offset, vaddr := elf.ProgType(le32(headers)), le64(headers[8:]), le64(headers[16:]); {
		case typ == elf.PT_LOAD && !loaded: // the first one maps base, whole pages of it
			im.bias, loaded = base-(vaddr-offset)&^(pageSize-1), true
		case typ == elf.PT_DYNAMIC:
			dynamic, dynamicSize = vaddr, le64(headers[40:])
		}
	}
	if !loaded || dynamic == 0 {
		return nil, errors.New("no dynamic segment")
	}
	return im, im.dynamic(dynamic+im.bias, min(dynamicSize/16, maxDynamic))
}

func (im *image) dynamic(addr, count uint64) error {
	d, err := im.mem.bytes(addr, int(count*16))
	if err != nil {
		return fmt.Errorf("dynamic segment: %w", err)
	}
	for ; len(d) > 0 && elf.DynTag(le64(d)) != elf.DT_NULL; d = d[16:] {
		value := le64(d[8:])
		if value < im.bias { // glibc has added the bias to its pointers, musl has not
			value += im.bias
		}
		switch elf.DynTag(le64(d)) {
		case elf.DT_SYMTAB:
			im.symtab = value
		case elf.DT_STRTAB:
			im.strtab = value
		case elf.DT_GNU_HASH:
			im.hash = value
		}
	}
	if im.symtab == 0 || im.strtab == 0 || im.hash == 0 {
		return errors.New("dynamic segment: no symbols, or no hash table of GNU style")
	}
	return nil
}

// symbol returns the address of a dynamic symbol.
func (im *image) symbol(name string) (uint64, bool) {
	addr, err := im.find(name)
	return addr, err == nil && addr != 0
}

// find follows the chain of the name's bucket: its values are the names' hashes, the last one's lowest bit is set.
func (im *image) find(name string) (uint64, error) {
	h := uint32(5381)
	for i := range len(name) {
		h = h*33 + uint32(name[i])
	}
	head, err := im.mem.bytes(im.hash, 16)
	if err != nil {
		return 0, err
	}
	buckets, first, bloom := le32(head), le32(head[4:]), uint64(le32(head[8:]))
	if buckets == 0 || buckets > maxBuckets || bloom > maxBuckets {
		return 0, errors.New("hash table of no sensible size")
	}
	table := im.hash + 16 + bloom*8
	index, err := im.mem.u32(table + uint64(h%buckets)*4)
	if err != nil || index < first {
		return 0, err
	}
	chains := table + uint64(buckets)*4
	for range maxChain {
		link, err := im.mem.u32(chains + uint64(index-first)*4)
		if err != nil {
			return 0, err
		}
		if link|1 == h|1 {
			addr, err := im.match(index, name)
			if err != nil || addr != 0 {
				return addr, err
			}
		}
		if link&1 != 0 {
			return 0, nil
		}
		index++
	}
	return 0, errors.New("hash chain without end")
}

// match returns the address of symbol index if it is the defined one of that name.
func (im *image) match(index uint32, name string) (uint64, error) {
	sym, err := im.mem.bytes(im.symtab+uint64(index)*24, 24)
	if err != nil {
		return 0, err
	}
	text, err := im.mem.bytes(im.strtab+uint64(le32(sym)), len(name)+1)
	if err != nil || string(text) != name+"\x00" || le16(sym[6:]) == uint16(elf.SHN_UNDEF) {
		return 0, err
	}
	return le64(sym[8:]) + im.bias, nil
}
