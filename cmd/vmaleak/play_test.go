package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// play is what the test binary does as a target: "rows N" makes so many rows
// in /proc/PID/maps, says ready, and lives until its stdin is closed.
func play(part string) error {
	name, arg, _ := strings.Cut(part, " ")
	if name != "rows" {
		return fmt.Errorf("no part %q", part)
	}
	rows, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	page := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, rows*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	for i := 0; i < rows; i += 2 {
		if err := unix.Mprotect(mem[i*page:(i+1)*page], unix.PROT_READ); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
