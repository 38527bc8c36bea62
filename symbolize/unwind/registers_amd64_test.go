package unwind

import (
	"syscall"
	"testing"
)

func registers(tb testing.TB, tid int, raw *Raw) {
	var r syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(tid, &r); err != nil {
		tb.Fatal(err)
	}
	raw.PC, raw.SP = r.Rip, r.Rsp
	copy(raw.Regs[:], []uint64{r.Rax, r.Rdx, r.Rcx, r.Rbx, r.Rsi, r.Rdi, r.Rbp, r.Rsp,
		r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15, r.Rip})
}
