package hotspot

import (
	"errors"
	"regexp"
	"testing"
	"time"
)

// genFrame is a frame of one of Churn's classes: the number of the class, the method, the method's number.
var genFrame = regexp.MustCompile(`^Gen([0-9]{4})\.(run|<init>|m([0-9]{4}))\(`)

// genLines are the first and last line of the methods run, <init> and m.
var genLines = map[string][2]int{"r": {54, 55}, "<": {50, 50}, "m": {58, 58}}

// TestNamesWhileClassesComeAndGo reads names out of memory that is freed and used again meanwhile. There may be errors, but a
// method of one class must never get another class's name, nor another line.
func TestNamesWhileClassesComeAndGo(t *testing.T) {
	for version, home := range jdks(t) {
		t.Run(version, func(t *testing.T) {
			classes := mustCompile(t, home, "8", "testdata/Churn.java")
			p := mustRun(t, home, "-Xmx64m", "-XX:+UseSerialGC", "-XX:Tier3InvocationThreshold=100", "-XX:ReservedCodeCacheSize=8m", "-cp", classes, "Churn")
			for p.line() != "READY" {
			}
			vm, err := Attach(p.pid())
			if err != nil {
				t.Fatal(err)
			}
			c := churned{t: t, numbers: map[string]bool{}, kinds: map[string]int{}}
			for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
				for _, h := range vm.code.heaps {
					for pc := h.low; pc < h.high && pc < h.low+(2<<20); pc += 128 {
						b, err := vm.blobFor(pc)
						if err != nil || b.kind != blobNmethod {
							continue
						}
						c.look(vm.Expand(b.physical(pc)))
						m, err := vm.method(b.method)
						if err != nil {
							c.count(err)
							continue
						}
						frames, err := vm.Expand(Physical{Kind: Interpreted, Addr: b.method, Check: m.check})
						if vm.still(b) == nil { // so the method was there all the time
							c.look(frames, err)
						}
					}
				}
			}
			t.Logf("%d names, %d of %d classes; %v", c.good, len(c.numbers), 9999, c.kinds)
			if c.good < 1000 || len(c.numbers) < 100 {
				t.Error("too few classes to say that names hold")
			}
		})
	}
}

type churned struct {
	t       *testing.T
	good    int
	numbers map[string]bool
	kinds   map[string]int // of errors
}

func (c *churned) count(err error) {
	for _, kind := range []error{ErrGone, errUnreadable} {
		if errors.Is(err, kind) {
			c.kinds[kind.Error()]++
			return
		}
	}
	c.kinds["other"]++
}

func (c *churned) look(frames []Frame, err error) {
	if err != nil {
		c.count(err)
		return
	}
	number := ""
	for _, f := range frames {
		m := genFrame.FindStringSubmatch(f.Function)
		if m == nil {
			continue
		}
		if f.File != "Churn.java" || m[3] != "" && m[3] != m[1] || number != "" && m[1] != number {
			c.t.Fatalf("frames of several classes: %v", frames)
		}
		if at := genLines[m[2][:1]]; f.Line != 0 && (f.Line < at[0] || f.Line > at[1]) {
			c.t.Fatalf("line %d of %s", f.Line, f.Function)
		}
		number = m[1]
		c.good++
		c.numbers[number] = true
	}
}
