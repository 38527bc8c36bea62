package symbolize

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of what is read of a process. A longer file is cut, never refused.
const (
	maxCmdline = 128 << 10
	maxEnviron = 1 << 20
	maxSmall   = 64 << 10 // cgroup, status, mountinfo lines and the like
	maxLine    = 4 << 10  // one-line files: comm, hostname, a single number
)

// procPath is /proc/PID/name.
func procPath(pid int, name string) string {
	return "/proc/" + strconv.Itoa(pid) + "/" + name
}

// readBounded reads at most limit bytes of a file.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// readBelowRoot reads at most maxLine bytes of the file that path names inside
// the root of a process, as that process would see it. Links are followed
// within that root only; magic links, devices, sockets and pipes are refused.
func readBelowRoot(pid int, path string) ([]byte, error) {
	root, err := unix.Open(procPath(pid, "root"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	// O_PATH first: opening a device or a pipe can have effects or block.
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	at, err := unix.Openat2(root, path, &how)
	if err != nil {
		return nil, fmt.Errorf("%s below /proc/%d/root: %w", path, pid, err)
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("%s below /proc/%d/root: %w", path, pid, ErrOutside)
	}
	// Our own descriptor: the link cannot be changed by the target any more.
	f, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(at), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxLine))
}

// readSmallAt reads one small file below an open directory of /proc into buf,
// without the cost of an os.File. It is for files that the kernel gives out as
// one record, in one read; what does not fit into buf is left out.
func readSmallAt(dir int, name string, buf []byte) ([]byte, error) {
	fd, err := openatRetry(dir, name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}

func openatRetry(dir int, name string) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// validText makes bytes of a process valid UTF-8: a run of invalid bytes
// becomes one U+FFFD. Control characters stay.
func validText(b string) string {
	return strings.ToValidUTF8(b, "\uFFFD")
}

// splitNUL splits a NUL-separated list (cmdline, environ). A trailing NUL ends
// the last element; an element that was cut by a bound stays as it is.
func splitNUL(b []byte) []string {
	b = bytes.TrimSuffix(b, []byte{0})
	if len(b) == 0 {
		return nil
	}
	parts := bytes.Split(b, []byte{0})
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = validText(string(p))
	}
	return out
}
