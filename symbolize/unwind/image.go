package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Bounds of what is read of one ELF file.
const (
	maxHeaders = 8 << 20 // bytes of headers and their names
	maxLoads   = 64      // segments
	maxNotes   = 64 << 10
)

var errBudget = errors.New("more to read than an honest file has")

// budget is a reader that fails when more than left bytes are asked for. The
// files are read, never mapped: one that is truncated meanwhile would kill us.
type budget struct {
	io.ReaderAt
	left int64
}

func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errBudget
	}
	return b.ReaderAt.ReadAt(p, off)
}

// image is an ELF file of the target: its headers, checked.
type image struct {
	file     io.ReaderAt
	machine  elf.Machine
	sections []*elf.Section // of the parser; their data is read by section
	loads    []elf.ProgHeader
	frames   elf.ProgHeader // PT_GNU_EH_FRAME
	entry    uint64
	buildID  string
}

// openImage reads the headers. A file whose section headers lie is taken
// without them, as the kernel takes it.
func openImage(file io.ReaderAt) (_ *image, err error) {
	defer guard(&err, "read elf headers")
	in := &budget{file, maxHeaders}
	parsed, err := elf.NewFile(in)
	if err != nil {
		in = &budget{withoutSections{file}, maxHeaders}
		if parsed, err = elf.NewFile(in); err != nil {
			return nil, fmt.Errorf("read elf headers: %w", err)
		}
	}
	if parsed.Class != elf.ELFCLASS64 || parsed.Data != elf.ELFDATA2LSB {
		return nil, errors.New("read elf headers: not of a 64-bit machine")
	}
	im := &image{file: file, machine: parsed.Machine, sections: parsed.Sections, entry: parsed.Entry}
	for _, p := range parsed.Progs {
		switch {
		case p.Type == elf.PT_LOAD && len(im.loads) < maxLoads:
			im.loads = append(im.loads, p.ProgHeader)
		case p.Type == elf.PT_GNU_EH_FRAME:
			im.frames = p.ProgHeader
		case p.Type == elf.PT_NOTE && im.buildID == "" && p.Filesz <= maxNotes:
			notes := make([]byte, p.Filesz)
			if _, err := file.ReadAt(notes, int64(p.Off)); err == nil {
				im.buildID = buildIDOf(notes, p.Align)
			}
		}
	}
	return im, nil
}

// guard turns a panic of a parser that met bytes it did not expect into an error.
func guard(err *error, doing string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: %v", doing, r)
	}
}

// withoutSections shows a file as if it had no section headers.
type withoutSections struct{ io.ReaderAt }

func (w withoutSections) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, off)
	const shoff, shnum = 40, 60 // e_shoff, and e_shnum with e_shstrndx
	for _, at := range [][2]int64{{shoff, shoff + 8}, {shnum, shnum + 4}} {
		for i := max(at[0], off); i < min(at[1], off+int64(n)); i++ {
			p[i-off] = 0
		}
	}
	return n, err
}

// buildIDOf finds the GNU build id among notes.
func buildIDOf(notes []byte, align uint64) string {
	if align != 8 {
		align = 4
	}
	pad := func(n uint64) uint64 { return (n + align - 1) &^ (align - 1) }
	for len(notes) >= 12 {
		name := uint64(binary.LittleEndian.Uint32(notes))
		desc := uint64(binary.LittleEndian.Uint32(notes[4:]))
		kind := binary.LittleEndian.Uint32(notes[8:])
		from := 12 + pad(name)
		if from+desc > uint64(len(notes)) {
			return ""
		}
		if kind == 3 && bytes.Equal(notes[12:12+name], []byte("GNU\x00")) && desc >= 8 && desc <= 64 {
			return hex.EncodeToString(notes[from : from+desc])
		}
		if from+pad(desc) > uint64(len(notes)) {
			return ""
		}
		notes = notes[from+pad(desc):]
	}
	return ""
}

// section returns the header of a section that lies in the file, or nil.
func (im *image) section(name string) *elf.Section {
	for _, s := range im.sections {
		if s.Name == name && s.Type != elf.SHT_NOBITS && s.Type != elf.SHT_NULL {
			return s
		}
	}
	return nil
}

// data reads a section, decompressed, if it has no more than limit bytes.
func (im *image) data(s *elf.Section, limit uint64) (_ []byte, err error) {
	defer guard(&err, "read section")
	if s.Size > limit || s.FileSize > limit {
		return nil, fmt.Errorf("read section %s: %d bytes are too many", s.Name, s.Size)
	}
	return s.Data()
}

// address translates an offset in the file to the ELF file's own addresses.
func (im *image) address(offset uint64) (uint64, bool) {
	for _, exec := range []elf.ProgFlag{elf.PF_X, 0} {
		for _, l := range im.loads {
			if l.Flags&elf.PF_X == exec && offset >= l.Off && offset-l.Off < l.Filesz {
				return l.Vaddr + (offset - l.Off), true
			}
		}
	}
	return 0, false
}

// weight is how many bytes of unwind tables and symbols the file says that it
// has, as far as they would be read.
func (im *image) weight() (n int64) {
	if tables, ok := im.frameTables(); ok {
		n = int64(min(tables.Size, maxFrameBytes))
	}
	for _, s := range im.sections {
		if s.Type == elf.SHT_SYMTAB || s.Type == elf.SHT_DYNSYM {
			n += int64(min(s.Size, maxSymbols*symbolSize))
		}
	}
	return n
}

// read reads bytes of the file at one of its addresses.
func (im *image) read(addr uint64, p []byte) error {
	for _, l := range im.loads {
		if addr >= l.Vaddr && addr-l.Vaddr < l.Filesz && uint64(len(p)) <= l.Filesz-(addr-l.Vaddr) {
			_, err := im.file.ReadAt(p, int64(l.Off+(addr-l.Vaddr)))
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return io.ErrUnexpectedEOF
}
