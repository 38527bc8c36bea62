package strace

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func mustMerge(t *testing.T, logs map[int]string) (string, *Merger) {
	t.Helper()
	var rs []*Reader
	for tid := range 10 {
		if log, ok := logs[tid]; ok {
			rs = append(rs, NewReader(strings.NewReader(log), Options{PID: tid, Name: fmt.Sprint(tid)}))
		}
	}
	m := Merge(rs...)
	var got []string
	last := int64(0)
	for m.Scan() {
		rec := m.Record()
		got = append(got, fmt.Sprintf("%d:%v", rec.TID, rec.Event.Op))
		if rec.Event.Time < last {
			t.Errorf("time runs backwards at %s", got[len(got)-1])
		}
		last = rec.Event.Time
	}
	if m.Err() != nil {
		t.Fatal(m.Err())
	}
	return strings.Join(got, " "), m
}

func TestFilesAreMergedByInstant(t *testing.T) {
	const anon = "PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0"
	for name, tt := range map[string]struct {
		logs map[int]string
		want string
	}{
		"by time": {map[int]string{
			1: "12:00:00.1 munmap(0x1000, 4096) = 0\n12:00:00.3 brk(NULL) = 0x5000\n",
			2: "12:00:00.2 mprotect(0x1000, 4096, PROT_NONE) = 0\n"}, "1:munmap 2:mprotect 1:brk"},
		"equal times keep the order of the files": {map[int]string{
			1: "12:00:00 munmap(0x1000, 4096) = 0\n12:00:00 brk(NULL) = 0x5000\n",
			2: "12:00:00 mprotect(0x1000, 4096, PROT_NONE) = 0\n"}, "1:munmap 1:brk 2:mprotect"},
		"an mmap at its end, a munmap at its start": {map[int]string{
			1: "12:00:00.1 mmap(NULL, 4096, " + anon + ") = 0x7f0000000000 <0.200000>\n",
			2: "12:00:00.2 munmap(0x7f0000000000, 4096) = 0 <0.200000>\n"}, "2:munmap 1:mmap"},
		"an mremap before the mmap that got its source": {map[int]string{
			1: "12:00:00.1 mremap(0x7f0000000000, 4096, 8192, MREMAP_MAYMOVE) = 0x7f0000100000 <0.300000>\n",
			2: "12:00:00.2 mmap(NULL, 4096, " + anon + ") = 0x7f0000000000 <0.100000>\n12:00:00.5 brk(NULL) = 0x5000 <0.1>\n"}, "1:mremap 2:mmap 2:brk"},
		"an mremap otherwise at its end": {map[int]string{
			1: "12:00:00.1 mremap(0x7f0000000000, 4096, 8192, MREMAP_MAYMOVE) = 0x7f0000100000 <0.300000>\n",
			2: "12:00:00.2 munmap(0x7f0000100000, 4096) = 0 <0.100000>\n12:00:00.5 brk(NULL) = 0x5000 <0.1>\n"}, "2:munmap 1:mremap 2:brk"},
		"without durations the addresses tell": {map[int]string{
			1: "12:00:00.1 mmap(NULL, 4096, " + anon + ") = 0x7f0000000000\n12:00:00.4 munmap(0x7f0000000000, 4096) = 0\n",
			2: "12:00:00.3 mmap(NULL, 4096, " + anon + ") = 0x7f0000000000\n"}, "1:mmap 1:munmap 2:mmap"},
		"files that begin after midnight": {map[int]string{
			1: "00:30:00 munmap(0x1000, 4096) = 0\n",
			2: "23:59:00 mprotect(0x1000, 4096, PROT_NONE) = 0\n00:45:00 brk(NULL) = 0x5000\n"}, "2:mprotect 1:munmap 2:brk"},
		"files that begin all over a day": {map[int]string{
			1: "10:00:00 munmap(0x1000, 4096) = 0\n",
			2: "23:00:00 mprotect(0x1000, 4096, PROT_NONE) = 0\n"}, "1:munmap 2:mprotect"},
		"an empty file": {map[int]string{1: "", 2: "brk(NULL) = 0x5000\n"}, "2:brk"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, m := mustMerge(t, tt.logs); got != tt.want || m.Stats().Conflicts != 0 {
				t.Errorf("got %s, want %s; %+v", got, tt.want, m.Stats())
			}
		})
	}
}

func TestABreakIsFollowedAcrossFiles(t *testing.T) {
	m := Merge(NewReader(strings.NewReader("12:00:00.1 brk(NULL) = 0x5000\n12:00:00.3 brk(0x7000) = 0x7000\n"), Options{PID: 1}),
		NewReader(strings.NewReader("12:00:00.2 brk(0x6000) = 0x6000\n"), Options{PID: 2}))
	var got []string
	for m.Scan() {
		got = append(got, fmt.Sprintf("%x>%x#%d", m.Record().Event.Addr, m.Record().Event.Ret, m.Record().Event.Seq))
	}
	if text := strings.Join(got, " "); text != "5000>5000#1 5000>6000#2 6000>7000#3" || m.Stats().BreakUnknown != 0 || m.Stats().Calls != 3 {
		t.Errorf("%s %+v", text, m.Stats())
	}
}

func TestMemoryGotWithoutAReleaseIsCounted(t *testing.T) {
	const mmap = "12:00:00.%d mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n"
	if _, m := mustMerge(t, map[int]string{1: fmt.Sprintf(mmap, 1), 2: fmt.Sprintf(mmap, 2)}); m.Stats().Conflicts != 1 {
		t.Errorf("%+v", m.Stats())
	}
}

func TestAMergersErrorIsItsReaders(t *testing.T) {
	broken := errors.New("broken disk")
	m := Merge(NewReader(iotest.ErrReader(broken), Options{}), NewReader(strings.NewReader("1 brk(NULL) = 0x5000\n"), Options{Date: time.Unix(0, 0)}))
	for m.Scan() {
	}
	if !errors.Is(m.Err(), broken) {
		t.Errorf("error %v", m.Err())
	}
}
