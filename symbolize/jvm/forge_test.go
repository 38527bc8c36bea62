package jvm

import (
	"fmt"
	"strings"
	"testing"
)

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
