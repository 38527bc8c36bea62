package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
)

// view is an ELF file that has nothing but one section of unwind tables: a
// header of our own making in front of the real bytes. The extraction gets
// this instead of the file, since what it would do with other sections has no
// bound (the tables of a Go program multiply), and since the headers it sees
// are then those that were checked.
type view struct {
	file           *budget
	header, tables []byte // at offset 0; at viewTables
}

var errShort = errors.New("the file is shorter than its headers say")

// viewTables is beyond any file.
const viewTables = 1 << 60

const viewNames = "\x00.eh_frame\x00.shstrtab\x00"

func newView(im *image, tables elf.SectionHeader) *view {
	le := binary.LittleEndian
	var out bytes.Buffer
	put := func(v any) { _ = binary.Write(&out, le, v) } // a buffer never fails
	for _, l := range im.loads {
		put(elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(l.Flags), Off: l.Off, Vaddr: l.Vaddr,
			Filesz: l.Filesz, Memsz: l.Memsz, Align: l.Align})
	}
	sections := uint64(viewTables + out.Len())
	names := sections + 3*uint64(binary.Size(elf.Section64{}))
	put(elf.Section64{})
	put(elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Addr: tables.Addr, Off: tables.Offset, Size: tables.Size})
	put(elf.Section64{Name: 11, Type: uint32(elf.SHT_STRTAB), Off: names, Size: uint64(len(viewNames))})
	out.WriteString(viewNames)
	v := &view{file: &budget{im.file, 4 * maxFrameBytes}, tables: bytes.Clone(out.Bytes())}

	out.Reset()
	h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(im.machine), Version: uint32(elf.EV_CURRENT),
		Phoff: viewTables, Phentsize: 56, Phnum: uint16(len(im.loads)),
		Shoff: sections, Shentsize: 64, Shnum: 3, Shstrndx: 2}
	copy(h.Ident[:], []byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)})
	put(h)
	v.header = out.Bytes()
	return v
}

// ReadAt panics with errShort where there is nothing: the extraction goes on with
// zeros after an error of reading, and need not end. guard makes an error of it.
func (v *view) ReadAt(p []byte, off int64) (int, error) {
	n, err := v.readAt(p, off)
	if n == 0 && len(p) > 0 {
		panic(errShort)
	}
	return n, err
}

func (v *view) readAt(p []byte, off int64) (int, error) {
	from, src := off, v.header
	if off >= viewTables {
		from, src = off-viewTables, v.tables
	} else if off >= int64(len(v.header)) {
		return v.file.ReadAt(p, off)
	}
	if from >= int64(len(src)) {
		return 0, io.EOF
	}
	n := copy(p, src[from:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
