package workloads

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vmaleak/leak"
	"vmaleak/report"
)

// live is one run of a workload under trace.
type live struct {
	w              *workload
	jdk            string // "" for none
	control        bool
	target, client *process // client: what sends load
	group          *cgroup
	max            float64 // of the group or the address space

	trace      *process
	export     string
	went       time.Time // when it was told to go
	memory     []memory
	sightings  []sighting
	final      *leak.Snapshot
	endedUsed  float64 // of the limit, at the end of the trace
	endedTrace time.Time
}

// sighting is what one export during the run said.
type sighting struct {
	after    time.Duration
	suspects []leak.Suspect
}

// headroom is what a limit leaves above what is used at the start: the growth
// of many minutes, but less than what the host has left.
const headroom = 2 << 30

// startWorkload returns when it is ready to go.
func startWorkload(tb testing.TB, w *workload, jdk string, control bool) *live {
	tb.Helper()
	r := &live{w: w, jdk: jdk, control: control}
	name, args := r.commandLine(tb)
	if w.limit == group {
		if r.group = newCgroup(tb); r.group != nil {
			name, args = r.group.command(name, args)
		}
	}
	var env []string
	if w.pinned {
		env = append(env, "MALLOC_MMAP_THRESHOLD_=131072")
	}
	r.target = start(tb, env, name, args...)
	r.target.until(tb, "it is ready", func() bool { return len(r.target.find("ready")) > 0 })
	switch {
	case r.group != nil:
		r.max = r.group.used(tb) + headroom
		r.group.setMax(tb, r.max)
	case w.limit == addressSpace || w.limit == group:
		r.max = must[memory](tb)(readMemory(r.pid())).size + headroom
		limitSpace(tb, r.pid(), r.max)
	}
	return r
}

func (r *live) pid() int { return r.target.Process.Pid }

// commandLine is that of the workload.
func (r *live) commandLine(tb testing.TB) (name string, args []string) {
	tb.Helper()
	var control []string
	if r.control {
		control = []string{"--control"}
	}
	switch r.w.program {
	case "c":
		return must[string](tb)(leaker()), control
	case "go":
		return must[string](tb)(goleak()), control
	}
	home := needJDK(tb, r.jdk)
	path := strings.Join(append([]string{must[string](tb)(classes[r.jdk]())}, nettyJars()...), ":")
	args = []string{"-Xmx256m", "-cp", path, "-Djava.library.path=" + must[string](tb)(library())}
	if r.jdk != "17" {
		args = append(args, "--enable-native-access=ALL-UNNAMED")
	}
	if r.w.program == "netty" {
		args = append(args, "-XX:MaxDirectMemorySize="+r.nettyLimit(), "-Dio.netty.tryReflectionSetAccessible=true",
			"--add-opens", "java.base/java.nio=ALL-UNNAMED", "NettyLeak")
		args = append(args, r.w.args...)
		if r.control {
			args = append(args, "--no-leak")
		}
		return filepath.Join(home, "bin/java"), args
	}
	args = append(args, r.w.options...)
	return filepath.Join(home, "bin/java"), append(append(args, "Leaks", r.w.kind), control...)
}

// nettyLimit is for the run out of memory low enough to be met soon after the trace.
func (r *live) nettyLimit() string {
	if r.w.name == "netty-out-of-memory" {
		return "1000m"
	}
	return "2048m"
}

// traceIt has the workload go, under trace, and returns when the trace has ended.
func (r *live) traceIt(tb testing.TB) {
	tb.Helper()
	dir := tb.TempDir()
	ready := filepath.Join(dir, "ready")
	r.export = filepath.Join(dir, "export.json")
	r.trace = start(tb, nil, must[string](tb)(program()), "trace", "-p", strconv.Itoa(r.pid()),
		"--no-save", "--no-tui", "--json", r.export, "--ready-file", ready)
	r.trace.until(tb, "the trace is ready", func() bool { return exists(ready) })
	r.begin(tb)
	looks := max(2, int(r.w.lasts/time.Minute)) // the seconds between two of them
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	over := time.After(r.w.lasts)
	for n, done := 0, false; !done; n++ {
		select {
		case <-over:
			done = true
		case <-tick.C:
			if m, err := readMemory(r.pid()); err == nil { // an error shows in what follows
				r.memory = append(r.memory, m)
			}
			if n%looks == looks-1 {
				r.look(tb)
			}
		}
	}
	r.endedTrace = time.Now()
	if err := r.trace.Process.Signal(os.Interrupt); err != nil {
		tb.Fatalf("end the trace: %v\n%s", err, r.trace.output())
	}
	if r.group != nil {
		r.endedUsed = r.group.used(tb)
	}
	r.trace.wait(tb)
	r.final = r.read(tb)
	r.keep(tb)
}

// begin tells the workload to go.
func (r *live) begin(tb testing.TB) {
	tb.Helper()
	r.went = time.Now()
	if r.w.program != "netty" {
		r.target.say(tb, "go")
		return
	}
	port := strings.Fields(r.target.find("ready")[0].text)[1]
	home := needJDK(tb, r.jdk)
	r.client = start(tb, nil, filepath.Join(home, "bin/java"), "-Xmx64m", "-cp", must[string](tb)(classes[r.jdk]()), "NettyLoad",
		"--port", port, "--rate", "800", "--seconds", strconv.Itoa(int(r.w.lasts.Seconds())+60))
}

// look has the trace write its export, and notes what it suspects.
func (r *live) look(tb testing.TB) {
	tb.Helper()
	before, _ := os.Stat(r.export) // there may be none yet
	if err := r.trace.Process.Signal(syscall.SIGUSR1); err != nil {
		tb.Fatalf("ask for an export: %v\n%s", err, r.trace.output())
	}
	after := time.Since(r.went)
	r.trace.until(tb, "the export is written", func() bool {
		now, err := os.Stat(r.export)
		return err == nil && (before == nil || !os.SameFile(before, now))
	})
	e := r.read(tb).Processes[0]
	r.sightings = append(r.sightings, sighting{after, e.Suspects})
}

// read reads the export, which must be valid.
func (r *live) read(tb testing.TB) *leak.Snapshot {
	tb.Helper()
	doc := must[[]byte](tb)(os.ReadFile(r.export))
	if err := report.Validate(doc); err != nil {
		tb.Errorf("the schema refuses the export: %v", err)
	}
	snap, err := report.ReadJSON(bytes.NewReader(doc)) // the sum rules too
	if err != nil {
		tb.Fatal(err)
	}
	if len(snap.Processes) != 1 {
		tb.Fatalf("%d processes in the export, want 1\n%s", len(snap.Processes), r.trace.output())
	}
	return snap
}

// keep saves the export where VMALEAK_KEEP says.
func (r *live) keep(tb testing.TB) {
	tb.Helper()
	dir := os.Getenv("VMALEAK_KEEP")
	if dir == "" {
		return
	}
	name := filepath.Join(dir, strings.ReplaceAll(tb.Name(), "/", "-")+".json")
	if err := os.WriteFile(name, must[[]byte](tb)(os.ReadFile(r.export)), 0o600); err != nil {
		tb.Errorf("keep the export: %v", err)
	}
	if err := os.WriteFile(name+".txt", []byte(fmt.Sprint(r.trace.output(), "\n\n", r.target.output())), 0o600); err != nil {
		tb.Errorf("keep the output: %v", err)
	}
}

// stop has the workload end.
func (r *live) stop(tb testing.TB) {
	tb.Helper()
	if r.w.program == "netty" {
		return // it is killed
	}
	r.target.say(tb, "stop")
	r.target.wait(tb)
}
