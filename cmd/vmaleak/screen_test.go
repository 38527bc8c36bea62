package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// mustTerminal is a terminal of this size: what is written to the second comes out of the first.
func mustTerminal(t *testing.T, columns, rows uint16) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		cannot(t, "needs pseudo terminals: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, terminal
}

func TestALiveScreenFitsTheTerminal(t *testing.T) {
	master, terminal := mustTerminal(t, 40, 6)
	sc := newScreen(terminal, false)
	if sc.tty == nil {
		t.Fatal("a terminal is not recognised")
	}
	if columns, rows := sc.size(); columns != 40 || rows != 6 {
		t.Fatalf("%d columns, %d rows", columns, rows)
	}
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	if err := sc.live([]byte(text.String())); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	frame := readTerminal(master)
	if strings.Count(frame, "\n") != 5 || !strings.HasPrefix(frame, cursorHome+"line 0"+clearLine) || !strings.HasSuffix(frame, clearBelow) {
		t.Errorf("%q", frame)
	}
	if !strings.Contains(frame, "46 more lines") || strings.Contains(frame, "line 4") {
		t.Errorf("%q", frame)
	}
}

func TestPlainTextFollowsPlainText(t *testing.T) {
	var b bytes.Buffer
	sc := newScreen(&b, false)
	for range 2 {
		if err := sc.live([]byte("a\nb\n")); err != nil {
			t.Fatal(err)
		}
	}
	if b.String() != "\na\nb\n\na\nb\n" {
		t.Errorf("%q", b.String())
	}
}

// readTerminal reads until the other end is closed.
func readTerminal(master *os.File) string {
	b, _ := io.ReadAll(master) // ends with EIO
	return string(b)
}

var frames = regexp.MustCompile(regexp.QuoteMeta(cursorHome))

func TestALiveTraceNeitherScrollsNorClears(t *testing.T) {
	needRoot(t)
	t.Parallel()
	target := exec.Command("sleep", "100")
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = target.Process.Kill()
		_ = target.Wait()
	})
	master, terminal := mustTerminal(t, 80, 5)
	cmd := vmaleakCommand(t, "trace", "-p", fmt.Sprint(target.Process.Pid), "-d", "700ms", "-i", "100ms", "--no-save")
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stdout = terminal
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	shown := readTerminal(master)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	parts := frames.Split(shown, -1)
	if len(parts) < 5 {
		t.Fatalf("%d frames: %q", len(parts)-1, shown)
	}
	if strings.Contains(shown, "\x1b[2J") {
		t.Error("the terminal is cleared, which flickers")
	}
	for _, frame := range parts[1 : len(parts)-1] { // the last one is the final report
		if n := strings.Count(frame, "\n"); n > 4 {
			t.Errorf("%d lines scroll a terminal of 5: %q", n, frame)
		}
		for line := range strings.Lines(frame) {
			line = strings.NewReplacer(clearLine, "", clearBelow, "").Replace(strings.TrimRight(line, "\r\n"))
			if utf8.RuneCountInString(line) > 80 {
				t.Errorf("a line of more than 80 columns: %q", line)
			}
		}
	}
}
