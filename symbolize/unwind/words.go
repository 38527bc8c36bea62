package unwind

import (
	"encoding/binary"

	"vmaleak/symbolize/hotspot"
)

// words reads the copy of a stack.
type words struct {
	base   uint64
	mem    []byte
	absent uint32 // of Raw

	missed uint64 // the last address that was not in the copy
}

// wordsOf are the words of a copy.
func wordsOf(raw *Raw) *words { return &words{base: raw.SP, mem: raw.Mem, absent: raw.Absent} }

// pageSize is that of Raw.Absent.
const pageSize = 4096

// gap reports whether a part of the word at an address was not in memory.
func (w *words) gap(addr uint64) bool {
	page := func(addr uint64) uint64 { return addr/pageSize - w.base/pageSize }
	return addr >= w.base && (w.absent>>page(addr)|w.absent>>page(addr+7))&1 != 0
}

// Word reads the word at an address. What was not copied is hotspot.ErrBeyond.
func (w *words) Word(addr uint64) (uint64, error) {
	off := addr - w.base
	if addr < w.base || off > uint64(len(w.mem)) || uint64(len(w.mem))-off < 8 || w.gap(addr) {
		w.missed = addr
		return 0, hotspot.ErrBeyond
	}
	return binary.LittleEndian.Uint64(w.mem[off:]), nil
}

// restore puts back the return addresses that uretprobes have replaced: where
// a word leads into the kernel's trampoline, the original of that place is
// written. Of calls that share a place (tail calls) the outermost knows it.
func (w *words) restore(returns []Return, trampoline func(pc uint64) bool) {
	for _, r := range returns {
		if pc, err := w.Word(r.SP); err == nil && trampoline(pc) {
			for _, outer := range returns {
				if outer.SP == r.SP && !trampoline(outer.PC) {
					binary.LittleEndian.PutUint64(w.mem[r.SP-w.base:], outer.PC)
				}
			}
		}
	}
}
