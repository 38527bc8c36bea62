package unwind

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// fileKey tells files apart, also those that replace each other. The name is
// part of it: a file that two processes know by two names is two modules.
type fileKey struct {
	dev, inode uint64
	size       int64
	mtime      unix.Timespec
	name       string
	vdso       string // hash of what was read from memory
}

// module is one ELF file that is mapped somewhere, shared between processes.
type module struct {
	id     uint32
	key    fileKey
	name   string
	users  int
	weight int64    // of its tables, as the file says
	disk   *os.File // nil of the vdso, and after the last user has gone
	image  *image
	read   bool // rows has been tried
	table  *rows
	why    string // why there is no table
	goTab  *goTable
	names  *names // nil until a name is asked for
}

// openMapped opens the file of an area through the kernel's own link to it:
// that works for deleted files and in other mount namespaces. What is no
// regular file is not opened, since opening may do something.
func openMapped(pid int, a *area) (*os.File, fileKey, error) {
	link := fmt.Sprintf("/proc/%d/map_files/%x-%x", pid, a.start, a.end)
	var st unix.Stat_t
	if err := unix.Stat(link, &st); err != nil {
		return nil, fileKey{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fileKey{}, errors.New("not a regular file")
	}
	f, err := os.OpenFile(link, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fileKey{}, err
	}
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		f.Close()
		return nil, fileKey{}, errors.New("not a regular file")
	}
	return f, fileKey{dev: st.Dev, inode: st.Ino, size: st.Size, mtime: st.Mtim, name: a.name}, nil
}

// readMemory reads an area of a process, for the vdso, which is in no file.
func readMemory(pid int, a *area) (io.ReaderAt, []byte, error) {
	const limit = 256 << 10
	if a.end-a.start > limit {
		return nil, nil, errors.New("too large")
	}
	p := make([]byte, a.end-a.start)
	if err := readProcess(pid, a.start, p); err != nil {
		return nil, nil, err
	}
	return bytes.NewReader(p), p, nil
}

// readProcess reads all of p from the memory of a process.
func readProcess(pid int, addr uint64, p []byte) error {
	local := []unix.Iovec{{Base: &p[0], Len: uint64(len(p))}}
	n, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}, 0)
	if err == nil && n < len(p) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// rows returns the unwind table, read when it is first asked for.
func (m *module) rows() *rows {
	if m.read {
		return m.table
	}
	m.read = true
	var err error
	if m.table, err = readRows(m.image); err != nil {
		m.table, m.why = &rows{}, reasonBadTables
	} else if m.table.empty() {
		m.why = reasonNoTables
	}
	m.goTab = readGoTable(m.image)
	return m.table
}

// code reads instructions of the module.
func (m *module) code(addr uint64, p []byte) bool {
	return m.image.read(addr, p) == nil
}

// signalReturn reports whether a signal handler returns to addr. Libraries without
// tables have this, too: the kernel calls rt_sigreturn by its number.
func (m *module) signalReturn(addr uint64) bool {
	var p [9]byte
	return m.code(addr, p[:]) &&
		(bytes.Equal(p[:], []byte{0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05}) || // mov $15,%rax; syscall
			bytes.Equal(p[:8], []byte{0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4})) // mov x8,#139; svc #0
}

// startTime is when a process began, in clock ticks: with it a PID names one
// process for ever.
func startTime(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return ""
	}
	return string(fields[19])
}

// deadline of all that is done for one stack. It is looked at rarely, since it
// costs a call.
type deadline struct{ at time.Time }

func (d deadline) passed() bool { return time.Now().After(d.at) }
