package unwind

import "encoding/binary"

// maxScan is how many words of the copy a guess may look at.
const maxScan = 4096

// scan guesses the caller of code that has no unwind tables: the first word on
// the stack that is a return address outside of this module.
func (x *walker) scan(from *module) (cursor, bool) {
	for i := uint64(0); i < maxScan; i++ {
		at := x.c.sp + 8*i
		pc, err := x.w.Word(at)
		if err != nil {
			return x.c, false
		}
		if a := findArea(x.p.areas, pc-1); a == nil || a.mod == from && a.mod != nil || !x.isReturn(pc) {
			continue
		}
		return cursor{pc: pc, sp: at + 8, fp: x.c.fp}, true
	}
	return x.c, false
}

// isReturn reports whether the instruction before pc is a call.
func (x *walker) isReturn(pc uint64) bool {
	a := findArea(x.p.areas, pc-1)
	if a == nil || pc < a.start+8 {
		return false
	}
	var p [8]byte
	if a.isFile() {
		m := x.r.module(x.p, a)
		if m == nil {
			return false
		}
		addr, ok := m.image.address(pc - 8 - a.start + a.offset)
		if !ok || !m.code(addr, p[:]) {
			return false
		}
	} else if readProcess(x.p.pid, pc-8, p[:]) != nil {
		return false
	}
	return x.m.call(p)
}

// callAMD64 reports whether 8 bytes end in a call: e8 rel32, or ff /2 in one of its lengths.
func callAMD64(p [8]byte) bool {
	if p[3] == 0xe8 {
		return true
	}
	for n := 2; n <= 7; n++ {
		op, modrm := p[8-n], p[8-n+1]
		if op != 0xff || modrm>>3&7 != 2 {
			continue
		}
		mod, rm := modrm>>6, modrm&7
		length := 2
		if mod != 3 && rm == 4 { // a SIB byte
			length++
			if n > 2 && mod == 0 && p[8-n+2]&7 == 5 {
				length += 4
			}
		}
		switch {
		case mod == 1:
			length++
		case mod == 2, mod == 0 && rm == 5:
			length += 4
		}
		if length == n {
			return true
		}
	}
	return false
}

// callARM64 reports whether 8 bytes end in bl or blr.
func callARM64(p [8]byte) bool {
	op := binary.LittleEndian.Uint32(p[4:])
	return op>>26 == 0x25 || op&^uint32(0x1f<<5) == 0xd63f0000
}
