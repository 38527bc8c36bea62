package exact

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// prot is a protection as the bits of PROT_*, plus the bit that says mapped.
type prot uint8

const mapped prot = 8

// String is p as in /proc/PID/maps, "absent" where nothing is mapped.
func (p prot) String() string {
	if p&mapped == 0 {
		return "absent"
	}
	b := []byte("---")
	for i, c := range "rwx" {
		if p&(1<<i) != 0 {
			b[i] = byte(c)
		}
	}
	return string(b)
}

// parseProt reads "rw-", with or without the letter for sharing after it.
func parseProt(s string) (prot, error) {
	if len(s) != 3 && len(s) != 4 {
		return 0, fmt.Errorf("protection %q", s)
	}
	p := mapped
	for i, c := range []byte("rwx") {
		switch s[i] {
		case c:
			p |= 1 << i
		case '-':
		default:
			return 0, fmt.Errorf("protection %q", s)
		}
	}
	return p, nil
}

// span is [start, end), mapped with one protection.
type span struct {
	start, end uint64
	prot       prot
}

// parseMaps reads /proc/PID/maps and keeps what an export must list: rows of
// inode 0 without a name, or named [heap] or [anon….
func parseMaps(r io.Reader) ([]span, error) {
	var spans []span
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		s, keep, err := parseRow(in.Text())
		if err != nil {
			return nil, fmt.Errorf("row %q: %w", in.Text(), err)
		}
		if keep {
			spans = append(spans, s)
		}
	}
	return spans, in.Err()
}

func parseRow(row string) (s span, keep bool, err error) {
	var field [5]string
	for i := range field {
		field[i], row, _ = strings.Cut(row, " ")
	}
	name := strings.TrimLeft(row, " ")
	from, to, ok := strings.Cut(field[0], "-")
	if !ok || field[4] == "" {
		return s, false, io.ErrUnexpectedEOF
	}
	if s.start, err = strconv.ParseUint(from, 16, 64); err != nil {
		return s, false, err
	}
	if s.end, err = strconv.ParseUint(to, 16, 64); err != nil {
		return s, false, err
	}
	if s.prot, err = parseProt(field[1]); err != nil {
		return s, false, err
	}
	return s, field[4] == "0" && (name == "" || name == "[heap]" || strings.HasPrefix(name, "[anon")), nil
}

func readMaps(pid int) ([]span, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseMaps(f)
}

func TestMapsKeepsAnonymousRows(t *testing.T) {
	const text = `00400000-00401000 r-xp 00000000 08:01 131 /usr/bin/true
01000000-01021000 rw-p 00000000 00:00 0          [heap]
7f0000000000-7f0000001000 rw-p 00000000 00:00 0 
7f0000001000-7f0000002000 ---p 00000000 00:00 0 [anon:name with spaces]
7f0000002000-7f0000003000 rw-s 00000000 00:01 5 /dev/zero (deleted)
7f0000003000-7f0000004000 rw-s 00000000 00:01 0 /SYSV00000000 (deleted)
7f0000004000-7f0000005000 -w-p 00000000 00:00 0
7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0                          [stack]
7ffe00100000-7ffe00104000 r--p 00000000 00:00 0                          [vvar]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`
	got, err := parseMaps(strings.NewReader(text))
	want := []span{
		{0x1000000, 0x1021000, mapped | 3},
		{0x7f0000000000, 0x7f0000001000, mapped | 3},
		{0x7f0000001000, 0x7f0000002000, mapped},
		{0x7f0000004000, 0x7f0000005000, mapped | 2},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v\nwant %v", got, err, want)
	}
}

func TestMapsRefusesNonsense(t *testing.T) {
	for _, row := range []string{"x", "10-20", "10-20 rwxp 0 0:0", "10-zz rw-p 0 0:0 0 ", "10-20 rq-p 0 0:0 0 "} {
		if got, err := parseMaps(strings.NewReader(row)); err == nil {
			t.Errorf("%q: %v, want an error", row, got)
		}
	}
}
