package hotspot

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestAttachAsAVMStarts(t *testing.T) {
	for version, home := range jdks(t) {
		t.Run(version, func(t *testing.T) {
			classes := mustCompile(t, home, "8", "testdata/Busy.java")
			p := mustRun(t, home, "-Xmx128m", "-cp", classes, "Busy", "100")
			refused := map[string]int{}
			for deadline := time.Now().Add(20 * time.Second); ; {
				vm, err := Attach(p.pid())
				if err == nil {
					if !vm.Contains(vm.code.heaps[0].low) {
						t.Errorf("the first heap begins at %#x", vm.code.heaps[0].low)
					}
					break
				}
				if !errors.Is(err, ErrNotHotSpot) && !errors.Is(err, ErrNotReady) {
					t.Logf("%v", err) // libjvm.so is being mapped
				}
				refused[err.Error()]++
				if time.Now().After(deadline) {
					t.Fatalf("never attached: %v", refused)
				}
			}
			t.Log(refused)
		})
	}
}

func TestNoHotSpot(t *testing.T) {
	if _, err := Attach(os.Getpid()); !errors.Is(err, ErrNotHotSpot) {
		t.Errorf("this process: %v", err)
	}
	for name, maps := range map[string]string{
		"OpenJ9": "7f00-7f01 r--p 00000000 00:00 1 /opt/java/lib/default/libj9vm29.so\n7f01-7f02 r--p 00000000 00:00 1 /opt/java/lib/server/libjvm.so\n",
		"none":   "7f00-7f01 r--p 00000000 00:00 1 /lib/libjvm.so.1\n7f00-7f01 r--p 00001000 00:00 1 /lib/libjvm.so\n7f00-7f01 rw-p 00000000 00:00 0\n",
	} {
		if base, _, err := parseLibjvm(strings.NewReader(maps)); !errors.Is(err, ErrNotHotSpot) {
			t.Errorf("%s: %#x, %v", name, base, err)
		}
	}
	base, _, err := parseLibjvm(strings.NewReader("7f00-7f01 r--p 00000000 00:00 1                    /a dir/libjvm.so (deleted)\n"))
	if err != nil || base != 0x7f00 {
		t.Errorf("deleted: %#x, %v", base, err)
	}
}
