// Command vmaleak finds which thread of a running process holds its
// anonymous memory, and how fast that grows.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"vmaleak/tracer"
)

// Exit codes, a contract.
const (
	exitDone  = 0
	exitError = 1
	exitUsage = 2
	exitLeak  = 3
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errLeak ends a trace with --fail-on-leak that found one.
var errLeak = errors.New("a leak was found (--fail-on-leak)")

func main() {
	// Half of Go's usual slack: we share the host with the process we watch.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == execHelper {
		fmt.Fprintln(stderr, "vmaleak:", waitAndExec(args[1:]))
		return exitError
	}
	if len(args) > 0 && args[0] == standInHelper {
		if err := tracer.StandIn(os.Stdin, stdout); err != nil {
			fmt.Fprintln(stderr, "vmaleak:", err)
			return exitError
		}
		return exitDone
	}
	if len(args) > 0 && args[0] == demoHelper {
		fmt.Fprintln(stderr, "vmaleak:", demoWorkload())
		return exitError
	}
	root := newRoot(env{stdout, stderr})
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errLeak):
		fmt.Fprintln(stderr, "vmaleak:", err)
		return exitLeak
	case errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command"):
		fmt.Fprintln(stderr, "vmaleak:", err)
		fmt.Fprintln(stderr, "Try 'vmaleak --help'.")
		return exitUsage
	}
	fmt.Fprintln(stderr, "vmaleak:", err)
	return exitError
}

// env is where a command prints: stdout is data, stderr is talk.
type env struct{ stdout, stderr io.Writer }

func (e env) say(format string, args ...any) { fmt.Fprintf(e.stderr, "vmaleak: "+format+"\n", args...) }
