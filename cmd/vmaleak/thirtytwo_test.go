package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// elf32 is a program for the 32-bit half of x86-64: mmap2 of 37 pages, then pause for ever.
func elf32() []byte {
	const base = 0x08048000
	code := []byte{
		0xb8, 192, 0, 0, 0, // mov eax, mmap2
		0x31, 0xdb, // xor ebx, ebx
		0xb9, 0, 0x50, 0x02, 0, // mov ecx, 37*4096
		0xba, 3, 0, 0, 0, // mov edx, PROT_READ|PROT_WRITE
		0xbe, 0x22, 0, 0, 0, // mov esi, MAP_PRIVATE|MAP_ANONYMOUS
		0xbf, 0xff, 0xff, 0xff, 0xff, // mov edi, -1
		0x31, 0xed, // xor ebp, ebp
		0xcd, 0x80, // int 0x80
		0xb8, 29, 0, 0, 0, // mov eax, pause
		0xcd, 0x80, // int 0x80
		0xeb, 0xf7, // jmp to mov eax, pause
	}
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, binary.LittleEndian, v) // a Buffer takes all
		}
	}
	const header, segment = 52, 32
	size := uint32(header + segment + len(code))
	put([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9), uint16(2), uint16(3), uint32(1), uint32(base+header+segment),
		uint32(header), uint32(0), uint32(0), uint16(header), uint16(segment), uint16(1), uint16(0), uint16(0), uint16(0))
	put(uint32(1), uint32(0), uint32(base), uint32(base), size, size, uint32(5), uint32(4096))
	put(code)
	return b.Bytes()
}

func TestA32BitProgramIsToldOf(t *testing.T) {
	needRoot(t)
	t.Parallel()
	program := filepath.Join(t.TempDir(), "small32")
	if err := os.WriteFile(program, elf32(), 0o755); err != nil {
		t.Fatal(err)
	}
	target := exec.Command(program)
	err := target.Start()
	// A child that another test forks meanwhile holds the file open for writing until its exec.
	for deadline := time.Now().Add(10 * time.Second); errors.Is(err, syscall.ETXTBSY) && time.Now().Before(deadline); err = target.Start() {
		target = exec.Command(program)
	}
	if err != nil {
		cannot(t, "this kernel runs no 32-bit programs: %v", err)
	}
	t.Cleanup(func() {
		_ = target.Process.Kill()
		_ = target.Wait()
	})
	pid := strconv.Itoa(target.Process.Pid)
	cmd := vmaleakCommand(t, "trace", "-p", pid, "--json", "out.json", "-d", "300ms")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	for _, text := range []string{stderr.String(), strings.Join(strings.Fields(string(out)), " ")} {
		if !strings.Contains(text, "is a 32-bit program: tracepoints do not see its system calls") {
			t.Errorf("not told: %s", text)
		}
	}
	snap, err := checkExport(filepath.Join(cmd.Dir, "out.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(snap.Warnings) != 1 || snap.Warnings[0].Code != "32-bit" {
		t.Errorf("warnings %+v", snap.Warnings)
	}
	if p := snap.Processes[0]; p.Totals.Mapped < 37*4096 {
		t.Errorf("mapped %d", p.Totals.Mapped)
	}
	doctor := vmaleakCommand(t, "doctor", "-p", pid)
	if out, err := doctor.Output(); doctor.ProcessState.ExitCode() != exitError || !strings.Contains(string(out), "NO   64-bit") {
		t.Errorf("doctor: %v: %s", err, out)
	}
}
