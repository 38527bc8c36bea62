package jvm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// HeapDumpOptions say how a heap dump is taken.
type HeapDumpOptions struct {
	// Live lets the JVM do a full garbage collection first and dump what is left. Else garbage that has not been collected is in the dump, too.
	Live bool
	// Bytes is what the heap holds. There must be room for a dump of it, which is up to twice as large: references take 8 bytes
	// there, and each object 25 more.
	Bytes uint64
	// Dir is where the JVM shall write it, as the JVM sees it. "": in its /tmp, its /var/tmp or its working directory, the first that will do.
	Dir string
}

// heapDirFormat and heapFile are the names of what a heap dump needs for as long as it is written.
const (
	heapDirPrefix = ".vmaleak-heap-"
	heapFile      = "heap.hprof"
)

// HeapDump has the JVM write its heap into a file, which stops the application until it is written, and returns the file, open for
// reading. The file has no name any more: it is gone when it is closed, or when this process ends. It is removed on every other way out,
// too, also if ctx ends; the JVM then goes on writing into a file without a name, since nothing can stop it.
//
// The file stands in a directory made for it that only the JVM's user can enter. It is never written to a file system in
// memory, where it would count as the memory of the JVM's container. What is in the file is untrusted.
func (c *Client) HeapDump(ctx context.Context, opt HeapDumpOptions) (*os.File, error) {
	s, err := c.p.ready()
	if err != nil {
		return nil, err
	}
	place, err := c.p.heapPlace(opt)
	if err != nil {
		return nil, err
	}
	defer place.dir.Close()
	removeStaleHeaps(place.dir)
	made, err := newHeapDir(place, s)
	if err != nil {
		return nil, fault(c.p.pid, err, "make a directory for the dump in its %s", place.name)
	}
	defer made.remove()
	which := "-all"
	if opt.Live {
		which = "-live"
	}
	said, err := c.Command(ctx, "dumpheap", place.path+"/"+made.name+"/"+heapFile, which)
	if err != nil {
		return nil, err
	}
	f, err := made.open(s)
	if err != nil {
		// The JVM reports success whatever happened; the text alone tells.
		why := strings.Join(strings.Fields(javaString(clip(string(said[:min(len(said), 512)]), 512))), " ")
		return nil, fault(c.p.pid, ErrRefused, "it wrote no heap dump in its %s (%v): it said %q", place.name, err, why)
	}
	return f, nil
}

// place is a directory where the JVM can write.
type place struct {
	name string   // for people
	path string   // for the JVM
	dir  *os.File // for us: O_PATH
}

// heapPlace finds a directory with room for a dump.
func (p *process) heapPlace(opt HeapDumpOptions) (place, error) {
	names := []string{"/tmp", "/var/tmp", "."}
	if opt.Dir != "" {
		names = []string{opt.Dir}
	}
	var why []string
	for _, name := range names {
		where := place{name: name, path: name}
		var err error
		if name == "." {
			where.name = "working directory"
			where.dir, err = p.open("cwd", unix.O_PATH|unix.O_DIRECTORY)
		} else {
			where.dir, err = p.openDir(name)
		}
		if err == nil {
			if err = hasRoom(where.dir, opt.Bytes); err == nil {
				return where, nil
			}
			where.dir.Close()
		}
		why = append(why, fmt.Sprintf("%s: %v", where.name, err))
	}
	return place{}, fault(p.pid, ErrNoRoom, "%s; give the JVM a directory on a disk, with --dir", strings.Join(why, "; "))
}

// hasRoom says why a dump should not be written to a directory.
func hasRoom(dir *os.File, bytes uint64) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return err
	}
	free, need := st.Bavail*uint64(st.Bsize), 2*bytes+bytes/8+64<<20
	switch {
	case st.Flags&unix.ST_RDONLY != 0:
		return errors.New("mounted read-only")
	case st.Type == unix.TMPFS_MAGIC, st.Type == unix.RAMFS_MAGIC:
		return errors.New("a file system in memory, where the dump would count as memory of the JVM's container")
	case free < need:
		return fmt.Errorf("%d MiB free, for a dump of up to %d MiB", free>>20, need>>20)
	}
	return nil
}

// openDir opens a directory as the JVM sees it: no link leads out of its root.
func (p *process) openDir(name string) (*os.File, error) {
	root, err := p.open("root", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	fd, err := unix.Openat2(int(root.Fd()), name, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}
