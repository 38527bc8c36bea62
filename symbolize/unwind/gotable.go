package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"sort"

	"go.opentelemetry.io/ebpf-profiler/nativeunwind/stackdeltatypes"
	"go.opentelemetry.io/ebpf-profiler/support"
)

// goTable is the table that a Go program (1.20 and later) carries to unwind
// itself. Nothing of it is kept in memory: what one address needs is read when
// it is asked for.
type goTable struct {
	im      *image
	offset  int64 // in the file
	size    uint64
	text    uint64 // address that functions are relative to
	gofunc  uint64 // address that their data is relative to; 0: not known
	nfunc   uint64
	quantum uint32

	funcname, cu, files, pctab, functab uint64 // offsets in the table
}

// goFunc is one function of the table.
type goFunc struct {
	entry, end                   uint64
	name, pcsp, pcfile, pcln, cu uint32
	inlineIndex, inlineTree      uint32
	flag                         uint8
}

const (
	goMagic     = 0xfffffff1
	maxGoFuncs  = 8 << 20
	maxGoValues = 1 << 20 // bytes of one function's table of values
	noData      = ^uint32(0)
)

// readGoTable finds the table; nil if the file has none that we understand.
func readGoTable(im *image) *goTable {
	s := im.section(".gopclntab")
	if s == nil {
		s = im.section(".data.rel.ro.gopclntab")
	}
	if s == nil || s.Flags&elf.SHF_COMPRESSED != 0 {
		return nil
	}
	g := &goTable{im: im, offset: int64(s.Offset), size: s.Size}
	var h [72]byte
	if g.read(0, h[:]) != nil || binary.LittleEndian.Uint32(h[:]) != goMagic || h[7] != 8 || h[6] == 0 {
		return nil
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(h[8*i:]) }
	g.quantum, g.nfunc, g.text = uint32(h[6]), word(1), word(3)
	g.funcname, g.cu, g.files, g.pctab, g.functab = word(4), word(5), word(6), word(7), word(8)
	if g.nfunc == 0 || g.nfunc > maxGoFuncs || g.functab > g.size {
		return nil
	}
	g.bases(s.Addr)
	if g.text == 0 {
		return nil
	}
	return g
}

// bases finds what the table's numbers are relative to: in the symbols, or in
// the runtime's description of the program, which begins with the table's address.
func (g *goTable) bases(table uint64) {
	if at := g.im.symbols("runtime.text", "go:func.*", "go.func.*"); at != nil {
		if text := at["runtime.text"]; text != 0 {
			g.text = text
		}
		g.gofunc = at["go:func.*"] | at["go.func.*"]
	}
	if g.text != 0 && g.gofunc != 0 {
		return
	}
	const textAt, gofuncAt, length = 176, 320, 328
	for _, name := range []string{".go.module", ".noptrdata", ".data"} {
		s := g.im.section(name)
		if s == nil {
			continue
		}
		p, err := g.im.data(s, 16<<20)
		for i := 0; err == nil && i+length <= len(p); i += 8 {
			word := func(at int) uint64 { return binary.LittleEndian.Uint64(p[i+at:]) }
			if word(0) == table && word(8) == table+g.funcname && word(80) == table+g.pctab {
				g.text, g.gofunc = word(textAt), word(gofuncAt)
				return
			}
		}
	}
}

var errGoTable = errors.New("outside of the table")

func (g *goTable) read(at uint64, p []byte) error {
	if at > g.size || uint64(len(p)) > g.size-at {
		return errGoTable
	}
	_, err := g.im.file.ReadAt(p, g.offset+int64(at))
	return err
}

// entry reads a row of the list of functions.
func (g *goTable) entry(i uint64) (start uint64, at uint32) {
	var p [8]byte
	if err := g.read(g.functab+8*i, p[:]); err != nil && (i < g.nfunc || g.read(g.functab+8*i, p[:4]) != nil) {
		return ^uint64(0), 0
	}
	return g.text + uint64(binary.LittleEndian.Uint32(p[:])), binary.LittleEndian.Uint32(p[4:])
}

// find returns the function of an address, or nil.
func (g *goTable) find(addr uint64) *goFunc {
	if addr < g.text {
		return nil
	}
	i := sort.Search(int(g.nfunc), func(i int) bool { start, _ := g.entry(uint64(i)); return start > addr })
	if i == 0 {
		return nil
	}
	start, at := g.entry(uint64(i - 1))
	end, _ := g.entry(uint64(i))
	const fixed = 44
	var p [fixed]byte
	if addr >= end || g.read(g.functab+uint64(at), p[:]) != nil {
		return nil
	}
	n := func(i int) uint32 { return binary.LittleEndian.Uint32(p[4*i:]) }
	f := &goFunc{entry: start, end: end, name: n(1), pcsp: n(4), pcfile: n(5), pcln: n(6), cu: n(8), flag: p[41],
		inlineIndex: 0, inlineTree: noData}
	const pcdataInline, funcdataInline = 2, 3
	after := g.functab + uint64(at) + fixed
	npcdata, nfuncdata := uint64(n(7)), uint64(p[43])
	if npcdata > pcdataInline && nfuncdata > funcdataInline && npcdata < 64 {
		f.inlineIndex = g.word(after + 4*pcdataInline)
		f.inlineTree = g.word(after + 4*(npcdata+funcdataInline))
	}
	return f
}

