package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newRoot(e env) *cobra.Command {
	o := &traceOptions{}
	root := &cobra.Command{
		Use:   "vmaleak [NAME|PID]...",
		Short: "Find which thread of a running process holds its off-heap memory, and how fast it grows",
		Long: `vmaleak follows every mapping of a running process, exactly, by thread, with no
restart, no flag and no agent.

  sudo vmaleak                every JVM of this host, one row each
  sudo vmaleak PID|NAME       trace one program (short for 'vmaleak trace')
  sudo vmaleak doctor         what this kernel and these privileges allow
  vmaleak import FILE...      the same report from old strace logs`,
		Example:       "  sudo vmaleak james\n  sudo vmaleak trace -p 16067 -d 10m -o leak.json\n  sudo vmaleak trace -- java -jar server.jar",
		Version:       version(),
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return traceCommand(cmd, e, o, args)
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	addTraceFlags(root, o)
	root.AddCommand(newTrace(e), newReport(e), newImport(e), newDoctor(e), newDemo(e), newPeek(e), newTrim(e), newHolders(e), newVersion(e))
	root.SetVersionTemplate("vmaleak {{.Version}}\n")
	return root
}

func newTrace(e env) *cobra.Command {
	o := &traceOptions{}
	cmd := &cobra.Command{
		Use:   "trace -p PID[,PID]... | --jvm | NAME... | --comm NAME | --cgroup PATH | -u UNIT | --pod [NS/]NAME | --container ID | -- COMMAND ARG...",
		Short: "Follow processes, report growth at each interval, export at the end",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return traceCommand(cmd, e, o, args)
		},
	}
	addTraceFlags(cmd, o)
	return cmd
}

func addTraceFlags(cmd *cobra.Command, o *traceOptions) {
	f := cmd.Flags()
	f.IntSliceVarP(&o.pids, "pid", "p", nil, "processes to follow, `PID[,PID]`")
	f.BoolVar(&o.jvm, "jvm", false, "follow every JVM of the host, also those that start later")
	f.StringVar(&o.comm, "comm", "", "follow processes with this comm")
	f.StringVar(&o.cgroup, "cgroup", "", "follow the processes of a control group and those below it")
	f.StringVarP(&o.unit, "unit", "u", "", "follow the processes of a systemd unit")
	f.StringVar(&o.pod, "pod", "", "follow the processes of a Kubernetes pod, `[NS/]NAME`")
	f.StringVar(&o.container, "container", "", "follow the processes of a container, by the beginning of its `ID`")
	f.DurationVarP(&o.duration, "duration", "d", 0, "end after this long (default: until Ctrl-C or the targets are gone)")
	f.DurationVarP(&o.interval, "interval", "i", 5*time.Second, "time between reports")
	f.IntVarP(&o.top, "top", "T", 10, "rows shown for each process")
	f.VarP(&o.minSize, "min-size", "z", "show only what holds at least `SIZE` (display only)")
	o.files.add(f, " at the end and on SIGUSR1")
	f.StringVar(&o.attach, "attach", "auto", "ask JVMs for their threads' names: auto (if their memory does not tell), yes or no")
	f.StringVar(&o.stacks, "stacks", "auto", "take the stack of every call that maps memory: auto or off")
	f.Var(&o.stackMin, "stack-min", "smallest call whose stack is taken, `SIZE` (default 32KiB)")
	f.Var(&o.malloc, "malloc", "follow blocks of malloc of at least `SIZE` as well, by probes in the target's libc, at which its calls of malloc and free of any size stop: what that costs is measured and shown")
	f.BoolVar(&o.fullStacks, "full-stacks", false, "show every frame of a stack")
	f.BoolVar(&o.noSave, "no-save", false, "do not save ./vmaleak-PID.json.zst")
	f.BoolVar(&o.noTUI, "no-tui", false, "plain text even on a terminal")
	f.StringVar(&o.readyFile, "ready-file", "", "create `FILE` once every target is followed")
	f.BoolVar(&o.failOnLeak, "fail-on-leak", false, "exit with 3 if a leak was found")
	f.Var(&o.audit, "audit", "compare with /proc/PID/maps every `D`, or off (for tests)")
	f.Var(&o.ring, "ring", "`SIZE` of the events ring (for tests)")
	f.IntVar(&o.stackRate, "stack-rate", 0, "`N` stacks a second and process at most (for tests; default 4000)")
	f.StringVar(&o.backend, "backend", "", "lock-sequence or enter-exit (for tests; default: the best that works)")
}

func newVersion(e env) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(e.stdout, "vmaleak", version())
			return err
		},
	}
}

// noArgs is cobra.NoArgs with our exit code.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments: what is %q?", cmd.Name(), args[0])}
	}
	return nil
}
