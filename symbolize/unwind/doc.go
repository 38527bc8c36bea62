// Package unwind turns a copy of a thread's registers and stack into frames
// with names: native code by its unwind tables, HotSpot's by the virtual
// machine's own description of itself.
//
// The live stack is never read: what is not in the copy is missing, and the
// stack says so. Everything else (maps, ELF files, unwind tables, symbols)
// belongs to the target and is not trusted.
package unwind
