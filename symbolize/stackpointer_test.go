package symbolize

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestStackPointers(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint64
		ok   bool
	}{
		{"running\n", 0, false},
		{"0 0x0 0x7ffc 0x3ff 0x0 0x0 0x0 0x7ffd5a8 0x7f2a\n", 0x7ffd5a8, true},
		{"-1 0x7f64 0x401126\n", 0x7f64, true},
		{"-1 0x0 0x0\n", 0, false},
		{"-1 7f64 0x401126\n", 0, false},
		{"", 0, false},
	} {
		if sp, ok := parseStackPointer([]byte(c.text)); ok != c.ok || ok && sp != c.want {
			t.Errorf("%q is %x, %v", c.text, sp, ok)
		}
	}
}

func TestAThreadThatWaitsHasItsStackPointerOnItsStack(t *testing.T) {
	p := mustHelper(t, "threads", nil)
	p.line()
	text, err := os.ReadFile(procPath(p.pid(), "maps"))
	if err != nil {
		t.Fatal(err)
	}
	var sp uint64
	until(t, "the thread waits", func() bool {
		var ok bool
		sp, ok = StackPointer(p.pid(), p.pid())
		return ok
	})
	for _, line := range strings.Split(string(text), "\n") {
		var start, end uint64
		if _, err := fmt.Sscanf(line, "%x-%x", &start, &end); err == nil && start <= sp && sp < end {
			if !strings.Contains(line, "rw-p") {
				t.Errorf("the stack pointer %x lies in %s", sp, line)
			}
			return
		}
	}
	t.Errorf("the stack pointer %x lies nowhere", sp)
}
