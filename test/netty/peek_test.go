package netty

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// peeked is the part of peek's result that is looked at.
type peeked struct {
	Memory struct{ What string }
	Found  struct {
		Pages int
		Kinds []struct {
			Name  string
			Count int
		}
		Dates struct {
			Count       int
			First, Last time.Time
			Forms       []struct{ Form string }
		}
		Strings []struct{ Text string }
	}
	FirstDate *int64 `json:"first_date_after_mapping_ns"`
}

// TestPeek: one command shows what the load has sent, and when it was.
func TestPeek(t *testing.T) {
	for _, version := range []string{"17", "25"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			java, classPath := needAll(t, version)
			server, port := startServer(t, java, classPath)
			began := time.Now()
			client := start(t, java, "-cp", classPath, "NettyLoad", "--port", port, "--rate", "400", "--seconds", "30")
			client.until(t, "the traced load", func() bool { return time.Since(began) > 4*time.Second })

			traced := mustPeek(t, server, "--for", "10s")
			checkPeek(t, traced, began)
			if traced.FirstDate == nil {
				t.Error("the dates are not compared with when their memory was mapped")
			} else if after := time.Duration(*traced.FirstDate); after < -time.Second || after > 10*time.Second {
				t.Errorf("the first date in a mapping is %v after it was mapped", after)
			}
			if !strings.Contains(traced.Memory.What, pool) {
				t.Errorf("what grows is %q, not %s", traced.Memory.What, pool)
			}
			select {
			case <-client.done: // however it fared: what counts is what was sent
			case <-time.After(patience):
				t.Fatalf("the load does not end\n%s", client.output())
			}
			checkPeek(t, mustPeek(t, server), began)
		})
	}
}

// mustPeek runs peek on a server, and checks what it shows.
func mustPeek(tb testing.TB, server *process, args ...string) (doc peeked) {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "peek.json")
	args = append([]string{"peek", "-p", fmt.Sprint(server.Process.Pid), "--with-contents", "-o", file}, args...)
	cmd := exec.Command(must[string](tb)(program()), args...)
	cmd.Dir = tb.TempDir() // where no export lies
	var talk strings.Builder
	cmd.Stderr = &talk
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("%q: %v\n%s%s", args, err, out, &talk)
	}
	tb.Logf("%s", out)
	text := string(out)
	for _, want := range []string{"mail text", "Subject: Order ", "X-Sent: "} {
		if !strings.Contains(text, want) {
			tb.Errorf("%q is not shown", want)
		}
	}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if n := len([]rune(line)); n > 80 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			tb.Errorf("a line is not fit for a terminal: %q", line)
		}
	}
	if err := json.Unmarshal(must[[]byte](tb)(os.ReadFile(file)), &doc); err != nil {
		tb.Fatal(err)
	}
	return doc
}

// checkPeek wants mail of the time of the load, in each of its forms.
func checkPeek(tb testing.TB, doc peeked, began time.Time) {
	tb.Helper()
	mails := 0
	for _, k := range doc.Found.Kinds {
		if k.Name == "mail text" {
			mails = k.Count
		}
	}
	if mails < 4 {
		tb.Errorf("%d of %d pages are mail", mails, doc.Found.Pages)
	}
	d := doc.Found.Dates
	if d.First.Before(began.Add(-time.Second)) || d.Last.After(time.Now()) || d.Count < 4*mails {
		tb.Errorf("%d dates of %d mails, %v to %v; the load began at %v", d.Count, mails, d.First, d.Last, began)
	}
	if len(d.Forms) != 4 {
		tb.Errorf("the dates have the forms %v", d.Forms)
	}
	found := false
	for _, s := range doc.Found.Strings {
		found = found || strings.HasPrefix(s.Text, "Subject: Order ")
	}
	if !found {
		tb.Errorf("no subject among the strings %v", doc.Found.Strings)
	}
}
