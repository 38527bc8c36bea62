package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setName sets the comm of the calling thread.
func setName(name string) error {
	b := append([]byte(name), 0)
	return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0)
}
