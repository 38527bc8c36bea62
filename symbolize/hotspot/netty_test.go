package hotspot

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestNettysOwnCounter compares with what Netty says by reflection. JDK 17 lets it allocate without cleaners, by flags, and
// then it counts; 25 does not, and the JDK counts.
func TestNettysOwnCounter(t *testing.T) {
	jars, err := filepath.Glob("/usr/share/java/netty-*.jar")
	if err != nil || len(jars) == 0 {
		skip(t, "needs Netty: install libnetty-java")
	}
	path := strings.Join(jars, ":")
	for version, home := range jdks(t) {
		if major, err := strconv.Atoi(version); err != nil || major < 17 {
			continue
		}
		classes := t.TempDir()
		if out, err := exec.Command(filepath.Join(home, "bin/javac"), "-d", classes, "-cp", path, "testdata/NettyDirect.java").CombinedOutput(); err != nil {
			t.Fatalf("javac: %v: %s", err, out)
		}
		t.Run(version, func(t *testing.T) {
			p := mustRun(t, home, "-Xmx96m", "-Dio.netty.tryReflectionSetAccessible=true", "--add-opens", "java.base/java.nio=ALL-UNNAMED",
				"-cp", classes+":"+path, "NettyDirect")
			for p.line() != "READY" {
			}
			vm, err := Attach(p.pid())
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range []string{"hold 100", "hold 5000000", "hold 20000000", "release"} {
				p.tell(step)
				said := strings.Fields(p.line())
				for len(said) != 3 { // the JVM's own warnings
					said = strings.Fields(p.line())
				}
				found := mustRead(t, vm)
				netty, counts := found["io.netty.util.internal.PlatformDependent"]
				if counts != (said[0] != "-1") || counts != (version == "17") {
					t.Fatalf("%s: Netty says %v, and was read as %+v", step, said, netty)
				}
				if counts && (show(netty.Used) != said[0] || show(netty.Limit) != said[1]) {
					t.Errorf("%s: Netty says %v, and was read as %s of %s", step, said, show(netty.Used), show(netty.Limit))
				}
				// Netty's first buffer of a byte is soon collected: this figure may be one less by then.
				if want, err := strconv.ParseUint(said[2], 10, 64); err != nil || !about(found["java.nio.Bits"].Used, want, 2) {
					t.Errorf("%s: the JDK says %v, and was read as %s", step, said, show(found["java.nio.Bits"].Used))
				}
			}
		})
	}
}
