package jvm

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// heapDir is a directory made for one dump.
type heapDir struct {
	parent, dir *os.File
	name        string
}

func newHeapDir(where place, s status) (*heapDir, error) {
	self, err := ownMarker()
	if err != nil {
		return nil, err
	}
	d := &heapDir{parent: where.dir, name: heapDirName(self) + rand.Text()}
	if err := unix.Mkdirat(int(d.parent.Fd()), d.name, 0o700); err != nil {
		return nil, err
	}
	fd, err := unix.Openat(int(d.parent.Fd()), d.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil {
		d.dir = os.NewFile(uintptr(fd), d.name)
		if s.euid != os.Geteuid() || s.egid != os.Getegid() {
			err = d.dir.Chown(s.euid, s.egid)
		}
	}
	if err != nil {
		d.remove()
		return nil, err
	}
	return d, nil
}

// open opens the dump for reading, if it is the JVM's own plain file.
func (d *heapDir) open(s status) (*os.File, error) {
	fd, err := unix.Openat(int(d.dir.Fd()), heapFile, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f, st, err := openRegular(fd, heapFile)
	switch {
	case err != nil:
		return nil, err
	case f == nil:
		return nil, errors.New("what stands there is no plain file")
	case int(st.Uid) != s.euid || st.Nlink != 1:
		f.Close()
		return nil, errors.New("what stands there is not the JVM's own file")
	}
	return f, nil
}

// remove removes the directory with all that is in it; a JVM that is at work may make another file meanwhile.
func (d *heapDir) remove() {
	for range 10 {
		if d.dir != nil {
			names, err := readNames(d.dir)
			if err != nil {
				break
			}
			for _, name := range names {
				_ = unix.Unlinkat(int(d.dir.Fd()), name, 0) // what stays is found by rmdir
			}
		}
		if err := unix.Unlinkat(int(d.parent.Fd()), d.name, unix.AT_REMOVEDIR); !errors.Is(err, unix.ENOTEMPTY) {
			break
		}
	}
	if d.dir != nil {
		d.dir.Close()
	}
}

// readNames reads a directory from its beginning, a few thousand names at most.
func readNames(dir *os.File) ([]string, error) {
	if _, err := dir.Seek(0, 0); err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(4096)
	if len(names) == 0 {
		return nil, nil // io.EOF
	}
	return names, err
}

// heapDirName is how the directories begin that a process makes, as its marker tells who it is: for removeStaleHeaps.
func heapDirName(marker string) string {
	var pid int
	var start, ns uint64
	_, _ = fmt.Sscanf(marker, markerFormat, &pid, &start, &ns) // our own words
	return fmt.Sprintf("%s%d-%d-%d-", heapDirPrefix, pid, start, ns)
}

// maxEntries bounds the names that are looked at for what was left behind.
const maxEntries = 1 << 16

// removeStaleHeaps removes the dumps that an earlier vmaleak left in a directory because it was killed while the JVM wrote.
func removeStaleHeaps(parent *os.File) {
	fd, err := unix.Openat(int(parent.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	listed := os.NewFile(uintptr(fd), parent.Name())
	defer listed.Close()
	names, _ := listed.Readdirnames(maxEntries) // what cannot be read stays
	for _, name := range names {
		var pid int
		var start, ns uint64
		if n, _ := fmt.Sscanf(name, heapDirPrefix+"%d-%d-%d-", &pid, &start, &ns); n != 3 {
			continue
		}
		if !staleMarker(fmt.Sprintf(markerFormat, pid, start, ns)) {
			continue
		}
		fd, err := unix.Openat(int(parent.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		d := &heapDir{parent: parent, dir: os.NewFile(uintptr(fd), name), name: name}
		d.remove()
	}
}
