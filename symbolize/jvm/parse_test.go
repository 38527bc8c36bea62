package jvm

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// hostileNames are the names that the program behind the JDK 8, 11 and 21 dumps gave its threads, in the order of their creation.
var hostileNames = []string{
	`say "hi" #7 nid=0x1`,
	"two\nlines",
	"线程-9-5 ünï",
	"tab\there",
	"",
	"a name of more than fifteen bytes that the kernel cuts",
	`x" #99 daemon prio=5 os_prio=0 tid=0x1 nid=0x2 runnable`,
}

func mustParseFile(tb testing.TB, name string) *Dump {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	dumps, err := ParseDump(bytes.NewReader(text))
	if err != nil || len(dumps) != 1 {
		tb.Fatalf("%d dumps, %v", len(dumps), err)
	}
	if dumps[0].Bytes != len(text) && dumps[0].Bytes != len(text)-len("2026-11-22 08:49:57\n") {
		tb.Errorf("Bytes = %d of %d", dumps[0].Bytes, len(text))
	}
	return dumps[0]
}

func TestParseDumpReadsRealDumps(t *testing.T) {
	tests := []struct {
		file, jvm, clock string
		threads, java    int // all; those with a #
		hostile          int // nid of the first hostile name, the others follow it
		last             Thread
	}{
		{"jdk8.txt", "OpenJDK 64-Bit Server VM (25.504-b01 mixed mode)", "2026-11-22 08:49:56", 39, 35, 0x6527,
			Thread{Name: "VM Periodic Task Thread", NID: 0x6526, State: "waiting on condition"}},
		{"jdk11.txt", "OpenJDK 64-Bit Server VM (11.0.33-ea+8-post-1-Debian mixed mode)", "2026-11-22 08:49:57", 44, 37, 0x658a,
			Thread{Name: "VM Periodic Task Thread", NID: 0x6588, State: "waiting on condition"}},
		{"jdk17-netty.txt", "OpenJDK 64-Bit Server VM (17.0.15+6-Debian-1deb12u1 mixed mode, sharing)", "2026-11-22 07:56:17", 24, 17, 0,
			Thread{Name: "GC Thread#0", NID: 0x5340, State: "runnable"}},
		{"jdk21.txt", "OpenJDK 64-Bit Server VM (21.0.13.0.3+1-1-Debian mixed mode, sharing)", "2026-11-22 08:49:57", 45, 38, 26094,
			Thread{Name: "GC Thread#0", NID: 26078, State: "runnable"}},
		{"jdk25-virtual.txt", "OpenJDK 64-Bit Server VM (25.0.3+9-LTS mixed mode, sharing)", "2026-11-22 07:53:39", 21, 14, 0,
			Thread{Name: "G1 Main Marker", NID: 24680, State: "runnable"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			d := mustParseFile(t, tt.file)
			if d.JVM != tt.jvm || d.Time.Format(time.DateTime) != tt.clock || d.Bad != 0 {
				t.Errorf("JVM %q, time %v, bad %d", d.JVM, d.Time, d.Bad)
			}
			java := 0
			for _, th := range d.Threads {
				if th.JavaID != 0 {
					java++
				}
				if th.NID == 0 || th.State == "" && th.Virtual == 0 {
					t.Errorf("thread without nid or state: %+v", th)
				}
			}
			if len(d.Threads) != tt.threads || java != tt.java {
				t.Errorf("%d threads, %d of Java, want %d and %d", len(d.Threads), java, tt.threads, tt.java)
			}
			byNID := d.ByNID(nil)
			if len(byNID) != len(d.Threads) {
				t.Errorf("%d of %d threads by nid", len(byNID), len(d.Threads))
			}
			if tt.hostile != 0 {
				for i, name := range hostileNames {
					th := byNID[tt.hostile+i]
					if th == nil || th.Name != name || !th.Daemon || th.State != "WAITING (parking)" || len(th.Frames) < 10 {
						t.Errorf("hostile thread %d = %+v, want name %q", i, th, name)
					}
				}
			}
			last := d.Threads[len(d.Threads)-1]
			if last.Name != tt.last.Name || last.NID != tt.last.NID || last.State != tt.last.State || last.Daemon || last.Frames != nil {
				t.Errorf("last thread %+v, want %+v", last, tt.last)
			}
		})
	}
}

