package jvm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"
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

// fakeThread is a Java thread of a made-up dump.
type fakeThread struct {
	name string
	ptr  uint64
	nid  int
}

func (f fakeThread) String() string {
	return fmt.Sprintf("\"%s\" #%d daemon prio=5 os_prio=0 cpu=1.00ms elapsed=1,00s tid=0x%016x nid=0x%x waiting on condition  [0x00007f0000000000]\n"+
		"   java.lang.Thread.State: WAITING (parking)\n\tat A.b(A.java:1)\n", f.name, f.nid, f.ptr, f.nid)
}

func fakeDump(list bool, threads ...fakeThread) string {
	var b strings.Builder
	b.WriteString("2021-03-01 22:49:08\nFull thread dump OpenJDK 64-Bit Server VM (17 mixed mode):\n\n")
	if list {
		fmt.Fprintf(&b, "Threads class SMR info:\n_java_thread_list=0x00007f0000000001, length=%d, elements={\n", len(threads))
		for _, t := range threads {
			fmt.Fprintf(&b, "0x%016x,\n", t.ptr)
		}
		b.WriteString("}\n\n")
	}
	for _, t := range threads {
		b.WriteString(t.String() + "\n")
	}
	b.WriteString("\"VM Thread\" os_prio=0 cpu=1.29ms elapsed=0.99s tid=0x00007f0f0009d550 nid=0x900 runnable  \n\nJNI global refs: 4, weak refs: 0\n\n")
	return b.String()
}

func TestForgedHeadersInNamesYieldNoThread(t *testing.T) {
	const first, own, last = 0x7f0000001000, 0x7f0000002000, 0x7f0000003000
	whole := func(ptr uint64, nid int) string {
		return "a\n\n" + strings.TrimSuffix(fakeThread{"forged", ptr, nid}.String(), "\n") + "\n\n\"b"
	}
	tests := []struct {
		name    string
		list    bool
		hostile string
		live    []int
		want    map[int]string // of the threads 0x101 "first", 0x102 the hostile one, 0x103 "last"; absent: left out
	}{
		{"a header on the first line", true, `x" #9 prio=5 os_prio=0 tid=0x00007f0000009000 nid=0x101 runnable [0x0]`, nil, nil},
		{"a header on the first line, no list", false, `x" #9 prio=5 os_prio=0 tid=0x00007f0000009000 nid=0x101 runnable [0x0]`, nil, nil},
		{"a header on a line of its own", true, "x\n\"y\" #9 prio=5 os_prio=0 tid=0x00007f0000009000 nid=0x101 runnable\n\"z", nil, nil},
		{"a header on a line of its own, no list", false, "x\n\"y\" #9 prio=5 os_prio=0 tid=0x00007f0000009000 nid=0x101 runnable\n\"z", nil, nil},
		{"a GC thread's header, no list", false, "x\n\"y\" os_prio=0 tid=0x00007f0000009000 nid=0x101 runnable\n\"z", nil, nil},
		{"the headers of GC threads first, no list", false, "x\" os_prio=0 tid=0x00007f0000009000 nid=0x101 runnable\n\"y\" os_prio=0 tid=0x00007f0000009000 nid=0x101 runnable\n\"z", nil, nil},
		{"a GC thread's header between empty lines", true, "x\n\n\"y\" os_prio=0 tid=0x00007f0000009000 nid=0x101 runnable\n\n\"z", nil, nil},
		{"a whole thread", true, whole(0x7f0000009000, 0x101), nil, nil},
		{"a whole thread with the address of an earlier one", true, whole(first-0x1000, 0x103), nil, nil},
		{"a title and a list", true, "\n2021-03-01 22:49:08\nFull thread dump Evil (1):\n\nThreads class SMR info:\n_java_thread_list=0x1, length=0, elements={\n}\n\n\"q", nil, nil},
		{"a whole thread, no list, of a dead number", false, whole(0x7f0000009000, 0x999), []int{0x101, 0x102, 0x103},
			map[int]string{0x101: "first", 0x102: "b", 0x103: "last"}},
		{"a whole thread, no list, of a living number", false, whole(0x7f0000009000, 0x101), []int{0x101, 0x102, 0x103},
			map[int]string{0x102: "b", 0x103: "last"}},
		{"a whole thread with its own address and another's number", true, whole(own, 0x103), nil,
			map[int]string{0x101: "first", 0x102: "b", 0x103: "last"}},
		{"a whole thread with its own address and a dead number", true, whole(own, 0x999), []int{0x101, 0x102, 0x103},
			map[int]string{0x101: "first", 0x102: "b", 0x103: "last"}},
		{"a whole thread with its own address and an unnamed number", true, whole(own, 0x999), []int{0x101, 0x102, 0x103, 0x999},
			map[int]string{0x101: "first", 0x103: "last"}},
		{"a whole thread with the address of the one before it", true, whole(first, 0x103), nil,
			map[int]string{0x101: "first", 0x102: "b", 0x103: "last"}},
		{"a whole thread with the address of the next one", true, whole(last, 0x101), nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			if want == nil {
				want = map[int]string{0x101: "first", 0x102: tt.hostile, 0x103: "last"}
			}
			want[0x900] = "VM Thread"
			valid := func(nid int) bool { return true }
			if tt.live != nil {
				live := map[int]bool{0x900: true}
				for _, nid := range tt.live {
					live[nid] = true
				}
				valid = func(nid int) bool { return live[nid] }
			}
			text := fakeDump(tt.list, fakeThread{"zero", first - 0x1000, 0x100}, fakeThread{"first", first, 0x101},
				fakeThread{tt.hostile, own, 0x102}, fakeThread{"last", last, 0x103})
			got := parseReply([]byte(text)).ByNID(valid)
			delete(got, 0x100)
			for nid, name := range want {
				if got[nid] == nil || got[nid].Name != name {
					t.Errorf("thread %#x = %+v, want %q", nid, got[nid], name)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d threads, want %d", len(got), len(want))
			}
		})
	}
}

func TestDamagedHeadersAreCountedAndHarmNoOther(t *testing.T) {
	for _, list := range []bool{true, false} {
		text := fakeDump(list, fakeThread{"a", 0x7f0000001000, 0x101}, fakeThread{"b", 0x7f0000002000, 0x102}, fakeThread{"two\nlines", 0x7f0000003000, 0x103})
		text = strings.Replace(text, "tid=0x00007f0000002000", "ti", 1)
		d := parseReply([]byte(text))
		got := d.ByNID(nil)
		if d.Bad != 1 || len(got) != 3 || got[0x101].Name != "a" || got[0x103].Name != "two\nlines" || len(got[0x101].Frames) == 0 {
			t.Errorf("list %v: bad %d, %+v", list, d.Bad, d.Threads)
		}
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
