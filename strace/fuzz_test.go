package strace

import (
	"bytes"
	"os"
	"testing"

	"vmaleak/vma"
)

// FuzzReader checks that no log makes a Reader panic, lose lines or give events that no space can take.
func FuzzReader(f *testing.F) {
	for _, name := range []string{"story/strace_0301.txt", "real/plain.log"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		for i := 0; i+400 < len(b); i += 1777 {
			f.Add(b[i:i+400], true)
		}
	}
	f.Add([]byte("[pid 7] mprotect(0x7f0000000000, 4096, PROT_NONEstrace: Process 9 attached\n) = 0 <0.000026>\n"), false)
	f.Add([]byte("7 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>\n8 execve(\"/x\", [], 0x7f) = 0\n7 <... clone resumed>) = 8\n"), true)
	f.Add([]byte("1 mremap(0x7f0000000000, 4096, 8192, MREMAP_MAYMOVE <unfinished ...>\n2 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n1 <... mremap resumed>) = 0x7f0000100000\n"), false)
	f.Fuzz(func(t *testing.T, text []byte, merge bool) {
		var s scanner = NewReader(bytes.NewReader(text), Options{})
		if merge {
			half := len(text) / 2
			s = Merge(NewReader(bytes.NewReader(text[:half]), Options{PID: 1}), NewReader(bytes.NewReader(text[half:]), Options{PID: 2}))
		}
		var recs []Record
		seq := make(map[uint32]uint64)
		var bad int64
		for s.Scan() {
			rec := *s.Record()
			recs = append(recs, rec)
			switch rec.Kind {
			case Call:
				seq[rec.Space]++
				if rec.Event.Seq != seq[rec.Space] && rec.Event.Seq != 1 { // 1: the space ended with its last thread, which goes on
					t.Fatalf("event %d of space %d has number %d", seq[rec.Space], rec.Space, rec.Event.Seq)
				}
				seq[rec.Space] = rec.Event.Seq
				if rec.AddressUnknown && rec.Event.Op != vma.OpBrk && rec.Event.Ret != 0 {
					t.Fatalf("an unknown address is %x", rec.Event.Ret)
				}
			case BadLine:
				bad++
			case 0, shmget:
				t.Fatalf("kind %v", rec.Kind)
			}
		}
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
		if got := s.Stats(); got.Bad != bad || got.Bytes != int64(len(text)) {
			t.Fatalf("%+v", got)
		}
		before := 0
		for i := range recs {
			if recs[i].AddressUnknown && recs[i].Event.Op != vma.OpBrk {
				before++
			}
		}
		if inferred, unknown := Infer(recs); inferred+unknown != before {
			t.Fatalf("%d inferred and %d unknown of %d", inferred, unknown, before)
		}
		Detect(text)
	})
}

// FuzzPmap checks that no table makes ParsePmap panic or give a row that is no range.
func FuzzPmap(f *testing.F) {
	for _, name := range []string{"real/pmap-X.txt", "real/pmap-XX.txt"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:1500])
	}
	f.Add([]byte("7f4674483000 rw-p 00000000 00:00 0 1575296 1574868 1574868 1535980 1574868 0 0\n"))
	f.Add([]byte(nettyLine))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := ParsePmap(bytes.NewReader(text)); err == nil {
			for _, r := range p.Rows {
				if r.Empty() || len(r.Values) > len(p.Columns) {
					t.Fatalf("row %+v", r)
				}
			}
		}
		if _, err := ParseLog(bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	})
}
