package unwind

import (
	"crypto/sha256"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// modules are the files that are or were mapped, shared between processes.
type modules struct {
	limit int   // of those that nobody uses any more
	open  int   // files
	debug int64 // bytes of debug information in memory
	last  uint32
	known map[fileKey]*module
	idle  []*module // without users, oldest first
}

// Bounds of the tables of all modules, and of those of one process, by the
// files' own sizes of them.
const (
	maxTables        = 512 << 20
	maxProcessTables = 128 << 20
)

// maxOpenFiles bounds the files that are open for their tables and names.
const maxOpenFiles = 400

// load returns the module of an area, or why there is none.
func (ms *modules) load(p *process, a *area) (*module, string) {
	if !a.isFile() {
		return nil, reasonJIT
	}
	m := &module{name: a.name}
	if a.name == "[vdso]" {
		mem, bytes, err := readMemory(p.pid, a)
		if err != nil {
			return nil, reasonFile
		}
		sum := sha256.Sum256(bytes)
		m.key = fileKey{name: a.name, vdso: string(sum[:])}
		m.image, err = openImage(mem)
		if err != nil {
			return nil, reasonFile
		}
	} else {
		if ms.open >= maxOpenFiles {
			return nil, reasonFile
		}
		f, key, err := openMapped(p.pid, a)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			return nil, reasonGone
		}
		if err != nil {
			return nil, reasonFile
		}
		if known := ms.known[key]; known != nil {
			if known.disk == nil {
				known.disk, known.image.file = f, f
				ms.open++
			} else {
				f.Close()
			}
			return known, ""
		}
		m.key, m.disk = key, f
		if m.image, err = openImage(f); err != nil {
			f.Close()
			return nil, reasonFile
		}
		if m.weight = m.image.weight(); !ms.room(p, m) {
			f.Close()
			return nil, reasonTables
		}
		ms.open++
	}
	if known := ms.known[m.key]; known != nil {
		return known, ""
	}
	ms.last++
	m.id = ms.last
	ms.known[m.key] = m
	return m, ""
}

// room reports whether the tables of m may be kept besides the others: a process
// may map as many files as it likes, and each costs time and memory. Files
// without users make room.
func (ms *modules) room(p *process, m *module) bool {
	own, all := m.weight, m.weight
	for other := range p.mods {
		own += other.weight
	}
	for _, other := range ms.known {
		all += other.weight
	}
	for all > maxTables && len(ms.idle) > 0 {
		if old := ms.idle[0]; ms.dropIdle() {
			all -= old.weight
		}
	}
	return own <= maxProcessTables && all <= maxTables
}

// dropIdle forgets the module that has been idle for longest, and reports whether
// nobody has come to use it again.
func (ms *modules) dropIdle() bool {
	old := ms.idle[0]
	ms.idle = ms.idle[1:]
	if old.users > 0 || ms.known[old.key] != old {
		return false
	}
	delete(ms.known, old.key)
	return true
}

// release takes one user off a module. Without users its file is closed, since an
// open file keeps a container's file system busy; its tables stay for a while.
func (ms *modules) release(m *module) {
	if m.users--; m.users > 0 {
		return
	}
	if m.disk != nil {
		m.disk.Close()
		m.disk = nil
		ms.open--
	}
	m.names.close()
	m.names = nil
	ms.idle = append(ms.idle, m)
	for len(ms.idle) > ms.limit {
		ms.dropIdle()
	}
}
