package unwind

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
)

// Bounds of one reading of /proc/PID/maps.
const (
	maxMaps  = 64 << 20 // bytes of text
	maxAreas = 1 << 16  // executable areas
)

// area is an executable row of /proc/PID/maps.
type area struct {
	start, end uint64
	offset     uint64 // in the file
	inode      uint64
	name       string // path, or the kernel's name in brackets, or empty
	mod        *module
	why        string // why mod is nil, once it has been asked for
}

var errGone = errors.New("no such process")

// readMaps reads the executable areas of a process, ascending.
func readMaps(pid int) ([]area, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/maps")
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, errGone
		}
		return nil, err
	}
	defer f.Close()
	areas, err := parseMaps(f)
	if err == nil && len(areas) == 0 {
		return nil, errGone // a zombie's maps are empty
	}
	return areas, err
}

// parseMaps keeps the executable rows. A row that cannot be read is left out:
// the file is the kernel's, but the names in it are the target's.
func parseMaps(r io.Reader) ([]area, error) {
	in := bufio.NewReaderSize(io.LimitReader(r, maxMaps), 64<<10)
	var areas []area
	for len(areas) < maxAreas {
		line, err := in.ReadSlice('\n')
		if a, ok := parseArea(line); ok {
			areas = append(areas, a)
		}
		for errors.Is(err, bufio.ErrBufferFull) { // a path of 64 KiB: its rest is not a row
			_, err = in.ReadSlice('\n')
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read maps: %w", err)
		}
	}
	slices.SortFunc(areas, func(a, b area) int {
		if a.start < b.start {
			return -1
		}
		return 1
	})
	return areas, nil
}

// parseArea reads `start-end perms offset dev inode   name` if it is executable.
func parseArea(line []byte) (area, bool) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	span, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(rest) < 5 || rest[2] != 'x' {
		return area{}, false
	}
	low, high, ok := bytes.Cut(span, []byte("-"))
	fields := bytes.SplitN(rest[5:], []byte(" "), 4)
	if !ok || len(fields) < 3 {
		return area{}, false
	}
	start, err1 := strconv.ParseUint(string(low), 16, 64)
	end, err2 := strconv.ParseUint(string(high), 16, 64)
	offset, err3 := strconv.ParseUint(string(fields[0]), 16, 64)
	inode, err4 := strconv.ParseUint(string(fields[2]), 10, 64)
	if err := errors.Join(err1, err2, err3, err4); err != nil || end <= start {
		return area{}, false
	}
	a := area{start: start, end: end, offset: offset, inode: inode}
	if len(fields) == 4 {
		name := bytes.TrimSuffix(bytes.TrimLeft(fields[3], " "), []byte(" (deleted)"))
		a.name = string(bytes.ToValidUTF8(name, []byte("\uFFFD")))
	}
	return a, true
}

// findArea returns the area of an address, or nil.
func findArea(areas []area, addr uint64) *area {
	i, found := slices.BinarySearchFunc(areas, addr, func(a area, addr uint64) int {
		switch {
		case a.end <= addr:
			return -1
		case a.start > addr:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return &areas[i]
}
