package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"slices"
	"strings"
)

// Bounds of symbol tables.
const (
	maxSymbols  = 1 << 20
	maxSymName  = 4 << 10
	maxOverlaps = 64 // symbols that are looked at for one address
	symbolSize  = 24
)

// symbol is a function.
type symbol struct {
	addr   uint64
	size   uint32
	name   uint32 // offset in the strings
	global bool
}

// symtab is one table of symbols, by address. Their names are read when they
// are asked for: they would take as much memory again.
type symtab struct {
	im   *image
	strs elf.SectionHeader
	syms []symbol
}

// readSymtab reads the functions of a section; nil if there are none.
func readSymtab(im *image, kind elf.SectionType) *symtab {
	t := &symtab{im: im}
	n := 0
	im.eachFunction(kind, func(elf.Sym64, elf.SectionHeader) bool { n++; return n < maxSymbols })
	if n == 0 {
		return nil
	}
	t.syms = make([]symbol, 0, n)
	im.eachFunction(kind, func(s elf.Sym64, strs elf.SectionHeader) bool {
		t.strs = strs
		t.syms = append(t.syms, symbol{addr: s.Value, size: uint32(min(s.Size, 1<<31)), name: s.Name,
			global: elf.ST_BIND(s.Info) != elf.STB_LOCAL})
		return len(t.syms) < maxSymbols
	})
	slices.SortFunc(t.syms, func(a, b symbol) int {
		if a.addr != b.addr {
			if a.addr < b.addr {
				return -1
			}
			return 1
		}
		return int(a.name) - int(b.name)
	})
	return t
}

// eachFunction is eachSymbol for those that are code.
func (im *image) eachFunction(kind elf.SectionType, do func(s elf.Sym64, strs elf.SectionHeader) bool) {
	im.eachSymbol(kind, func(s elf.Sym64, strs elf.SectionHeader) bool {
		typ := elf.ST_TYPE(s.Info)
		return typ != elf.STT_FUNC && typ != elf.STT_GNU_IFUNC || s.Shndx == 0 || s.Value == 0 || do(s, strs)
	})
}

// eachSymbol reads a table of symbols in pieces, until do returns false.
func (im *image) eachSymbol(kind elf.SectionType, do func(s elf.Sym64, strs elf.SectionHeader) bool) {
	for _, s := range im.sections {
		if s.Type != kind || s.Flags&elf.SHF_COMPRESSED != 0 || int(s.Link) >= len(im.sections) || s.Size > 8*maxSymbols*symbolSize {
			continue
		}
		strs := im.sections[s.Link].SectionHeader
		in := io.NewSectionReader(im.file, int64(s.Offset), int64(s.Size))
		buf := make([]byte, 4096*symbolSize)
		for {
			n, err := io.ReadFull(in, buf)
			for p := buf[:n]; len(p) >= symbolSize; p = p[symbolSize:] {
				sym := elf.Sym64{Name: binary.LittleEndian.Uint32(p), Info: p[4], Shndx: binary.LittleEndian.Uint16(p[6:]),
					Value: binary.LittleEndian.Uint64(p[8:]), Size: binary.LittleEndian.Uint64(p[16:])}
				if !do(sym, strs) {
					return
				}
			}
			if err != nil {
				break
			}
		}
	}
}

// symbols returns the addresses of symbols, of whatever type.
func (im *image) symbols(names ...string) map[string]uint64 {
	found := map[string]uint64{}
	var strs []byte
	at := map[uint32]string{}
	im.eachSymbol(elf.SHT_SYMTAB, func(s elf.Sym64, section elf.SectionHeader) bool {
		if strs == nil { // find the names' places first
			strs = make([]byte, min(section.Size, 64<<20))
			n, _ := im.file.ReadAt(strs, int64(section.Offset))
			strs = strs[:n]
			for _, name := range names {
				for from, probe := 0, []byte("\x00"+name+"\x00"); ; {
					i := bytes.Index(strs[from:], probe)
					if i < 0 {
						break
					}
					at[uint32(from+i+1)] = name
					from += i + 1
				}
			}
		}
		if name, ok := at[s.Name]; ok {
			found[name] = s.Value
		}
		return true
	})
	return found
}

// find returns the name of the function at an address.
func (t *symtab) find(addr uint64) (string, bool) {
	if t == nil {
		return "", false
	}
	i, _ := slices.BinarySearchFunc(t.syms, addr, func(s symbol, addr uint64) int {
		if s.addr <= addr {
			return -1
		}
		return 1
	})
	var best string
	var from uint64
	var global bool
	for n := 0; i > 0 && n < maxOverlaps; n++ {
		i--
		s := t.syms[i]
		if best != "" && s.addr != from {
			break
		}
		if addr-s.addr >= uint64(s.size) { // also one without a size: its reach would be a guess
			continue
		}
		name := t.name(s)
		if name != "" && (best == "" || s.global && !global || s.global == global && better(name, best)) {
			best, from, global = name, s.addr, s.global
		}
	}
	return best, best != ""
}

// better prefers one of several names of a function: the one that a person would
// call it by, and the same one every time.
func better(a, b string) bool {
	under := func(s string) int { return len(s) - len(strings.TrimLeft(s, "_")) }
	if under(a) != under(b) {
		return under(a) < under(b)
	}
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

func (t *symtab) name(s symbol) string {
	if uint64(s.name) >= t.strs.Size {
		return ""
	}
	var p [maxSymName]byte
	n, _ := t.im.file.ReadAt(p[:min(128, t.strs.Size-uint64(s.name))], int64(t.strs.Offset)+int64(s.name))
	name, _, whole := bytes.Cut(p[:n], []byte{0})
	if !whole { // long
		n, _ = t.im.file.ReadAt(p[:min(maxSymName, t.strs.Size-uint64(s.name))], int64(t.strs.Offset)+int64(s.name))
		name, _, _ = bytes.Cut(p[:n], []byte{0})
	}
	name, _, _ = bytes.Cut(name, []byte("@")) // a version
	return string(bytes.ToValidUTF8(name, []byte("\uFFFD")))
}
