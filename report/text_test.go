package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"vmaleak/leak"
)

func mustText(tb testing.TB, s *leak.Snapshot, o TextOptions) string {
	tb.Helper()
	var b bytes.Buffer
	if err := Text(&b, s, o); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestScreens(t *testing.T) {
	var all []*leak.Snapshot
	for name, s := range snapshots(t) {
		t.Run(name, func(t *testing.T) {
			got := mustText(t, s, TextOptions{})
			golden(t, name+".txt", []byte(got))
			for _, o := range []TextOptions{{}, {Live: true}, {Top: 1}, {Width: 120}, {FullStacks: true}} {
				harmless(t, mustText(t, s, o), max(o.Width, 80))
			}
			back, err := ReadJSON(bytes.NewReader(mustJSON(t, s)))
			if err != nil {
				t.Fatal(err)
			}
			if again := mustText(t, back, TextOptions{}); again != got {
				t.Errorf("of the export read back the screen differs:\n%s", again)
			}
		})
		if name != "undated" {
			all = append(all, s)
		}
	}
	var b bytes.Buffer
	if err := Table(&b, snapshots(t)["story"], snapshots(t)["hostile"], snapshots(t)["ended"]); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", b.Bytes())
	harmless(t, b.String(), 80)
	b.Reset()
	if err := Table(&b, all...); err != nil {
		t.Fatal(err)
	}
}

// harmless checks that a screen fits and cannot harm a terminal.
func harmless(t *testing.T, screen string, columns int) {
	t.Helper()
	if !utf8.ValidString(screen) {
		t.Error("the screen is not UTF-8")
	}
	for i, line := range strings.Split(screen, "\n") {
		if n := width(line); n > columns {
			t.Errorf("line %d takes %d columns: %s", i+1, n, line)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			t.Errorf("line %d has control characters: %q", i+1, line)
		}
	}
}

func TestFullStacksHoldEveryFrame(t *testing.T) {
	s := snapshots(t)["netty"]
	got := mustText(t, s, TextOptions{FullStacks: true, Width: 160})
	golden(t, "netty-full.txt", []byte(got))
	for _, st := range s.Processes[0].Stacks {
		for _, f := range st.Frames {
			if f.Function != nil && f.Kind != "stub" && !strings.Contains(got, "at "+bare(*f.Function)) {
				t.Errorf("%s is missing", *f.Function)
			}
		}
	}
}

func TestTheFirstLinesNameTheTopSuspect(t *testing.T) {
	got := strings.SplitN(mustText(t, snapshots(t)["story"], TextOptions{Width: 200}), "\n", 4)
	for i, want := range []string{"james 16067  ", "LEAK    WorkerPetalGroup-9-#: 96 mappings of 16,781,312 B held (1536.4 MiB), ", "RATE    12 steps of 8 x 16,781,312 B, one per 52 min; 148 MiB/h over whole steps"} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("line %d is %q\nwant          %q", i+1, got[i], want)
		}
	}
}

func TestWithoutGrowthTheScreenSaysWhatCouldNotBeSeen(t *testing.T) {
	if got := mustText(t, snapshots(t)["quiet"], TextOptions{}); !strings.Contains(got, "nothing above 96 MiB/h in 10 min") {
		t.Errorf("the screen is:\n%s", got)
	}
}

func TestEqualSnapshotsGiveEqualScreens(t *testing.T) {
	for name, s := range snapshots(t) {
		other := snapshots(t)[name]
		if mustText(t, s, TextOptions{}) != mustText(t, other, TextOptions{}) {
			t.Errorf("%s: two screens differ", name)
		}
		if !bytes.Equal(mustJSON(t, s), mustJSON(t, other)) {
			t.Errorf("%s: two exports differ", name)
		}
	}
}

func TestSmallPoolsAreLeftOut(t *testing.T) {
	s := snapshots(t)["hostile"]
	if got := mustText(t, s, TextOptions{MinSize: 100 << 20, Live: true}); strings.Contains(got, "POOL") {
		t.Errorf("the screen is:\n%s", got)
	}
}

func TestSizesTakeFiveColumns(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999B", 1000: "1.0K", 1 << 20: "1.0M", 384 << 20: "384M", 10 << 20: "10M",
		1023<<20 + 1023<<10: "1.0G", 1<<64 - 1: "16.0E"} {
		if got := size(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for n := uint64(1); n < 1<<63; n += n/4 + 1 {
		if s := size(n); len(s) > 5 {
			t.Errorf("%d is %q", n, s)
		}
	}
}

func TestDurationsReadWell(t *testing.T) {
	for d, want := range map[time.Duration]string{12 * time.Millisecond: "12 ms", 33 * time.Second: "33 s", 52*time.Minute + 10*time.Second: "52 min",
		105 * time.Minute: "1h45m", 49 * time.Hour: "2d01h", 10 * time.Minute: "10 min"} {
		if got := about(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("WorkerPetalGroup-9-12", 10)
	f.Add("\x1b[2J工作\u202e\xff", 5)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = 3 + n&63
		got := left(s, n)
		if width(got) != n {
			t.Errorf("%q takes %d columns, want %d", got, width(got), n)
		}
		harmless(t, got, n)
		for _, line := range strings.Split(wrap(fmt.Sprint("a ", s, " b ", s), "  ", 40+n), "\n") {
			if width(line) > 40+n {
				t.Errorf("line %q takes %d of %d columns", line, width(line), 40+n)
			}
		}
	})
}

func TestReleasesOfTheVirtualMachineAreShort(t *testing.T) {
	for version, want := range map[string]string{"Java HotSpot(TM) 64-Bit Server VM (25.191-b12 mixed mode)": "8u191",
		"OpenJDK 64-Bit Server VM (17.0.15+6-Debian-1deb12u1 mixed mode, sharing)": "17.0.15", "25.0.1+8": "25.0.1", "8u191": "8u191", "21": "21"} {
		if got := jdk(version); got != want {
			t.Errorf("%q is %q, want %q", version, got, want)
		}
	}
}