func TestParseDumpReadsCarriersOfVirtualThreads(t *testing.T) {
	byNID := mustParseFile(t, "jdk25-virtual.txt").ByNID(nil)
	th := byNID[24710]
	if th == nil || th.Name != "ForkJoinPool-1-worker-1" || th.Virtual != 28 || th.JavaID != 23 || len(th.Frames) != 17 {
		t.Fatalf("carrier = %+v", th)
	}
	if th.Frames[0] != "Virt.lambda$main$1(Virt.java:6)" ||
		th.Frames[16] != "java.util.concurrent.ForkJoinWorkerThread.run(java.base@25.0.3/ForkJoinWorkerThread.java:187)" {
		t.Errorf("the virtual thread's frames do not come before its carrier's: %q", th.Frames)
	}
	if main := byNID[24677]; main == nil || main.State != "TIMED_WAITING (sleeping)" || main.Virtual != 0 || main.Daemon {
		t.Errorf("main = %+v", main)
	}
}

func TestParseDumpReadsSeveralDumps(t *testing.T) {
	var all bytes.Buffer
	files := []string{"jdk8.txt", "jdk17-netty.txt", "jdk25-virtual.txt"}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString("an application's line\n4711:\n")
		all.Write(text)
	}
	dumps, err := ParseDump(bytes.NewReader(all.Bytes()))
	if err != nil || len(dumps) != len(files) {
		t.Fatalf("%d dumps, %v", len(dumps), err)
	}
	for i, d := range dumps {
		if want := mustParseFile(t, files[i]); len(d.Threads) != len(want.Threads) || d.Time != want.Time || d.JVM != want.JVM || d.Bad != 0 {
			t.Errorf("dump %d: %d threads, %v, %s, bad %d", i, len(d.Threads), d.Time, d.JVM, d.Bad)
		}
	}
	broken := errors.New("broken disk")
	dumps, err = ParseDump(io.MultiReader(bytes.NewReader(all.Bytes()), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || len(dumps) != len(files) {
		t.Errorf("with a broken file: %d dumps, %v", len(dumps), err)
	}
}

func TestParseDumpWithoutTheTitleOrWithWindowsNewlines(t *testing.T) {
	text, err := os.ReadFile("testdata/jdk11.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := mustParseFile(t, "jdk11.txt")
	dumps, err := ParseDump(bytes.NewReader(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))))
	if err != nil || len(dumps) != 1 || len(dumps[0].Threads) != len(want.Threads) || dumps[0].ByNID(nil)[0x658b].Name != "two\nlines" ||
		dumps[0].JVM != want.JVM {
		t.Errorf("with \\r\\n: %d dumps, %v", len(dumps), err)
	}
	_, cut, _ := strings.Cut(string(text), "\n\n\"main\"")
	dumps, err = ParseDump(strings.NewReader("\"main\"" + cut))
	if err != nil || len(dumps) != 1 || len(dumps[0].Threads) != len(want.Threads) || dumps[0].Bad != 0 {
		t.Errorf("without its beginning: %d dumps, %v", len(dumps), err)
	}
	dumps, err = ParseDump(strings.NewReader("nothing\n\"here\" to see\n"))
	if err != nil || len(dumps) != 0 {
		t.Errorf("of a file without dumps: %v, %v", dumps, err)
	}
}

func TestNamesAreDecodedFromTheJVMsUTF8(t *testing.T) {
	tests := map[string]string{
		"plain ünï":                       "plain ünï",
		"\xed\xa0\xbd\xed\xb8\x80!":       "😀!",
		"nul\xc0\x80nul":                  "nul\x00nul",
		"\xed\xa0\xbdhalf":                "\ufffdhalf",
		"latin \xfc":                      "latin \ufffd",
		"cut \xed\xa0":                    "cut \ufffd\ufffd",
		"\xed\xb8\x80\xed\xa0\xbd turned": "\ufffd\ufffd turned",
	}
	for in, want := range tests {
		if got := javaString(in); got != want {
			t.Errorf("javaString(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLongLinesKeepBothEnds(t *testing.T) {
	d := parseReply([]byte(fakeDump(true, fakeThread{strings.Repeat("n", 1<<20), 0x7f0000001000, 0x101}, fakeThread{"b", 0x7f0000002000, 0x102})))
	if got := d.ByNID(nil); len(got) != 3 || len(got[0x101].Name) != maxName || got[0x102].Name != "b" {
		t.Errorf("%d threads", len(got))
	}
}
