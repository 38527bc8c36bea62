package tracer

import (
	"bufio"
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vmaleak/bpf"
)

// fileID tells files apart by their inode, since names lie.
type fileID struct{ dev, ino uint64 }

// mallocFile is a file that defines malloc, and the functions of its family in it.
type mallocFile struct {
	f         *os.File
	id        fileID
	path      string // as the process knows it
	functions []function
}

type function struct {
	name   string
	offset uint64 // in the file
	call   uint64
}

// family is malloc's: what frees is followed with what gives, or neither.
var family = map[string]uint64{
	"malloc": bpf.CallMalloc, "valloc": bpf.CallMalloc, "pvalloc": bpf.CallMalloc,
	"calloc": bpf.CallCalloc, "realloc": bpf.CallRealloc, "reallocarray": bpf.CallReallocarray,
	"memalign": bpf.CallAligned, "aligned_alloc": bpf.CallAligned, "posix_memalign": bpf.CallPosix,
	"free": bpf.CallFree, "cfree": bpf.CallFree, "free_sized": bpf.CallFree, "free_aligned_sized": bpf.CallFree,
}

// callOf is the kind of a function, 0 for one that is not of the family. C++'s
// operators are of it where a library has malloc and them: its own, then, do not call malloc.
func callOf(name string) uint64 {
	switch {
	case strings.HasPrefix(name, "_Znwm"), strings.HasPrefix(name, "_Znam"):
		return bpf.CallMalloc
	case strings.HasPrefix(name, "_ZdlPv"), strings.HasPrefix(name, "_ZdaPv"):
		return bpf.CallFree
	}
	return family[name]
}

// Bounds on what a process may make us read.
const (
	maxCodeFiles   = 4096
	maxSymbolTable = 64 << 20 // bytes of a table of symbols or of its names
)

// mallocFiles finds the files that a process has mapped and that define malloc; where there are
// none, why. The caller closes them.
func mallocFiles(pid int) (files []mallocFile, why string, err error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, "", fmt.Errorf("find malloc of process %d: %w", pid, err)
	}
	defer maps.Close()
	seen := map[fileID]bool{}
	lines := bufio.NewScanner(maps)
	lines.Buffer(nil, 1<<16)
	for lines.Scan() && len(seen) < maxCodeFiles {
		fields := strings.SplitN(lines.Text(), " ", 6)
		if len(fields) < 6 || !strings.Contains(fields[1], "x") || fields[4] == "0" {
			continue
		}
		// The row's own link: right in every mount namespace, and for files that are deleted.
		start, end, _ := strings.Cut(fields[0], "-")
		f, id, err := openCode(fmt.Sprintf("/proc/%d/map_files/%s-%s", pid, strings.TrimLeft(start, "0"), strings.TrimLeft(end, "0")))
		if err != nil || seen[id] {
			f.Close()
			continue
		}
		seen[id] = true
		m := mallocFile{f: f, id: id, path: strings.TrimSpace(fields[5])}
		if m.functions, err = functions(f, false); err != nil || len(m.functions) == 0 {
			f.Close()
			continue
		}
		files = append(files, m)
	}
	if err := lines.Err(); err != nil && len(files) == 0 {
		return nil, "", fmt.Errorf("find malloc of process %d: read its maps: %w", pid, err)
	}
	if len(files) > 0 {
		return files, "", nil
	}
	if len(seen) == 0 {
		return nil, "no file with code that can be read is mapped", nil
	}
	// Linked statically: only the full table of symbols, where it is not stripped, has the names.
	f, id, err := openCode(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil, "", fmt.Errorf("find malloc of process %d: %w", pid, err)
	}
	m := mallocFile{f: f, id: id, path: "its program"}
	if m.functions, err = functions(f, true); err == nil && len(m.functions) > 0 {
		return []mallocFile{m}, "", nil
	}
	f.Close()
	return nil, "none of its libraries exports malloc, and its program has no such symbol (it is linked statically and stripped, or is of a language with an allocator of its own, as Go); trace it without --malloc", nil
}

// openCode opens a regular file.
func openCode(path string) (*os.File, fileID, error) {
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
		return nil, fileID{}, errors.Join(err, os.ErrInvalid)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fileID{}, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		f.Close()
		return nil, fileID{}, errors.Join(err, os.ErrInvalid)
	}
	return f, fileID{st.Dev, st.Ino}, nil
}

// functions are those of malloc's family that an ELF file defines, empty unless malloc and free are among them.
func functions(f *os.File, static bool) (list []function, err error) {
	defer func() {
		if r := recover(); r != nil { // debug/elf is not made for hostile files
			list, err = nil, fmt.Errorf("read its symbols: %v", r)
		}
	}()
	e, err := elf.NewFile(f)
	if err != nil {
		return nil, err
	}
	for _, s := range e.Sections {
		if (s.Type == elf.SHT_DYNSYM || s.Type == elf.SHT_SYMTAB || s.Type == elf.SHT_STRTAB) && s.Size > maxSymbolTable {
			return nil, fmt.Errorf("read its symbols: a table of %d bytes", s.Size)
		}
	}
	if e.Class != elf.ELFCLASS64 {
		return nil, errors.New("read its symbols: it is no 64-bit program")
	}
	read := e.DynamicSymbols
	if static {
		read = e.Symbols
	}
	symbols, err := read()
	if err != nil {
		return nil, err
	}
	at := map[uint64]bool{}
	var malloc, free bool
	for _, s := range symbols {
		if s.Name == "_rtld_global" && s.Section != elf.SHN_UNDEF && !static {
			return nil, nil // glibc's loader: its malloc is for itself, until libc is there
		}
		call := callOf(s.Name)
		offset := fileOffset(e, s.Value)
		if call == 0 || s.Section == elf.SHN_UNDEF || elf.ST_TYPE(s.Info) != elf.STT_FUNC || offset == 0 {
			continue
		}
		if e.Machine == elf.EM_X86_64 {
			offset = entry(f, offset)
		}
		malloc, free = malloc || s.Name == "malloc", free || s.Name == "free"
		if !at[offset] {
			at[offset] = true
			list = append(list, function{s.Name, offset, call})
		}
	}
	if !malloc || !free {
		return nil, nil
	}
	// What frees first: no block may be followed whose end would not be seen.
	slices.SortStableFunc(list, func(x, y function) int { return cmp.Compare(y.call, x.call) })
	return list, nil
}

// fileOffset is where in the file the code at an address is, 0 if it is no code.
func fileOffset(e *elf.File, addr uint64) uint64 {
	for _, p := range e.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && addr >= p.Vaddr && addr-p.Vaddr < p.Filesz {
			return addr - p.Vaddr + p.Off
		}
	}
	return 0
}
