package workloads

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// judged collects the rows of docs/VERDICTS.md.
var judged struct {
	sync.Mutex
	rows []outcome
}

func record(o outcome) {
	judged.Lock()
	defer judged.Unlock()
	judged.rows = append(judged.rows, o)
}

// writeVerdicts writes the table where VMALEAK_VERDICTS says.
func writeVerdicts() error {
	name := os.Getenv("VMALEAK_VERDICTS")
	if name == "" {
		return nil
	}
	return os.WriteFile(name, []byte(verdicts(judged.rows)), 0o644)
}

func verdicts(rows []outcome) string {
	slices.SortStableFunc(rows, func(x, y outcome) int {
		return cmp.Or(cmp.Compare(x.place(), y.place()), cmp.Compare(x.jdk, y.jdk), compareBool(x.control, y.control))
	})
	var b strings.Builder
	var wrong, controls int
	for _, o := range rows {
		if len(o.wrong) > 0 {
			wrong++
		}
		if o.control {
			controls++
		}
	}
	fmt.Fprintf(&b, `# Verdicts

Written by `+"`make test-workloads`"+` on %s: %s, %d processors.
Each workload of test/workloads leaks in a known way and prints the truth; its control does the same work and
leaks nothing. Growth is that of the suspects as a share of what the workload says, or, in the heaps of malloc and
of Go, of what the kernel's smaps show once they grow; so is the time to the limit. They should be within 10 and 20 %%.
"First" is when an export, asked for every two seconds (every ten of the ten minutes), first named the right pool and
category. A control must have no suspect in any of these exports; but a cache that fills for 8 s and a sawtooth that
rises for 10 s may be suspected meanwhile, as twenty similar steps must be called growing. The heaps of a JVM and mapped
files are no leak of anonymous memory outside the heap, whether they grow or not. A row without an outcome is as it should be.

%d runs, %d of them controls: %d not as they should be.

| workload | JDK | verdict | pool | category | growth | end | first | outcome |
|---|---|---|---|---|---|---|---|---|
`, time.Now().UTC().Format(time.DateOnly), kernel(), runtime.NumCPU(), len(rows), controls, wrong)
	for _, o := range rows {
		name := o.name
		if o.control {
			name += ", control"
		}
		first := ""
		if o.first > 0 {
			first = fmt.Sprintf("%.0f s", o.first.Seconds())
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, o.jdk, o.verdict, cell(o.pool), o.category,
			percent(o.growth), percent(o.end), first, cell(strings.Join(o.wrong, "<br>")))
	}
	return b.String()
}

// place is where its workload stands in the table.
func (o *outcome) place() int {
	return slices.IndexFunc(workloads, func(w workload) bool { return w.name == o.name })
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
}

func percent(share float64) string {
	if share == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", share*100)
}

// cell is text that does not end a cell.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "Linux"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}
