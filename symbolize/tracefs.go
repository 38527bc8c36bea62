package symbolize

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const tracefsPath = "/sys/kernel/tracing"

// findTracefs is where tracefs is mounted, "" if at none of the usual places.
func findTracefs() string {
	for _, path := range []string{tracefsPath, "/sys/kernel/debug/tracing"} {
		var st unix.Statfs_t
		if unix.Statfs(path, &st) == nil && st.Type == unix.TRACEFS_MAGIC {
			return path
		}
	}
	return ""
}

// MountTracefs is where tracefs is; if nowhere, it mounts it at
// /sys/kernel/tracing (needs CAP_SYS_ADMIN) and says so by mounted.
func MountTracefs() (path string, mounted bool, err error) {
	if path := findTracefs(); path != "" {
		return path, false, nil
	}
	err = unix.Mount("tracefs", tracefsPath, "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	switch err {
	case nil:
		return tracefsPath, true, nil
	case unix.EPERM, unix.EACCES:
		return "", false, fmt.Errorf("mount tracefs at %s: %w (run as root; in a container mount the host's /sys/kernel/tracing into it)", tracefsPath, err)
	case unix.ENOENT:
		return "", false, fmt.Errorf("mount tracefs at %s: %w (no such folder: is sysfs mounted at /sys?)", tracefsPath, err)
	case unix.ENODEV:
		return "", false, fmt.Errorf("mount tracefs at %s: %w (this kernel has no tracefs: CONFIG_FTRACE)", tracefsPath, err)
	default:
		return "", false, fmt.Errorf("mount tracefs at %s: %w", tracefsPath, err)
	}
}
