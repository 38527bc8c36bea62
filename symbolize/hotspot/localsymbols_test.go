package hotspot

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"testing"
)

func TestLocalSymbolsAreThoseOfTheFile(t *testing.T) {
	for version, home := range jdks(t) {
		name := filepath.Join(home, "lib/server/libjvm.so")
		f, err := os.Open(name)
		if err != nil {
			continue // 8 has it elsewhere
		}
		defer f.Close()
		file, err := elf.NewFile(f)
		if err != nil {
			t.Fatal(err)
		}
		symbols, err := file.Symbols()
		if err != nil {
			skip(t, version+" is stripped of its symbols")
		}
		want := map[string]uint64{}
		for _, s := range symbols {
			for _, n := range localNames {
				if s.Name == n {
					want[n] = s.Value
				}
			}
		}
		got, err := findLocal(file, localNames)
		if err != nil || len(got) != len(want) || len(got) < 4 {
			t.Errorf("%s: %#x, %v, want %#x", version, got, err, want)
		}
		for n, v := range want {
			if got[n] != v {
				t.Errorf("%s: %s is at %#x, want %#x", version, n, got[n], v)
			}
		}
	}
}

func TestBlocksOverlap(t *testing.T) {
	text := make([]byte, 3*localBlock+77)
	copy(text[localBlock/localSymbolLen*localSymbolLen-3:], "across")
	copy(text[len(text)-6:], "at end")
	found := map[string]int64{}
	err := blocks(bytes.NewReader(text), 16, func(at int64, block []byte) {
		for _, s := range []string{"across", "at end"} {
			if i := bytes.Index(block, []byte(s)); i >= 0 {
				found[s] = at + int64(i)
			}
		}
	})
	if err != nil || found["across"] != localBlock/localSymbolLen*localSymbolLen-3 || found["at end"] != int64(len(text)-6) {
		t.Errorf("%v, %v", found, err)
	}
}

func FuzzLocalSymbols(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		if file, err := elf.NewFile(bytes.NewReader(text)); err == nil {
			_, _ = findLocal(file, localNames) // it may fail, but must come to an end
		}
	})
}
