package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// demoHelper is the hidden first argument of the native demo workload.
const demoHelper = "__demo"

//go:embed demo/Leak.java
var demoJava []byte

func newDemo(e env) *cobra.Command {
	o := demoOptions()
	var java bool
	cmd := &cobra.Command{
		Use: "demo [--java]", Short: "Trace a small program that leaks, to see what a report looks like", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			workload, cleanup, err := demoCommand(e, java, cmd.Flags().Changed("java"))
			if err != nil {
				return err
			}
			o.command = workload
			return errors.Join(trace(cmd.Context(), e, o), cleanup())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&java, "java", true, "leak direct buffers of a JVM (default when a JDK is found; --java=false for the native workload)")
	f.DurationVarP(&o.duration, "duration", "d", time.Minute, "how long to trace")
	f.DurationVarP(&o.interval, "interval", "i", o.interval, "time between reports")
	o.files.add(f, "")
	return cmd
}

func demoOptions() *traceOptions {
	return &traceOptions{interval: 10 * time.Second, top: 6, attach: "auto", stacks: "auto", noSave: true, kill: true}
}

// demoCommand is the workload's command line, and what removes its files.
func demoCommand(e env, java, asked bool) (args []string, cleanup func() error, err error) {
	none := func() error { return nil }
	self, err := os.Executable()
	if err != nil {
		return nil, none, fmt.Errorf("find our own program: %w", err)
	}
	if !java {
		return []string{self, demoHelper}, none, nil
	}
	path, err := findJDK()
	if err != nil {
		if asked {
			return nil, none, fmt.Errorf("demo --java: %w; install a JDK (apt-get install default-jdk-headless), or use --java=false", err)
		}
		e.say("no JDK (%v): leaking natively", err)
		return []string{self, demoHelper}, none, nil
	}
	dir, err := os.MkdirTemp("", "vmaleak-demo")
	if err != nil {
		return nil, none, fmt.Errorf("demo: %w", err)
	}
	cleanup = func() error { return os.RemoveAll(dir) }
	source := filepath.Join(dir, "Leak.java")
	if err := os.WriteFile(source, demoJava, 0o600); err != nil {
		return nil, none, errors.Join(fmt.Errorf("demo: %w", err), cleanup())
	}
	javac := exec.Command(filepath.Join(filepath.Dir(path), "javac"), "-d", dir, source)
	if out, err := javac.CombinedOutput(); err != nil {
		return nil, none, errors.Join(fmt.Errorf("demo: compile Leak.java: %w: %s", err, out), cleanup())
	}
	return []string{path, "-Xmx64m", "-XX:MaxDirectMemorySize=1g", "-cp", dir, "Leak"}, cleanup, nil
}

// findJDK is the java launcher beside a compiler.
func findJDK() (string, error) {
	path, err := exec.LookPath("java")
	if err != nil {
		return "", errors.New("no java on the PATH")
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "javac")); err != nil {
		return "", fmt.Errorf("%s is a runtime without a compiler", path)
	}
	return path, nil
}

// demoWorkload leaks from four threads and churns in a fifth, for ever.
func demoWorkload() error {
	fail := make(chan error)
	worker := func(name string, n int, leak bool) {
		runtime.LockOSThread()
		if err := setName(name); err != nil {
			fail <- err
			return
		}
		for held := 0; ; held++ {
			mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
			if err != nil {
				fail <- fmt.Errorf("map %d bytes: %w", n, err)
				return
			}
			mem[0] = 1
			if !leak {
				if err := unix.Munmap(mem); err != nil {
					fail <- err
					return
				}
			}
			time.Sleep(500 * time.Millisecond)
		}
	}
	for i := 1; i <= 4; i++ {
		go worker(fmt.Sprintf("petal-worker-%d", i), 1<<20+4096, true)
	}
	go worker("healthy-1", 8<<20, false)
	return <-fail
}
