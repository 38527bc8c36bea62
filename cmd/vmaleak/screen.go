package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// screen is where text for people goes. On a terminal each live report takes
// the place of the one before; anywhere else one follows the other.
type screen struct {
	w   io.Writer
	tty *os.File // nil: no terminal, or not to be drawn on
}

func newScreen(w io.Writer, plain bool) *screen {
	sc := &screen{w: w}
	if f, ok := w.(*os.File); ok && !plain && os.Getenv("TERM") != "dumb" {
		if _, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
			sc.tty = f
		}
	}
	return sc
}

// size is the terminal's, as it is now; elsewhere 80 columns without end.
func (sc *screen) size() (columns, rows int) {
	columns, rows = 80, 1<<30
	if sc.tty == nil {
		return columns, rows
	}
	ws, err := unix.IoctlGetWinsize(int(sc.tty.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return columns, rows
	}
	if ws.Col >= 40 {
		columns = int(ws.Col)
	}
	if ws.Row >= 4 {
		rows = int(ws.Row)
	}
	return columns, rows
}

// live shows text, whose lines end in newlines, by a single write: the
// terminal neither flickers nor scrolls. What does not fit its height is left out.
func (sc *screen) live(text []byte) error {
	if sc.tty == nil {
		_, err := sc.w.Write(append([]byte("\n"), text...))
		return err
	}
	columns, rows := sc.size()
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	if most := rows - 1; len(lines) > most {
		more := fmt.Sprintf("… %d more lines: a higher window shows them, and the final report", len(lines)-most+1)
		lines = append(lines[:most-1:most-1], []byte(more[:min(len(more), columns)]))
	}
	out := []byte(cursorHome)
	for _, line := range lines {
		out = append(append(out, line...), clearLine+"\r\n"...)
	}
	_, err := sc.w.Write(append(out, clearBelow...))
	return err
}

// final shows text that stays: it may scroll.
func (sc *screen) final(text []byte) error {
	before := "\n"
	if sc.tty != nil {
		before = cursorHome + clearBelow
	}
	_, err := sc.w.Write(append([]byte(before), text...))
	return err
}

// What terminals of the last forty years understand (ECMA-48).
const (
	cursorHome = "\x1b[H"
	clearLine  = "\x1b[K"
	clearBelow = "\x1b[J"
)
