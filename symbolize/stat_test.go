package symbolize

import (
	"strings"
	"testing"
)

const statTail = " R 9217 9217 4824 0 -1 4194304 2897 6562 1 0 3 4 5 6 20 0 7 0 123456 4096 1 2 3"

func TestParseStat(t *testing.T) {
	for _, comm := range []string{
		"java", "", "a b", "a) R 1 (b", ") S 2 3", "new\nline", `back\slash`, "\xe2\x82", "\x1b[31m", "(((", strings.Repeat("k", 63),
	} {
		s, err := parseStat([]byte("42 (" + comm + ")" + statTail + "\n"))
		if err != nil {
			t.Errorf("comm %q: %v", comm, err)
			continue
		}
		if want := (stat{Comm: comm, State: 'R', PPID: 9217, Flags: 4194304, StartTicks: 123456}); s != want {
			t.Errorf("comm %q: %+v, want %+v", comm, s, want)
		}
	}
	for _, bad := range []string{"", "42", "42 (x", "42 )x(", "42 (x)", "42 (x) R 1 2 3", "42 (x)" + strings.Replace(statTail, "123456", "soon", 1)} {
		if s, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("parseStat(%q) = %+v, want an error", bad, s)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (a) b)" + statTail))
	f.Add([]byte("42 (x) R 1"))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, err := parseStat(line)
		if err == nil && !strings.Contains(string(line), "("+s.Comm+")") {
			t.Errorf("comm %q is not in %q", s.Comm, line)
		}
	})
}

func TestParseNSpid(t *testing.T) {
	for _, c := range []struct {
		status string
		want   int
	}{
		{"Name:\tjava\nNSpid:\t4711\t12\t1\nNSpgid:\t9\n", 1},
		{"Name:\tjava\nNSpid:\t4711\n", 4711},
		{"Name:\tNSpid:\t7\nPid:\t3\n", 0},
		{"Name:\tjava\nNSpid:\t\n", 0},
		{"Name:\tjava\nNSpid:\tx\n", 0},
		{"", 0},
	} {
		if got := parseNSpid([]byte(c.status)); got != c.want {
			t.Errorf("parseNSpid(%q) = %d, want %d", c.status, got, c.want)
		}
	}
}
