package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// play is what the test binary does as a target: "map SIZE COUNT" holds so
// many mappings, says ready, and lives until its stdin is closed.
func play(part string) error {
	f := strings.Fields(part)
	switch f[0] {
	case "map":
		length, err := parseSize(f[1])
		if err != nil {
			return err
		}
		count, err := strconv.Atoi(f[2])
		if err != nil {
			return err
		}
		fmt.Println("ready")
		var b [1]byte
		if _, err := os.Stdin.Read(b[:]); err != nil && err != io.EOF {
			return err
		}
		for range count {
			if _, err := unix.Mmap(-1, 0, int(length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no part %q", part)
}
