package jvm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// attachFile is the file that tells a JVM that SIGQUIT asks it to start its attach listener, and not to print a thread dump.
// The JVM only looks whether it exists and who owns it.
type attachFile struct {
	dir  *os.File // the directory it stands in
	name string
	own  *unix.Stat_t // what this process created; nil if somebody else's file serves
}

// markerFormat is the text in our files, for [CleanStale]: the process that wrote it, that one's start time, and its pid namespace.
const markerFormat = "vmaleak attach pid=%d start=%d pidns=%d\n"

// createAttachFile makes the file in one of the two places where the JVM looks for it: its working directory, and its /tmp.
func (p *process) createAttachFile(s status) (*attachFile, error) {
	marker, err := ownMarker()
	if err != nil {
		return nil, fault(p.pid, err, "read this process's own start time")
	}
	cwd, errCwd := p.open("cwd", unix.O_PATH|unix.O_DIRECTORY)
	if errCwd == nil {
		var file *attachFile
		if file, errCwd = newAttachFile(cwd, s, marker); errCwd == nil {
			return file, nil
		}
		cwd.Close()
		if errors.Is(errCwd, fs.ErrExist) {
			// The JVM would look no further, and take SIGQUIT as the wish for a thread dump.
			return nil, fault(p.pid, errCwd, "the JVM would not accept the file in its working directory; remove it")
		}
	}
	tmp, errTmp := p.openTmp()
	if errTmp == nil {
		var file *attachFile
		if file, errTmp = newAttachFile(tmp, s, marker); errTmp == nil {
			return file, nil
		}
		tmp.Close()
	}
	return nil, fault(p.pid, ErrReadOnly, "cannot create .attach_pid%d in its working directory (%v), nor in its /tmp (%v); make one of them writable",
		s.nspid, errCwd, errTmp)
}

// newAttachFile makes the file in dir, and owns dir if it could.
func newAttachFile(dir *os.File, s status, marker string) (*attachFile, error) {
	a := &attachFile{dir: dir, name: fmt.Sprintf(".attach_pid%d", s.nspid)}
	if err := cleanStaleIn(dir, a.name); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	if st, err := linkMarked(dir, a.name, s, marker); err == nil {
		a.own = st
		return a, nil
	}
	fd, err := unix.Openat(int(dir.Fd()), a.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EEXIST) {
		// Another tool is attaching just now, or one left it behind. If the JVM will accept it, it serves, and is not ours to remove.
		var st unix.Stat_t
		if err := unix.Fstatat(int(dir.Fd()), a.name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return nil, err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != s.euid {
			return nil, fmt.Errorf("%s: %w and is not the JVM's own", a.name, fs.ErrExist)
		}
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Unlinkat(int(dir.Fd()), a.name, 0) // the error that counts is returned
		return nil, err
	}
	a.own = &st
	// The marker is a help for CleanStale only: a full disk is no reason to give up.
	_, _ = unix.Write(fd, []byte(marker))
	if int(st.Uid) != s.euid || int(st.Gid) != s.egid {
		err := unix.Fchown(fd, s.euid, s.egid)
		if err != nil && int(st.Uid) != s.euid { // the group does not matter to the JVM
			a.unlink()
			return nil, fmt.Errorf("give %s to the JVM's user %d: %w", a.name, s.euid, err)
		}
	}
	return a, nil
}

// linkMarked gives the file its name only when it is complete, so that whoever is killed meanwhile leaves none without a
// marker. Not every file system can; then it is made in steps.
func linkMarked(dir *os.File, name string, s status, marker string) (*unix.Stat_t, error) {
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if n, err := unix.Write(fd, []byte(marker)); err != nil || n != len(marker) {
		return nil, errors.Join(err, unix.EIO)
	}
	if err := unix.Fchown(fd, s.euid, s.egid); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	return &st, unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW)
}

