package jvm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// FuzzParseDump: whatever the text, parsing ends, keeps its bounds, and does not depend on how the text is cut into reads.
func FuzzParseDump(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, name := range hostileNames {
		f.Add([]byte(fakeDump(true, fakeThread{name, 0x7f0000001000, 1})))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dumps, err := ParseDump(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseDump(iotest.OneByteReader(bytes.NewReader(text)))
		if err != nil || fmt.Sprint(deref(dumps)) != fmt.Sprint(deref(again)) {
			t.Fatalf("read by single bytes: %v", err)
		}
		for _, d := range append(dumps, parseReply(text)) {
			for nid, th := range d.ByNID(nil) {
				if nid <= 0 || nid != th.NID {
					t.Fatalf("thread %d has nid %d", nid, th.NID)
				}
			}
			for _, th := range d.Threads {
				if !utf8.ValidString(th.Name) || len(th.Name) > 3*maxName || len(th.Frames) > maxFrames {
					t.Fatalf("thread out of bounds: %d, %d", len(th.Name), len(th.Frames))
				}
				for _, frame := range th.Frames {
					if !utf8.ValidString(frame) || len(frame) > 3*maxFrame {
						t.Fatalf("frame %q", frame)
					}
				}
			}
		}
	})
}

// FuzzNames: a thread may bear any name; the parser must return just that name and leave the neighbours alone.
func FuzzNames(f *testing.F) {
	for _, name := range hostileNames {
		f.Add(name)
	}
	f.Add("a\n\n\"b\" #9 prio=5 os_prio=0 tid=0x00007f0000009000 nid=0x2 runnable\n\n\"c")
	f.Fuzz(func(t *testing.T, name string) {
		if len(name) > maxName || strings.Contains(name, "7f000000") {
			return
		}
		d := parseReply([]byte(fakeDump(true, fakeThread{"a", 0x7f0000001000, 1}, fakeThread{name, 0x7f0000002000, 2}, fakeThread{"b", 0x7f0000003000, 3})))
		if len(d.Threads) != 4 || d.Bad != 0 {
			t.Fatalf("%d threads, bad %d", len(d.Threads), d.Bad)
		}
		for i, want := range []string{"a", javaString(name), "b", "VM Thread"} {
			if th := d.Threads[i]; th.Name != want || i < 3 && (len(th.Frames) != 1 || th.NID != i+1) {
				t.Fatalf("thread %d = %+v, want %q", i, th, want)
			}
		}
	})
}

func deref(dumps []*Dump) []Dump {
	var values []Dump
	for _, d := range dumps {
		values = append(values, *d)
	}
	return values
}
