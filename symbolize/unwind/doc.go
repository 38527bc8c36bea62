// Package unwind turns a copy of a thread's registers and stack into frames
// with names: native code by its unwind tables, HotSpot's by the virtual
// machine's own description of itself.
//
//	Resolve
//	  process    executable areas of /proc/PID/maps; a PID and its start time
//	  words      the copy, with the return addresses that uretprobes had replaced
//	  walk       frame by frame; the pc lies in
//	               a file      its rule from .eh_frame or Go's table (rows, goTable)
//	               the vdso    the same, read from memory
//	               libjvm's code cache    hotspot.VM.Step, virtual threads' heaps too
//	               a library without tables    a guess, and said so (scan)
//	               code of no file    its frame pointer, and said so
//	  known      the sequence of physical frames has been named before; or
//	  name       symbols, debug files, DWARF, Go's table; hotspot.VM.Expand
//
// A walk is complete where the unwind tables say that nobody called and the frame
// pointer is 0, as the ABI marks the outermost frame. One that failed is made
// again once, after everything that may have changed was read anew.
//
// The live stack is never read: what is not in the copy is missing, and the
// stack says so. Everything else (maps, ELF files, unwind tables, symbols)
// belongs to the target and is not trusted.
package unwind
