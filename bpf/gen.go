// Package bpf holds the kernel half of vmaleak, compiled: the programs, their
// maps, and the types that they share with user space. Building needs no
// compiler for it; `make generate` makes it anew from vmaleak.bpf.c.
package bpf

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -no-global-types -type event -type space_state -type space_ref -type stack -type stack_status -type op -type untraced -type space_status -type phase -type block_key -type block -type block_flags -type malloc_call -target amd64,arm64 -cflags "-O2 -g -Wall -Werror -mcpu=v3" vmaleak vmaleak.bpf.c -- -I. -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
