package netty

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestHolders has buffers of Netty's pool retained, and kept in a map or dropped: their chunks look alike, and holders must tell
// them apart, name the map's owner, and leave the server as it was.
func TestHolders(t *testing.T) {
	const class = "PooledUnsafeDirectByteBuf"
	tests := []struct {
		mode string
		want []string
		not  string
	}{
		{"kept", []string{"HELD 38M by static NettyHolders.SESSIONS: 601 " + class, "by static NettyHolders.SESSIONS java.util.HashMap.table java.util.HashMap$Node[] element java.util.HashMap$Node.value",
			"38M in buffers that are held and 0 in buffers that nobody holds"}, "DROPPED"},
		{"dropped", []string{"DROPPED 38M without release: no GC root leads to 601 " + class, "0 in buffers that are held and 38M in buffers that nobody holds"}, "HELD"},
		{"collected", []string{"DROPPED 38M without release: Netty's pool has handed out 38M of which no buffer is left in the heap"}, "HELD"},
	}
	for _, version := range []string{"17", "25"} {
		for _, tt := range tests {
			t.Run(version+" "+tt.mode, func(t *testing.T) {
				java, classPath := needAll(t, version)
				vmaleak := must[string](t)(program())
				server := start(t, java, "-Xmx192m", "-Xmn96m", "-Xlog:gc", "-Dio.netty.tryReflectionSetAccessible=true",
					"--add-opens", "java.base/java.nio=ALL-UNNAMED", "-cp", classPath, "NettyHolders", tt.mode, "601")
				server.until(t, "the buffers are there", func() bool { return strings.Contains(server.output(), "ready\n") })
				all := chunksOf(t, server.output())
				before := strings.Count(server.output(), "Pause Full")
				args := []string{"holders", "-p", fmt.Sprint(server.Process.Pid), "--range", all, "--wait", "10ms"}
				text := mustSay(t, vmaleak, args...)
				if !strings.Contains(text, "no collection was forced") || strings.Contains(text, "HELD") {
					t.Errorf("without --dump:\n%s", text)
				}
				text = mustSay(t, vmaleak, append(args, "--dump")...)
				for _, want := range tt.want {
					if !strings.Contains(text, want) {
						t.Errorf("%q is not in\n%s", want, text)
					}
				}
				if strings.Contains(text, tt.not) {
					t.Errorf("%s is in\n%s", tt.not, text)
				}
				if now := strings.Count(server.output(), "Pause Full"); now != before {
					t.Errorf("%d collections were forced", now-before)
				}
				text = mustSay(t, vmaleak, append(args, "--dump", "--live")...)
				if now := strings.Count(server.output(), "Pause Full"); now < before+3 {
					t.Errorf("%d collections with --live", now-before)
				}
				if (tt.mode == "kept") != strings.Contains(text, "HELD") || (tt.mode == "kept") == strings.Contains(text, "DROPPED") {
					t.Errorf("with --live:\n%s", text)
				}
				for _, dir := range []string{"/tmp", "/var/tmp", server.Dir} {
					if left, _ := filepath.Glob(filepath.Join(dir, ".vmaleak-heap-*")); left != nil {
						t.Errorf("left behind: %q", left)
					}
				}
				select {
				case <-server.done:
					t.Errorf("the server has ended: %v", server.ProcessState)
				default:
				}
			})
		}
	}
}

// chunksOf is one range around all that a server says that it has.
func chunksOf(t *testing.T, text string) string {
	t.Helper()
	low, high := ^uint64(0), uint64(0)
	for _, m := range regexp.MustCompile(`range (0x[0-9a-f]+-0x[0-9a-f]+)`).FindAllStringSubmatch(text, -1) {
		var start, end uint64
		if n, err := fmt.Sscanf(m[1], "0x%x-0x%x", &start, &end); n != 2 {
			t.Fatal(m[1], err)
		}
		low, high = min(low, start), max(high, end)
	}
	if high == 0 {
		t.Fatalf("no range in\n%s", text)
	}
	return fmt.Sprintf("%x-%x", low, high)
}

// mustSay is what a command prints on its stdout, with the white space of a line's length taken out.
func mustSay(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var talk strings.Builder
	cmd.Stderr = &talk
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s%s", args, err, out, talk.String())
	}
	return strings.Join(strings.Fields(string(out)), " ")
}