// remove deletes the file if it is ours, and lets go of its directory.
func (a *attachFile) remove() {
	a.unlink()
	a.dir.Close()
}

func (a *attachFile) unlink() {
	var st unix.Stat_t
	if a.own == nil || unix.Fstatat(int(a.dir.Fd()), a.name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil ||
		st.Dev != a.own.Dev || st.Ino != a.own.Ino {
		return
	}
	_ = unix.Unlinkat(int(a.dir.Fd()), a.name, 0) // if it stays, CleanStale finds it
}

// CleanStale removes the .attach_pid files of this JVM that an earlier vmaleak left behind because it was killed.
// A file is removed only if it holds vmaleak's own marker and the vmaleak that wrote it, in this pid namespace, lives no more.
// Without the file a later SIGQUIT makes the JVM print a thread dump again, as its administrators expect.
func CleanStale(pid int) error {
	p, err := openProcess(pid)
	if err != nil {
		return err
	}
	defer p.close()
	s, err := p.status()
	if err != nil {
		return err
	}
	var errs []error
	for _, open := range []func() (*os.File, error){
		func() (*os.File, error) { return p.open("cwd", unix.O_PATH|unix.O_DIRECTORY) },
		p.openTmp,
	} {
		dir, err := open()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err := cleanStaleIn(dir, fmt.Sprintf(".attach_pid%d", s.nspid)); err != nil {
			errs = append(errs, fault(pid, err, "remove a stale .attach_pid%d", s.nspid))
		}
		dir.Close()
	}
	return errors.Join(errs...)
}

func cleanStaleIn(dir *os.File, name string) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f, st, err := openRegular(fd, name)
	if err != nil || f == nil {
		return err
	}
	defer f.Close()
	text := make([]byte, 128)
	if st.Mode&0o7777 != 0o600 || st.Size == 0 || st.Size > int64(len(text)) {
		return nil
	}
	n, err := f.Read(text)
	if err != nil {
		return err
	}
	if !staleMarker(string(text[:n])) {
		return nil
	}
	stale := attachFile{dir: dir, name: name, own: st}
	stale.unlink()
	return nil
}

// staleMarker reports whether a text is the marker of a process of this pid namespace that lives no more.
func staleMarker(text string) bool {
	var pid int
	var start, ns uint64
	if n, err := fmt.Sscanf(text, markerFormat, &pid, &start, &ns); err != nil || n != 3 || pid <= 0 || fmt.Sprintf(markerFormat, pid, start, ns) != text {
		return false
	}
	if own, err := pidNamespace(); err != nil || own != ns {
		return false
	}
	writer, err := openProcess(pid)
	if err != nil {
		return errors.Is(err, ErrGone)
	}
	defer writer.close()
	return writer.start != start
}

func ownMarker() (string, error) {
	self, err := openProcess(os.Getpid())
	if err != nil {
		return "", err
	}
	defer self.close()
	ns, err := pidNamespace()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(markerFormat, self.pid, self.start, ns), nil
}

// pidNamespace returns the number of this process's pid namespace.
func pidNamespace() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}

// openTmp opens the JVM's /tmp, where its socket always stands, as the JVM sees it: no link leads out of its root.
func (p *process) openTmp() (*os.File, error) {
	root, err := p.open("root", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	fd, err := unix.Openat2(int(root.Fd()), "tmp", &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		hint := "open the JVM's /tmp"
		if errors.Is(err, unix.ENOSYS) {
			hint += " (openat2 needs Linux 5.6)"
		}
		return nil, fault(p.pid, err, "%s", strings.TrimSpace(hint))
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("/proc/%d/root/tmp", p.pid)), nil
}

// openRegular opens for reading what an O_PATH descriptor stands for, and closes that. It is nil if that is no regular file: opening a
// FIFO would wait for its writer, and opening a device may do anything.
func openRegular(fd int, name string) (*os.File, *unix.Stat_t, error) {
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, nil, nil
	}
	file, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(file), name), &st, nil
}
