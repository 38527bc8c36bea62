package unwind

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// openDebug opens the file with the debug information of a build id, here or in
// the file system of a process that has the module mapped.
func openDebug(im *image, pid int) (*os.File, *image) {
	if len(im.buildID) < 8 {
		return nil, nil
	}
	path := "usr/lib/debug/.build-id/" + im.buildID[:2] + "/" + im.buildID[2:] + ".debug"
	for _, root := range []string{"/", "/proc/" + strconv.Itoa(pid) + "/root"} {
		f := openInRoot(root, path)
		if f == nil {
			continue
		}
		if debug, err := openImage(f); err == nil && debug.buildID == im.buildID {
			return f, debug
		}
		f.Close()
	}
	return nil, nil
}

// openInRoot opens a regular file below a root that the target has arranged: no
// link leads out of it.
func openInRoot(root, path string) *os.File {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(dir)
	at, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return nil
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if unix.Fstat(at, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil // opening a device or a pipe may do something
	}
	f, err := os.Open("/proc/self/fd/" + strconv.Itoa(at))
	if err != nil {
		return nil
	}
	return f
}
