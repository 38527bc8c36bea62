package unwind

import (
	"bytes"
	"debug/elf"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/ianlancetaylor/demangle"
	"github.com/ulikunitz/xz"
)

// names are the sources of names for one module, best first.
type names struct {
	tables []*symtab
	lines  *lines
	opened []*os.File
	frames *cache[uint64, []Frame]
}

// Bounds of names.
const (
	maxInlined     = 64
	maxNativeNames = 8192     // addresses with their frames, per module
	maxMiniDebug   = 32 << 20 // bytes of .gnu_debugdata, decompressed
	maxDemangled   = 11       // bits of length: templates can grow without end
)

// readNames opens what names a module's code. pid is a process that has it mapped.
func readNames(m *module, pid int, debug *int64) *names {
	n := &names{frames: newCache[uint64, []Frame](maxNativeNames)}
	images := []*image{m.image}
	if f, im := openDebug(m.image, pid); f != nil {
		n.opened = append(n.opened, f)
		images = append(images, im)
	}
	if im := miniDebug(m.image); im != nil {
		images = append(images, im)
	}
	for _, kind := range []elf.SectionType{elf.SHT_SYMTAB, elf.SHT_DYNSYM} {
		for _, im := range images {
			if t := readSymtab(im, kind); t != nil {
				n.tables = append(n.tables, t)
			}
		}
	}
	for _, im := range images {
		if n.lines = readLines(im, debug); n.lines != nil {
			break
		}
	}
	return n
}

func (n *names) close() {
	if n == nil {
		return
	}
	for _, f := range n.opened {
		f.Close()
	}
	if n.lines != nil {
		*n.lines.all -= n.lines.held
	}
}

// miniDebug opens the small symbol table that some distributions put, compressed,
// into stripped files.
func miniDebug(im *image) (_ *image) {
	s := im.section(".gnu_debugdata")
	if s == nil {
		return nil
	}
	packed, err := im.data(s, maxMiniDebug)
	if err != nil {
		return nil
	}
	plain, err := unpack(packed)
	if err != nil {
		return nil
	}
	mini, err := openImage(bytes.NewReader(plain))
	if err != nil {
		return nil
	}
	return mini
}

// unpack decompresses xz, within bounds.
func unpack(packed []byte) (_ []byte, err error) {
	defer guard(&err, "read .gnu_debugdata")
	in, err := xz.ReaderConfig{DictCap: 8 << 20}.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(in, maxMiniDebug))
}

// named returns the frames of an address, innermost first. Without a name it is
// one frame, of which module and offset are known.
func (m *module) named(addr uint64, pid int, debug *int64) []Frame {
	if m.names == nil {
		m.rows() // also finds Go's table
		m.names = readNames(m, pid, debug)
	}
	n := m.names
	if f, ok := n.frames.get(addr); ok {
		return f
	}
	var frames []Frame
	if m.goTab != nil {
		frames = m.goTab.frames(addr)
	}
	if frames == nil {
		frames = n.lines.frames(addr)
		var function string
		for _, t := range n.tables {
			if name, ok := t.find(addr); ok {
				function = readable(name)
				break
			}
		}
		if frames == nil {
			frames = []Frame{{}}
		}
		if function == "" && m.signalReturn(addr) {
			function = "<signal handler called>"
		}
		if last := &frames[len(frames)-1]; function != "" {
			last.Function = function // of the physical frame; the linker's name is the full one
		}
	}
	for i := range frames {
		f := &frames[i]
		f.Kind = Inlined
		f.Module, f.BuildID, f.Offset = m.name, m.image.buildID, addr
	}
	frames[len(frames)-1].Kind = Native
	n.frames.put(addr, frames)
	return frames
}

// clones are what a compiler adds to the name of a function that it has made a variant of.
var clones = regexp.MustCompile(`(\.(constprop|isra|part|lto_priv|cold|llvm)(\.\d+)?)+$`)

// readable demangles the names of C++ and Rust, within bounds.
func readable(name string) string {
	name = clones.ReplaceAllString(name, "")
	if !strings.HasPrefix(name, "_Z") && !strings.HasPrefix(name, "_R") && !strings.HasPrefix(name, "__Z") {
		return name
	}
	return demangleName(name)
}

func demangleName(name string) (plain string) {
	plain = name
	defer func() { _ = recover() }()
	return demangle.Filter(name, demangle.NoClones, demangle.MaxLength(maxDemangled))
}
