package strace

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vmaleak/vma"
)

// scanner is a Reader or a Merger.
type scanner interface {
	Scan() bool
	Record() *Record
	Err() error
	Stats() Stats
}

// checkAgainstMaps applies what s reads between the two marks of stress.c to
// the space of the first copy of /proc/self/maps, and compares with the second.
func checkAgainstMaps(t *testing.T, s scanner, before, after []byte) {
	t.Helper()
	var space *vma.Space
	var home uint32
	var dirty []vma.Range // a failed mprotect over several areas may have changed the first: no log tells
	for s.Scan() {
		rec := s.Record()
		if rec.Kind == BadLine {
			t.Errorf("bad line: %v", rec.Bad)
		}
		if rec.Kind != Call || space != nil && rec.Space != home {
			continue
		}
		ev := &rec.Event
		mark := ev.Op == vma.OpMunmap && ev.Addr == 1 && ev.Failed()
		switch {
		case mark && space == nil:
			home = rec.Space
			var err error
			if space, err = vma.ParseMaps(before, vma.Options{}); err != nil {
				t.Fatal(err)
			}
		case mark:
			want, err := vma.ParseMaps(after, vma.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range space.Diff(want) {
				if slices.ContainsFunc(dirty, func(r vma.Range) bool { return r.Covers(d.Range) }) {
					continue
				}
				t.Errorf("differs from /proc/self/maps: %v: have %v, want %v", d.Range, d.Have, d.Want)
			}
			st := s.Stats()
			t.Logf("%d calls, %d pairs, %d failed", st.Calls, st.Pairs, st.Failed)
			if st.Unresumed+st.Orphans+st.AddressUnknown+st.Forced+st.UnknownBit != 0 {
				t.Errorf("stats: %+v", st)
			}
			return
		case space != nil:
			if rec.AddressUnknown {
				t.Errorf("line %d: address unknown", rec.Line)
				continue
			}
			dirty = append(dirty, space.Apply(ev).Dirty...)
			if err := space.Check(); err != nil {
				t.Fatalf("line %d: %v", rec.Line, err)
			}
		}
	}
	t.Fatalf("the second mark was not found (%v)", s.Err())
}

// variants are ways to call strace, all of which must give the same events.
var variants = map[string]string{
	"plain":             "-f -tt -T",
	"no times":          "-f",
	"seconds":           "-f -t",
	"epoch":             "-f -ttt",
	"relative":          "-f -r -T",
	"both times":        "-f -tt -r -n -i -T",
	"paths":             "-f -tt -y -T",
	"names":             "-f -Y -tt -T",
	"raw":               "-f -tt -T -X raw",
	"verbose":           "-f -tt -X verbose",
	"all raw":           "-f -tt -T -e raw=mmap,munmap,mprotect,mremap,shmat,brk",
	"stacks":            "-f -tt -T -k",
	"seccomp":           "-f --seccomp-bpf -tt",
	"wide":              "-f -a 120 -tt -T",
	"nanoseconds":       "-f --absolute-timestamps=format:unix,precision:ns -T",
	"everything traced": "-f -tt -T -e trace=all",
}

const traced = "trace=brk,mmap,munmap,mremap,mprotect,pkey_mprotect,shmat,shmdt,shmget,%process"

// mustTool skips the test aloud, or fails it where everything must run.
func mustTool(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("VMALEAK_REQUIRE") == "all" {
				t.Fatalf("%s is not installed", name)
			}
			t.Skipf("%s is not installed", name)
		}
	}
}

func mustStress(t *testing.T, dir string) string {
	t.Helper()
	mustTool(t, "strace", "gcc")
	program := filepath.Join(dir, "stress")
	if out, err := exec.Command("gcc", "-O1", "-o", program, "testdata/stress.c", "-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	if out, err := exec.Command("strace", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		if os.Getenv("VMALEAK_REQUIRE") == "all" {
			t.Fatalf("strace may not trace here: %v %s", err, out)
		}
		t.Skipf("strace may not trace here: %v %s", err, out)
	}
	return program
}

func TestARealLogOfAnyOptionsGivesTheKernelsMaps(t *testing.T) {
	dir := t.TempDir()
	program := mustStress(t, dir)
	for name, options := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			args := []string{"-o", base + ".log"}
			if !strings.Contains(options, "trace=all") {
				args = append(args, "-e", traced)
			}
			args = append(args, strings.Fields(options)...)
			args = append(args, program, base+".before", base+".after", "3", "100", "7")
			mustRun(t, exec.Command("strace", args...))
			r, f := mustReader(t, base+".log", Options{Name: name})
			defer f.Close()
			checkAgainstMaps(t, r, mustFile(t, base+".before"), mustFile(t, base+".after"))
		})
	}
	t.Run("terminal", func(t *testing.T) {
		base := filepath.Join(dir, "terminal")
		log, err := os.Create(base + ".log")
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		c := exec.Command("strace", "-f", "-tt", "-T", "-e", traced, program, base+".before", base+".after", "3", "100", "8")
		c.Stderr = log
		if err := c.Run(); err != nil {
			t.Fatal(err)
		}
		r, f := mustReader(t, base+".log", Options{Name: "terminal"})
		defer f.Close()
		checkAgainstMaps(t, r, mustFile(t, base+".before"), mustFile(t, base+".after"))
	})
	t.Run("a file for each thread", func(t *testing.T) {
		base := filepath.Join(dir, "ff")
		mustRun(t, exec.Command("strace", "-ff", "-ttt", "-T", "-o", base+".log", "-e", traced,
			program, base+".before", base+".after", "3", "100", "9"))
		names, err := filepath.Glob(base + ".log.*")
		if err != nil || len(names) < 6 {
			t.Fatalf("files: %v, %v", names, err)
		}
		var readers []*Reader
		for _, name := range names {
			r, f := mustReader(t, name, Options{Name: filepath.Base(name), PID: PIDOf(name)})
			defer f.Close()
			readers = append(readers, r)
		}
		checkAgainstMaps(t, Merge(readers...), mustFile(t, base+".before"), mustFile(t, base+".after"))
	})
}

func mustRun(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", c.Args, err, out)
	}
}

func mustReader(t *testing.T, path string, o Options) (*Reader, interface{ Close() error }) {
	t.Helper()
	f, kind, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err == nil && info.Size() > 0 && kind != StraceFile {
		t.Errorf("%s: recognised as %v", path, kind)
	}
	return NewReader(f, o), f
}

func mustFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(fmt.Errorf("read: %w", err))
	}
	return b
}
