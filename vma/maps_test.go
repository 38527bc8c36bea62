package vma

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func mustParse(tb testing.TB, text string) *Space {
	tb.Helper()
	s, err := ParseMaps([]byte(text), Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestParseMapsRows(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"no name", "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ", "rw- anon"},
		{"no name and no space behind the inode", "1000-2000 rw-p 00000000 00:00 0", "rw- anon"},
		{"PROT_NONE", "1000-2000 ---p 00000000 00:00 0 ", "--- anon"},
		{"write only", "1000-2000 -w-p 00000000 00:00 0 ", "-w- anon"},
		{"heap", "1000-2000 rwxp 00000000 00:00 0                          [heap]", "rwx heap"},
		{"stack", "1000-2000 rw-p 00000000 00:00 0                          [stack]", "rw- stack"},
		{"named by prctl", "1000-2000 rw-p 00000000 00:00 0                          [anon:stack guard: 1]", "rw- anon"},
		{"named shared memory", "1000-2000 rw-s 00000000 00:01 3079                       [anon_shmem:x]", "rw- opaque"},
		{"named shared memory, private", "1000-2000 rw-p 00000000 00:01 3079                       [anon_shmem:x]", "rw- opaque"},
		{"file", "1000-2000 r-xp 00026000 fe:00 326269                     /usr/lib/x86_64-linux-gnu/libc.so.6", "r-x opaque"},
		{"private bss of a file", "1000-2000 rw-p 00026000 fe:00 326269                     /usr/lib/libc.so.6", "rw- opaque"},
		{"deleted file", "1000-2000 rw-s 00000000 00:01 1038                       /memfd:a name with spaces (deleted)", "rw- opaque"},
		{"newline in a file's name", `1000-2000 r--s 00000000 fe:00 524293                     /tmp/a\012file`, "r-- opaque"},
		{"file named like anonymous memory", "1000-2000 rw-p 00000000 fe:00 77                         [anon:x]", "rw- opaque"},
		{"/dev/zero", "1000-2000 rw-p 00000000 00:06 5                          /dev/zero", "rw- opaque"},
		{"vdso", "1000-2000 r-xp 00000000 00:00 0                          [vdso]", "r-x opaque"},
		{"vsyscall, above the sign", "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]", "--x opaque"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, tt.line+"\n")
			for a := range s.All() {
				if got := fmt.Sprintf("%v %v", a.Prot, a.Kind); got != tt.want {
					t.Errorf("%s, want %s", got, tt.want)
				}
			}
			if s.Len() != 1 {
				t.Errorf("%d rows", s.Len())
			}
		})
	}
}

func TestParseMapsText(t *testing.T) {
	t.Run("smaps lines are passed over", func(t *testing.T) {
		s := mustParse(t, "1000-2000 rw-p 00000000 00:00 0 \nSize:                  4 kB\nAnonymous:             4 kB\nVmFlags: rd wr mr \n2000-3000 r--p 00000000 00:00 0 \n")
		if got, want := show(s), "1-2 rw- anon pre-existing\n2-3 r-- anon pre-existing"; got != want {
			t.Errorf("rows\n%s\nwant\n%s", got, want)
		}
	})
	t.Run("a row that grew while it was read is cut", func(t *testing.T) {
		s := mustParse(t, "1000-3000 rw-p 00000000 00:00 0 \n2000-5000 r--p 00000000 00:00 0 \n2000-5000 r--p 00000000 00:00 0 \n5000-6000 rw-p 00000000 00:00 0 \n")
		if got, want := show(s), "1-3 rw- anon pre-existing\n3-5 r-- anon pre-existing\n5-6 rw- anon pre-existing"; got != want {
			t.Errorf("rows\n%s\nwant\n%s", got, want)
		}
	})
	t.Run("a segment of shared memory can be detached", func(t *testing.T) {
		s := mustParse(t, "10000-11000 rw-s 00002000 00:01 32769                      /SYSV00000000 (deleted)\n11000-12000 rw-s 00000000 00:01 32770                      /SYSV00000000 (deleted)\n")
		s.Apply(&Event{Op: OpShmdt, Addr: 0xe000})
		if got, want := show(s), "17-18 rw- opaque"; got != want {
			t.Errorf("rows\n%s\nwant\n%s", got, want)
		}
	})
	t.Run("a nameless part of the main stack is exported, the named one is not", func(t *testing.T) {
		s := mustParse(t, "1000-5000 rw-p 00000000 00:00 0 [stack]\n")
		s.StackStart = 0x4800
		s.Apply(&Event{Op: OpMprotect, Addr: 0x1000, Len: 0x1000, Prot: 1})
		var got []string
		for a := range s.Exported() {
			got = append(got, fmt.Sprintf("%v %v %v %v", a.Range, a.Prot, a.Kind, a.Origin))
		}
		if want := "1000-2000 r-- anon pre-existing"; strings.Join(got, "\n") != want {
			t.Errorf("exported %q, want %q", got, want)
		}
	})
	for name, text := range map[string]string{
		"a blank line":           "\n1000-2000 rw-p 00000000 00:00 0 \n",
		"no range":               "hello\n",
		"no permissions":         "1000-2000\n",
		"an empty range":         "2000-2000 rw-p 00000000 00:00 0 \n",
		"a range from end":       "3000-2000 rw-p 00000000 00:00 0 \n",
		"half a page":            "1000-2800 rw-p 00000000 00:00 0 \n",
		"an address of 17 digit": "10000000000000000-20000000000000000 rw-p 00000000 00:00 0 \n",
	} {
		t.Run(name+" is an error", func(t *testing.T) {
			if _, err := ParseMaps([]byte(text), Options{}); err == nil {
				t.Error("no error")
			}
		})
	}
}

func FuzzParseMaps(f *testing.F) {
	if text, err := os.ReadFile("/proc/self/maps"); err == nil {
		f.Add(text)
	}
	f.Add([]byte("1000-3000 rw-p 00000000 00:00 0 \n2000-5000 r--p 00000000 00:00 0 [stack]\nSize: 4 kB\n"))
	f.Add([]byte("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseMaps(text, Options{})
		if err != nil {
			return
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		// What was parsed can be written and parsed again.
		var b strings.Builder
		for a := range s.All() {
			inode, name := 0, map[Kind]string{Heap: "[heap]", Stack: "[stack]", Opaque: "[vdso]"}[a.Kind]
			fmt.Fprintf(&b, "%v %vp 00000000 00:00 %d  %s\n", a.Range, a.Prot, inode, name)
		}
		again := mustParse(t, b.String())
		if show(again) != show(s) {
			t.Fatalf("parsed\n%s\nagain\n%s", show(s), show(again))
		}
	})
}

func BenchmarkParseMaps(b *testing.B) {
	var text []byte
	for i := range 60_000 {
		text = fmt.Appendf(text, "%x-%x rw-p 00000000 00:00 0 \n", 0x7f0000000000+i*8192, 0x7f0000000000+i*8192+4096)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMaps(text, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
