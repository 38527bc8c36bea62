package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"vmaleak/leak"
)

// mustNamed starts the JVM with threads of hostile names, and reads who they are: names by TID.
func mustNamed(t *testing.T, home string, count int, java ...string) (pid int, names map[int]string) {
	t.Helper()
	args := append(java, "-Xmx64m", "-cp", mustClasses(t), "Named", strconv.Itoa(count))
	cmd := exec.Command(filepath.Join(home, "bin/java"), args...)
	cmd.Dir = t.TempDir()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		done := make(chan struct{})
		go func() {
			_ = cmd.Wait() // it may be killed
			close(done)
		}()
		end(cmd, done)
	})
	names = map[int]string{}
	lines := bufio.NewScanner(out)
	for len(names) <= count && lines.Scan() { // the main thread too
		var tid int
		var text string
		if n, _ := fmt.Sscanf(lines.Text()+" .", "T %d %s", &tid, &text); n != 2 {
			t.Fatalf("the JVM says %q", lines.Text())
		}
		if text == "." { // Base64 of the empty name
			text = ""
		}
		name, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		names[tid] = string(name)
	}
	return cmd.Process.Pid, names
}

// vmaleakCommand is the program with these arguments, in a directory of its own.
func vmaleakCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(mustShared(t), "vmaleak"), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), mainEnv+"=1", "TMPDIR="+cmd.Dir)
	return cmd
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		cannot(t, "needs root to load BPF programs")
	}
}

func TestFiveHundredHostileNamesAreRight(t *testing.T) {
	needRoot(t)
	for _, major := range []string{"17", "25"} {
		t.Run(major, func(t *testing.T) {
			t.Parallel()
			home := mustJDK(t, major)
			pid, names := mustNamed(t, home, 500)
			cmd := vmaleakCommand(t, "trace", "-p", strconv.Itoa(pid), "--json", "out.json", "-o", "out.txt", "-d", "500ms", "-i", "200ms", "-T", "1000")
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v: %s", err, &stderr)
			}
			snap, err := checkExport(filepath.Join(cmd.Dir, "out.json"))
			if err != nil {
				t.Fatal(err)
			}
			wantNames(t, snap.Processes[0], names)
			if n := snap.Processes[0].Effects.Dumps; n != 0 {
				t.Errorf("%d thread dumps were taken", n)
			}
			if v := snap.Processes[0].JVM.Version; v == nil || !strings.HasPrefix(*v, major+".") || strings.Contains(*v, " ") {
				t.Errorf("version %v", v)
			}
			file, err := os.ReadFile(filepath.Join(cmd.Dir, "out.txt"))
			if err != nil {
				t.Fatal(err)
			}
			harmless(t, stdout.Bytes())
			harmless(t, stderr.Bytes())
			harmless(t, file)
		})
	}
}

// wantNames checks that every thread of the truth has its name, its pool and its TID.
func wantNames(t *testing.T, p *leak.Entry, names map[int]string) {
	t.Helper()
	right := 0
	for i := range p.Threads {
		th := &p.Threads[i]
		want, ours := names[*th.TID]
		switch {
		case th.Name == nil:
			if ours {
				t.Errorf("thread %d has no name, want %q", *th.TID, want)
			}
		case ours && *th.Name != want:
			t.Errorf("thread %d is called %q, want %q", *th.TID, *th.Name, want)
		case ours:
			right++
		}
	}
	if right != len(names) {
		t.Errorf("%d of %d names are right", right, len(names))
	}
}

// harmless checks that text can do nothing to a terminal.
func harmless(t *testing.T, text []byte) {
	t.Helper()
	for i, r := range string(text) {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Fatalf("control character %q in %q", r, text[max(i-40, 0):min(i+40, len(text))])
		}
	}
}

func TestVersionsAreShort(t *testing.T) {
	for line, want := range map[string]string{
		"OpenJDK 64-Bit Server VM (17.0.15+6-Debian-1deb12u1 mixed mode, sharing)": "17.0.15+6-Debian-1deb12u1",
		"OpenJDK 64-Bit Server VM (25.0.1+8-LTS mixed mode, emulated-client)":      "25.0.1+8-LTS",
		"Java HotSpot(TM) 64-Bit Server VM (25.191-b12 mixed mode)":                "8u191-b12",
		"OpenJDK 64-Bit Server VM (21-ea+5)":                                       "21-ea+5",
		"25.0.3+9-LTS":                                                             "25.0.3+9-LTS",
		"25.504-b08":                                                               "8u504-b08",
		"something else":                                                           "something else",
		"":                                                                         "",
	} {
		if got := shortVersion(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
