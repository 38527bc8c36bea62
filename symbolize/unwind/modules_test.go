package unwind

import (
	"bytes"
	"debug/elf"
	"strconv"
	"testing"
)

func TestTablesOfAllModulesAreBounded(t *testing.T) {
	ms := modules{limit: 64, known: map[fileKey]*module{}}
	next := 0
	load := func(p *process) bool {
		next++
		m := &module{key: fileKey{name: strconv.Itoa(next)}, weight: 24 << 20}
		if !ms.room(p, m) {
			return false
		}
		m.users, p.mods[m], ms.known[m.key] = 1, true, m
		return true
	}
	another := func() *process { return &process{mods: map[*module]bool{}} }
	fill := func(p *process) (n int) {
		for n < 1000 && load(p) {
			n++
		}
		return n
	}
	greedy := another()
	if n := fill(greedy); n != maxProcessTables/(24<<20) {
		t.Errorf("one process has %d modules", n)
	}
	if !load(another()) {
		t.Error("another process has no room")
	}
	for range 10 {
		fill(another())
	}
	if n := len(ms.known); n != maxTables/(24<<20) || load(another()) {
		t.Errorf("%d modules are kept, or more", n)
	}
	for m := range greedy.mods {
		ms.release(m)
	}
	if len(ms.idle) == 0 || !load(another()) || len(ms.known) > maxTables/(24<<20) {
		t.Errorf("what nobody uses does not make room: %d idle, %d kept", len(ms.idle), len(ms.known))
	}
}

func TestWeightOfAFileThatLies(t *testing.T) {
	im, err := openImage(bytes.NewReader(ownVdso(t)))
	if err != nil {
		t.Fatal(err)
	}
	if w := im.weight(); w <= 0 || w > 64<<10 {
		t.Errorf("the vdso weighs %d bytes", w)
	}
	for _, s := range im.sections {
		if s.Type == elf.SHT_DYNSYM || s.Name == ".eh_frame" {
			s.Size = 1 << 60
		}
	}
	if w := im.weight(); w != maxFrameBytes+maxSymbols*symbolSize {
		t.Errorf("with sizes that lie the vdso weighs %d bytes", w)
	}
}
