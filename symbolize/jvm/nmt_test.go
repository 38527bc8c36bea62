package jvm

import "testing"

func TestNativeMemoryTrackingIsRead(t *testing.T) {
	const kib = 1 << 10
	for name, c := range map[string]struct {
		text       string
		categories int
		total      uint64
		thread     uint64
	}{
		"17": {`
Native Memory Tracking:

(Omitting categories weighting less than 1KB)

Total: reserved=2657803KB, committed=209991KB
-                 Java Heap (reserved=131072KB, committed=131072KB)
                            (mmap: reserved=131072KB, committed=131072KB) 
 
-                    Thread (reserved=18574KB, committed=918KB)
                            (thread #19)
`, 3, 209991 * kib, 918 * kib},
		"25": {`
Total: reserved=2657803KB, committed=209991KB
       malloc: 24571KB #57264, peak=24601KB #57284
       mmap:   reserved=2633232KB, committed=185420KB

-                    Thread (reserved=18574KB, committed=918KB)
-              Shared class space (reserved=16384KB, committed=13908KB, readonly=0KB)
-    Native Memory Tracking (reserved=1145KB, committed=1145KB)
`, 4, 209991 * kib, 918 * kib},
	} {
		n, err := parseNMT(c.text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(n.Committed) != c.categories || n.Committed["Total"] != c.total || n.Committed["Thread"] != c.thread || n.Reserved["Thread"] != 18574*kib {
			t.Errorf("%s: %v", name, n)
		}
	}
	for name, text := range map[string]string{
		"off":            "Native memory tracking is not enabled\n",
		"empty":          "",
		"out of range":   "Total: reserved=99999999999999999999KB, committed=1KB\n",
		"larger than 64": "Total: reserved=18014398509481984KB, committed=1KB\n",
	} {
		if n, err := parseNMT(text); err == nil {
			t.Errorf("%s: %v", name, n)
		}
	}
}
