package tracer

import "io"

// entry is where to put the probe of a function of x86-64 that begins at an offset of a file: past
// instructions that change neither arguments nor stack, where the kernel emulates the next one. Others
// it steps over, which takes a few µs, under a hypervisor: twenty times as long as an emulated one.
func entry(f io.ReaderAt, offset uint64) uint64 {
	var code [24]byte
	if n, err := f.ReadAt(code[:], int64(offset)); n < len(code) || err != nil && err != io.EOF {
		return offset
	}
	for at := 0; at+4 <= len(code)-4; {
		switch c := code[at:]; {
		case emulated(c):
			return offset + uint64(at)
		case c[0] == 0xf3 && c[1] == 0x0f && c[2] == 0x1e && c[3] == 0xfa: // endbr64
			at += 4
		case c[0] == 0x48 && c[1] == 0x85 && c[2] == 0xff: // test rdi, rdi
			at += 3
		default:
			return offset
		}
	}
	return offset
}

// emulated reports whether the kernel emulates an instruction (arch/x86/kernel/uprobes.c): a push, a nop, a conditional jump.
func emulated(c []byte) bool {
	switch {
	case c[0]&0xf8 == 0x50, c[0] == 0x41 && c[1]&0xf8 == 0x50: // push, of r8 to r15 with a prefix
		return true
	case c[0] == 0x90, c[0]&0xf0 == 0x70:
		return true
	}
	return c[0] == 0x0f && c[1]&0xf0 == 0x80
}
