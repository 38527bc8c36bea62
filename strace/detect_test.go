package strace

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const nettyLine = "io.netty.util.internal.OutOfDirectMemoryError: failed to allocate 16777216 byte(s) of direct memory (used: 2130706439, max: 2147483648)\n"

func TestFilesAreRecognisedByTheirContent(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want FileKind
	}{
		"one call":                       {"brk(NULL) = 0x5000\n", StraceFile},
		"one unfinished call":            {"7 22:48:40.29 mmap(NULL, 16781312, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>\n", StraceFile},
		"a log with the program's words": {"Hello\n[pid 7] brk(NULL) = 0x5000\nWorld\nstrace: Process 8 attached\n7 +++ exited with 0 +++\n", StraceFile},
		"a log that writes an error":     {`7 write(2, "` + strings.TrimSpace(nettyLine) + `", 120) = 120` + "\n", StraceFile},
		"a log with CRLF and a BOM":      {"\xef\xbb\xbf7 brk(NULL) = 0x5000\r\n7 brk(NULL) = 0x5000\r\n", StraceFile},
		"a log of strace -k":             {"7 brk(NULL) = 0x5000\n > /lib/libc.so.6(brk+0x7) [0x1]\n > /bin/x() [0x2]\n > /bin/x() [0x2]\n > /bin/x() [0x2]\n", StraceFile},
		"a thread dump":                  {"2021-03-01 22:48:58\nFull thread dump OpenJDK 64-Bit Server VM (17.0.1+1 mixed mode):\n\n\"main\" #1 prio=5 os_prio=0 cpu=1ms elapsed=1s tid=0x1 nid=0x2 runnable\n\tat a.B.c(D.java:1)\n", JstackFile},
		"jcmd's thread dump":             {"25900:\n2021-03-01 22:48:58\nFull thread dump OpenJDK\n", JstackFile},
		"a row of pmap":                  {"7f4674483000 rw-p 00000000 00:00 0 1575296 1574868 1574868 1535980 1574868 0 0\n", PmapFile},
		"an error alone":                 {nettyLine, LogFile},
		"a log with a time in each line": {"2021-03-01 09:14:00,123 INFO  started\n2021-03-01 09:14:01,123 WARN  slow\n", LogFile},
		"a log with a stack trace":       {"01-Mar-2021 09:14:00.123 SEVERE [main] x\n\tat a.B.c(D.java:1)\n\tat a.B.c(D.java:1)\n\tat a.B.c(D.java:1)\n\tat a.B.c(D.java:1)\n", LogFile},
		"a log with an error and a dump": {"Full thread dump OpenJDK\n" + nettyLine, LogFile},
		"prose":                          {"Dear all,\nwe saw a leak.\n", Unknown},
		"nothing":                        {"", Unknown},
		"blank lines":                    {"\n \n\t\n", Unknown},
		"bytes":                          {"\x7fELF\x02\x01\x01\x00\x00\n\xff\xfe\n", Unknown},
	} {
		if got := Detect([]byte(tt.text)); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestPackedFilesAreOpenedAndBrokenOnesExplained(t *testing.T) {
	text := []byte(strings.Repeat("7 brk(NULL) = 0x5000\n", 5000))
	var gz, zst bytes.Buffer
	z := gzip.NewWriter(&gz)
	z.Write(text)
	z.Close()
	e, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	e.Write(text)
	e.Close()
	for name, tt := range map[string]struct {
		content []byte
		want    string // error text; "": the text is read
	}{
		"plain":       {text, ""},
		"gzip":        {gz.Bytes(), ""},
		"gzip twice":  {append(bytes.Clone(gz.Bytes()), gz.Bytes()...), ""},
		"zstd":        {zst.Bytes(), ""},
		"empty":       {nil, ""},
		"cut gzip":    {gz.Bytes()[:len(gz.Bytes())-5], "damaged or cut"},
		"cut header":  {gz.Bytes()[:5], "damaged or cut"},
		"broken zstd": {append([]byte{0x28, 0xb5, 0x2f, 0xfd}, "nonsense nonsense"...), "damaged or cut"},
		"xz":          {[]byte("\xfd7zXZ\x00\x00\x04"), "xz -dk"},
		"bzip2":       {[]byte("BZh91AY&SY"), "bzip2 -dk"},
		"zip":         {[]byte("PK\x03\x04xxxx"), "unzip"},
		"UTF-16":      {[]byte("\xff\xfe7\x00 \x00"), "iconv"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(path, tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			f, kind, err := Open(path)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(f)
				f.Close()
			}
			switch {
			case tt.want == "" && (err != nil || len(got)%max(len(text), 1) != 0 || len(tt.content) > 0 && (kind != StraceFile || len(got) == 0)):
				t.Errorf("%d bytes of %v, %v", len(got), kind, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if _, _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, _, err := Open(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}

func TestAThreadsNumberIsReadFromItsFilesName(t *testing.T) {
	for name, want := range map[string]int{"/tmp/trace.25900": 25900, "a.b.7.gz": 7, "trace.25900.zst": 25900, "trace": 0, "trace.txt": 0, "strace_0301.txt": 0, "x.-3": 0, "x.20210301": 0} {
		if got := PIDOf(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
