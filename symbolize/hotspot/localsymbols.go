package hotspot

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	maxLocalText   = 64 << 20 // of names, and of symbols, in a file
	localBlock     = 64 << 10
	localSymbolLen = 24
)

// localSymbols finds symbols that libjvm.so does not export but still has in its file, by their names: few builds are
// stripped of them. The file is the one that is mapped, whatever its path leads to by now; it is read once, a block at a time.
func localSymbols(pid int, mapping string, bias uint64, names []string) (map[string]uint64, error) {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/map_files/%s", pid, mapping), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("symbols of libjvm.so: %w", err)
	}
	defer f.Close()
	file, err := elf.NewFile(f)
	if err != nil {
		return nil, fmt.Errorf("symbols of libjvm.so: %w", err)
	}
	found, err := findLocal(file, names)
	if err != nil {
		return nil, fmt.Errorf("symbols of libjvm.so: %w", err)
	}
	for name := range found {
		found[name] += bias
	}
	return found, nil
}

// findLocal returns the values of these symbols: first where their names are among all names, then who has these names.
func findLocal(file *elf.File, names []string) (map[string]uint64, error) {
	symbols, text := file.Section(".symtab"), file.Section(".strtab")
	if symbols == nil || text == nil || symbols.Type != elf.SHT_SYMTAB || text.Type != elf.SHT_STRTAB {
		return nil, errors.New("they are stripped")
	}
	if max(symbols.FileSize, text.FileSize) > maxLocalText || (symbols.Flags|text.Flags)&elf.SHF_COMPRESSED != 0 {
		return nil, fmt.Errorf("tables of %d and %d bytes", symbols.FileSize, text.FileSize)
	}
	offsets := map[uint32]string{}
	err := blocks(io.NewSectionReader(text.ReaderAt, 0, int64(text.FileSize)), maxName, func(at int64, block []byte) {
		for _, name := range names {
			whole := append([]byte(name), 0)
			for from := 0; ; {
				i := bytes.Index(block[from:], whole)
				if i < 0 {
					break
				}
				offsets[uint32(at+int64(from+i))] = name
				from += i + 1
			}
		}
	})
	if err != nil {
		return nil, err
	}
	found := map[string]uint64{}
	err = blocks(io.NewSectionReader(symbols.ReaderAt, 0, int64(symbols.FileSize)), 0, func(_ int64, block []byte) {
		for ; len(block) >= localSymbolLen; block = block[localSymbolLen:] {
			name, ok := offsets[le32(block)]
			if ok && elf.ST_TYPE(block[4]) == elf.STT_OBJECT && le16(block[6:]) != uint16(elf.SHN_UNDEF) {
				found[name] = le64(block[8:])
			}
		}
	})
	return found, err
}

// blocks calls each with all of r, block by block; each block begins with the last overlap bytes of the one before it.
func blocks(r io.Reader, overlap int, each func(at int64, block []byte)) error {
	const size = localBlock / localSymbolLen * localSymbolLen
	buf := make([]byte, overlap+size)
	for at, kept := int64(0), 0; ; {
		n, err := io.ReadFull(r, buf[kept:kept+size])
		block := buf[:kept+n]
		if n > 0 {
			each(at, block)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		next := min(overlap, len(block))
		at += int64(len(block) - next)
		kept = copy(buf, block[len(block)-next:])
	}
}
