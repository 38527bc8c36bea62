package leak

import "strings"

// PoolOf is the pool that a thread's name tells: its last counter replaced,
// "WorkerPetalGroup-9-5" is of "WorkerPetalGroup-9-#". A name without a
// counter is a pool of its own.
func PoolOf(name string) string {
	end := strings.LastIndexAny(name, "0123456789") + 1
	if end == 0 {
		return name
	}
	start := end
	for start > 0 && name[start-1] >= '0' && name[start-1] <= '9' {
		start--
	}
	if start > 0 && name[start-1] == '#' { // "GC Thread#3"
		start--
	}
	return name[:start] + "#" + name[end:]
}
