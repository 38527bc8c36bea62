// Gochain leaks nothing: it calls inlined -> leak and stands still there.
package main

import (
	"runtime"
	"syscall"
)

type pool struct{ n int }

//go:noinline
func (p *pool) leak(n int) int {
	_, _, _ = syscall.Syscall(syscall.SYS_PAUSE, uintptr(n), 0, 0) // line 13
	return p.n + n
}

func inlined(p *pool) int {
	return p.leak(7) + 1 // line 18
}

//go:noinline
func outer[T any](p *pool, _ T) int {
	return inlined(p) + 2 // line 23
}

func init() { runtime.LockOSThread() }

func main() {
	println(outer(&pool{3}, "x"))
}