func (g *goTable) word(at uint64) uint32 {
	var p [4]byte
	if g.read(at, p[:]) != nil {
		return 0
	}
	return binary.LittleEndian.Uint32(p[:])
}

// value looks an address up in one of a function's tables: pairs of differences
// of the value and of the address. -1 is no value.
func (g *goTable) value(table uint32, f *goFunc, addr uint64) int32 {
	if table == 0 || g.pctab+uint64(table) >= g.size {
		return -1
	}
	in := io.NewSectionReader(g.im.file, g.offset+int64(g.pctab)+int64(table),
		int64(min(g.size-g.pctab-uint64(table), maxGoValues)))
	r := &byteReader{in: in}
	value, pc := int32(-1), f.entry
	for first := true; ; first = false {
		v, ok := r.uvarint()
		if !ok || v == 0 && !first {
			return -1
		}
		step, ok := r.uvarint()
		if !ok {
			return -1
		}
		value += int32(v>>1) ^ -int32(v&1)
		if pc += uint64(step) * uint64(g.quantum); addr < pc {
			return value
		}
	}
}

// byteReader reads ahead a little: most tables are short.
type byteReader struct {
	in  io.Reader
	buf [512]byte
	p   []byte
}

func (r *byteReader) uvarint() (v uint32, ok bool) {
	for shift := 0; shift < 35; shift += 7 {
		if len(r.p) == 0 {
			n, err := r.in.Read(r.buf[:])
			if n == 0 || err != nil && err != io.EOF {
				return 0, false
			}
			r.p = r.buf[:n]
		}
		b := r.p[0]
		r.p = r.p[1:]
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v, true
		}
	}
	return 0, false
}

func (g *goTable) text0(at uint64) string {
	p := make([]byte, min(512, g.size-min(at, g.size)))
	if g.read(at, p) != nil {
		return ""
	}
	name, _, _ := bytes.Cut(p, []byte{0})
	return string(bytes.ToValidUTF8(name, []byte("\uFFFD")))
}

// rule says how to leave a function.
func (g *goTable) rule(f *goFunc, addr uint64) rule {
	const topFrame, writesSP = 1, 2
	switch {
	case f.flag&topFrame != 0:
		return goEndRule
	case f.flag&writesSP != 0:
		return goSwitchRule
	}
	delta := g.value(f.pcsp, f, addr)
	arm := g.im.machine == elf.EM_AARCH64
	switch {
	case delta < 0:
		return noRule
	case arm && delta == 0:
		return stackdeltatypes.UnwindInfoLR
	case arm: // the link register is saved at the stack pointer, the frame pointer below
		return rule{Flags: support.UnwindFlagFrame, BaseReg: support.UnwindRegSp, Param: delta,
			AuxBaseReg: support.UnwindRegCfa, AuxParam: -delta}
	case delta >= 8:
		return rule{BaseReg: support.UnwindRegSp, Param: delta + 8, AuxBaseReg: support.UnwindRegCfa, AuxParam: -16}
	}
	return rule{BaseReg: support.UnwindRegSp, Param: delta + 8}
}

// frames names an address, innermost of inlined calls first.
func (g *goTable) frames(addr uint64) []Frame {
	f := g.find(addr)
	if f == nil {
		return nil
	}
	var out []Frame
	for depth := 0; depth < maxInlined; depth++ {
		fr := Frame{Kind: Native, Function: g.text0(g.funcname + uint64(f.name))}
		if file := g.value(f.pcfile, f, addr); file >= 0 {
			fr.File = g.text0(g.files + uint64(g.word(g.cu+4*(uint64(f.cu)+uint64(file)))))
			fr.Line = int(max(g.value(f.pcln, f, addr), 0))
		}
		call, ok := g.inlined(f, addr)
		if !ok {
			return append(out, fr)
		}
		fr.Kind, fr.Function = Inlined, call.name
		out = append(out, fr)
		addr = f.entry + uint64(call.parent)
	}
	return out
}

type goCall struct {
	name   string
	parent uint32
}

// inlined returns the call that was inlined at an address.
func (g *goTable) inlined(f *goFunc, addr uint64) (goCall, bool) {
	if f.inlineTree == noData || g.gofunc == 0 {
		return goCall{}, false
	}
	i := g.value(f.inlineIndex, f, addr)
	if i < 0 {
		return goCall{}, false
	}
	var p [16]byte
	if g.im.read(g.gofunc+uint64(f.inlineTree)+16*uint64(i), p[:]) != nil {
		return goCall{}, false
	}
	return goCall{name: g.text0(g.funcname + uint64(binary.LittleEndian.Uint32(p[4:]))),
		parent: binary.LittleEndian.Uint32(p[8:])}, true
}
