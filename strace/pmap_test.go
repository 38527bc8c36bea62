package strace

import (
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestRealPmapTablesAreRead(t *testing.T) {
	for _, file := range []string{"pmap-X.txt", "pmap-XX.txt"} {
		b := mustFile(t, "testdata/real/"+file)
		if got := Detect(b); got != PmapFile {
			t.Errorf("%s: recognised as %v", file, got)
		}
		p, err := ParsePmap(strings.NewReader(strings.ReplaceAll(string(b), "\n", "\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		if p.PID == 0 || !strings.HasPrefix(p.Command, "bash") || p.Bad != 0 || len(p.Rows) < 20 {
			t.Errorf("%s: PID %d, command %q, %d bad, %d rows", file, p.PID, p.Command, p.Bad, len(p.Rows))
		}
		var size, rss uint64
		heap := 0
		for i := range p.Rows {
			r := &p.Rows[i]
			v, ok := p.Value(r, "Size")
			if !ok || v != r.Len() || len(r.Values) != len(p.Columns) {
				t.Errorf("%s: row %v: size %d of %d, %d values", file, r.Range, v, r.Len(), len(r.Values))
			}
			size += v
			v, _ = p.Value(r, "Rss")
			rss += v
			if r.Mapping == "[heap]" && r.Perm == "rw-p" {
				heap++
			}
			if (file == "pmap-XX.txt") != (r.Flags != "") {
				t.Errorf("%s: flags %q", file, r.Flags)
			}
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		sums := strings.Fields(lines[len(lines)-1])
		if got := size >> 10; strings.TrimSpace(sums[0]) != uitoa(got) || heap != 1 || rss == 0 {
			t.Errorf("%s: size %d KB, want %s; %d heaps, rss %d", file, got, sums[0], heap, rss)
		}
	}
}

func uitoa(n uint64) string {
	var b []byte
	for ; n > 0 || len(b) == 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

func TestTheStorysRowIsReadWithoutAHeader(t *testing.T) {
	p, err := ParsePmap(strings.NewReader("7f4674483000 rw-p 00000000 00:00 0 1575296 1574868 1574868 1535980 1574868 0 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := &p.Rows[0]
	if rss, _ := p.Value(r, "Rss"); r.Start != 0x7f4674483000 || r.Len() != 1575296<<10 || rss != 1574868<<10 || r.Perm != "rw-p" {
		t.Errorf("%+v", r)
	}
}

func TestWhatIsNoTableIsAnError(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "prose": "no table\n", "pmap -x": "25900:   sleep 60\nAddress           Kbytes     RSS   Dirty Mode  Mapping\n000055f38357a000       8       8       0 r---- sleep\n",
		"a size beyond the end of the address space": "fffffffffffff000 rw-p 00000000 00:00 0 8 0 0\n"} {
		if _, err := ParsePmap(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "pmap -X") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParsePmap(iotest.ErrReader(os.ErrClosed)); err == nil || !strings.Contains(err.Error(), "read pmap") {
		t.Errorf("a broken file: %v", err)
	}
}
