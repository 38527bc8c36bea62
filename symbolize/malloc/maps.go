package malloc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Bounds of one reading of /proc/PID/maps.
const (
	maxMaps = 64 << 20 // bytes of text
	maxRows = 1 << 18
)

// row is an area of the address space that can be read and written, or a file's.
type row struct {
	start, end uint64
	writable   bool
	file       string // the name of a file, or [heap]
}

// readMaps reads the rows of a process, ascending.
func readMaps(pid int) ([]row, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/maps")
	if err != nil {
		return nil, gone(fmt.Errorf("read the memory map of process %d: %w", pid, err))
	}
	defer f.Close()
	rows, err := parseMaps(f)
	if err != nil {
		return nil, gone(fmt.Errorf("read the memory map of process %d: %w", pid, err))
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%w: process %d has no memory map", ErrGone, pid)
	}
	return rows, nil
}

// parseMaps keeps rows that are a file's, or private, anonymous and writable.
func parseMaps(r io.Reader) ([]row, error) {
	in := bufio.NewReaderSize(io.LimitReader(r, maxMaps), 64<<10)
	var rows []row
	for len(rows) < maxRows {
		line, err := in.ReadSlice('\n')
		if r, ok := parseRow(line); ok {
			rows = append(rows, r)
		}
		for errors.Is(err, bufio.ErrBufferFull) { // a path of 64 KiB: its rest is not a row
			_, err = in.ReadSlice('\n')
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		if a.start < b.start {
			return -1
		}
		return 1
	})
	return rows, nil
}

// parseRow reads `start-end rw-p offset dev inode   name`.
func parseRow(line []byte) (row, bool) {
	fields := bytes.SplitN(bytes.TrimSuffix(line, []byte("\n")), []byte(" "), 6)
	if len(fields) < 5 || len(fields[1]) != 4 {
		return row{}, false
	}
	low, high, _ := bytes.Cut(fields[0], []byte("-"))
	start, err1 := strconv.ParseUint(string(low), 16, 64)
	end, err2 := strconv.ParseUint(string(high), 16, 64)
	if err1 != nil || err2 != nil || end <= start {
		return row{}, false
	}
	r := row{start: start, end: end, writable: fields[1][0] == 'r' && fields[1][1] == 'w' && fields[1][3] == 'p'}
	if len(fields) == 6 {
		name := strings.TrimSuffix(string(bytes.TrimLeft(fields[5], " ")), " (deleted)")
		switch {
		case strings.HasPrefix(name, "/"):
			r.file = path.Base(name)
		case name == "[heap]":
			r.file = name
		}
	}
	return r, r.writable || r.file != ""
}

// anonymous reports whether addr lies in memory that malloc can have got: private, writable, of no file.
func anonymous(rows []row, addr uint64) bool {
	i, found := slices.BinarySearchFunc(rows, addr, func(r row, addr uint64) int {
		switch {
		case r.end <= addr:
			return -1
		case r.start > addr:
			return 1
		}
		return 0
	})
	return found && rows[i].writable && (rows[i].file == "" || rows[i].file == "[heap]")
}
