package retained

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vmaleak/leak"
	"vmaleak/report"
)

// spikes are the JVMs, by version; the soak has ten.
var spikes = []struct{ jdk, args string }{
	{"17", "unsafe 6 400 60000"},
	{"25", "deflater 6 60"},
	{"25", "unsafe 3 1200 20000"},
	{"17", "deflater 4 90"},
	{"17", "unsafe 12 150 90000"},
	{"25", "unsafe 1 3000 30000"},
	{"17", "unsafe 2 4000 8000"},
	{"25", "unsafe 8 200 120000"},
	{"17", "deflater 1 300"},
	{"25", "unsafe 4 600 60000"},
}

// watched is how long the JVMs are traced: longer than the warm-up, so that they are judged.
const watched = "36s"

func TestASpikeThatIsOverIsRetentionAndNoSuspect(t *testing.T) {
	n := 2
	if os.Getenv("VMALEAK_SOAK") != "" {
		n = len(spikes)
	}
	bin := needProgram(t)
	var pids []string
	for _, s := range spikes[:n] {
		pids = append(pids, strconv.Itoa(startSpike(t, s.jdk, s.args)))
	}
	file := filepath.Join(t.TempDir(), "out.json")
	command(t, bin, "trace", "-p", strings.Join(pids, ","), "-d", watched, "--no-tui", "--json", file)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	snap, err := report.ReadJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(snap.Processes) != n {
		t.Fatalf("%d processes, want %d", len(snap.Processes), n)
	}
	entries := map[string]*leak.Entry{}
	for _, e := range snap.Processes {
		entries[strconv.Itoa(*e.PID)] = e
	}
	for i, pid := range pids {
		judge(t, fmt.Sprintf("JDK %s %s", spikes[i].jdk, spikes[i].args), entries[pid], func() trimmed {
			var got trimmed
			if err := json.Unmarshal(command(t, bin, "trim", "-p", pid, "--json", "-"), &got); err != nil {
				t.Fatal(err)
			}
			return got
		})
	}
}

// trimmed is what this test needs of trim's document.
type trimmed struct {
	Before, After *struct{ Anon uint64 }
}

func judge(t *testing.T, what string, e *leak.Entry, trim func() trimmed) {
	t.Helper()
	if e == nil || e.Malloc == nil || e.Malloc.UnknownBecause != nil {
		t.Errorf("%s: malloc is not known: %+v", what, e)
		return
	}
	if len(e.Suspects) != 0 {
		t.Errorf("%s: %d suspects, the first is %+v", what, len(e.Suspects), e.Suspects[0])
	}
	var retained uint64
	for _, r := range e.Retained {
		retained += r.Bytes
	}
	got := trim()
	if got.Before == nil || got.After == nil || got.After.Anon > got.Before.Anon {
		t.Errorf("%s: a trim gave nothing back: %+v", what, got)
		return
	}
	back := got.Before.Anon - got.After.Anon
	t.Logf("%s: retained %d of %d resident, a trim gave back %d (%+.1f %%)", what, retained, *e.Totals.Resident, back, 100*(float64(back)-float64(retained))/float64(retained))
	if retained < 16<<20 || back < retained-retained/10 || back > retained+retained/10 {
		t.Errorf("%s: retained %d, a trim gave back %d", what, retained, back)
	}
}

// command runs the program and returns its stdout.
func command(tb testing.TB, bin string, args ...string) []byte {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), bin, args...)
	var talk strings.Builder
	cmd.Stderr = &talk
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("vmaleak %v: %v\n%s", args, err, talk.String())
	}
	return out
}
