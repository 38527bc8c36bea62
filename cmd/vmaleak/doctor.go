package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vmaleak/symbolize"
	"vmaleak/symbolize/hotspot"
	"vmaleak/symbolize/jvm"
	"vmaleak/symbolize/malloc"
	"vmaleak/tracer"
	"vmaleak/vma"
)

func newDoctor(e env) *cobra.Command {
	var pid int
	cmd := &cobra.Command{
		Use: "doctor [-p PID]", Short: "Say what this kernel, these privileges and a JVM allow, and how to get the rest",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{env: e}
			d.machine()
			if d.mayLoad {
				d.probes()
			} else {
				d.note("probes", "not tried without these privileges")
			}
			if pid != 0 {
				d.process(cmd.Context(), pid)
			}
			if d.bad > 0 {
				return fmt.Errorf("doctor: %d of %d things are missing: the lines marked NO say what to do", d.bad, d.bad+d.good)
			}
			return nil
		},
	}
	cmd.Flags().IntVarP(&pid, "pid", "p", 0, "also look at this process")
	return cmd
}

type doctor struct {
	env
	good, bad int
	mayLoad   bool
}

func (d *doctor) line(mark, what, detail string) {
	fmt.Fprintf(d.stdout, "%-4s %-18s %s\n", mark, what, strings.ReplaceAll(detail, "\n", "; "))
}

// check prints a finding, and the cure if it is bad.
func (d *doctor) check(ok bool, what, detail, cure string) {
	if ok {
		d.good++
		d.line("ok", what, detail)
		return
	}
	d.bad++
	d.line("NO", what, detail)
	d.line("", "", "-> "+cure)
}

func (d *doctor) note(what, detail string) { d.line("--", what, detail) }

func (d *doctor) machine() {
	h := symbolize.ReadHost()
	d.note("vmaleak", version())
	d.note("kernel", h.Kernel+" "+h.Arch)
	d.mayLoad = mayTrace(h) == nil
	if _, err := os.Stat("/proc/self/status"); err != nil {
		d.check(false, "/proc", err.Error(), "as root: mount -t proc proc /proc; the lines below cannot be believed without it")
	}
	missing := h.Caps.Missing()
	d.check(len(missing) == 0, "privileges", yes(len(missing) == 0, fmt.Sprintf("uid %d, every capability that is used", os.Geteuid()),
		fmt.Sprintf("uid %d lacks %s", os.Geteuid(), strings.Join(missing, ", "))), cureRoot)
	d.check(!inUserNamespace(), "user namespace", yes(!inUserNamespace(), "the host's", "one of its own"), cureUserns)
	d.check(h.InitialPIDNamespace, "PID namespace", yes(h.InitialPIDNamespace, "the host's", "one of its own"), cureNamespace)
	switch h.Lockdown {
	case "confidentiality":
		d.check(false, "lockdown", h.Lockdown, "the kernel refuses BPF programs that read memory: boot with lockdown=integrity or none")
	case "":
		d.note("lockdown", "not known: securityfs is not mounted")
	default:
		d.note("lockdown", h.Lockdown+" (tracepoints work; fentry may be refused and is not used)")
	}
	path, mounted, err := symbolize.MountTracefs()
	switch {
	case err != nil:
		d.check(false, "tracefs", err.Error(), "as root: mount -t tracefs tracefs /sys/kernel/tracing")
	case mounted:
		d.check(true, "tracefs", path+" (mounted just now)", "")
	default:
		d.check(true, "tracefs", path, "")
	}
	_, err = os.Stat("/sys/kernel/btf/vmlinux")
	d.check(err == nil, "BTF", yes(err == nil, "/sys/kernel/btf/vmlinux", "none"), "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (5.10 or later of any distribution)")
}

func yes(ok bool, a, b string) string {
	if ok {
		return a
	}
	return b
}

type silent struct{}

func (silent) Open(*tracer.Space)                          {}
func (silent) Apply(*tracer.Space, *vma.Event, *vma.Delta) {}
func (silent) End(*tracer.Space, time.Time, string)        {}
func (silent) Stack(*tracer.Space, uint32, *tracer.Stack)  {}

// probes loads and attaches each back end and has it watch our own mapping.
func (d *doctor) probes() {
	opt, err := tracer.ModelOptions()
	if err != nil {
		d.check(false, "kernel facts", err.Error(), "mount /proc")
		return
	}
	chosen, noStacks := "", ""
	for _, mode := range []string{tracer.LockSequence, tracer.EnterExit} {
		t, err := tracer.Open(tracer.Options{Backend: mode, Ring: 1 << 20, Stacks: true, StackRing: 1 << 20}, opt, silent{})
		if err != nil {
			d.note(mode, "does not work here: "+err.Error())
			continue
		}
		if chosen == "" {
			chosen, noStacks = mode, t.Backend.NoStacks
		}
		d.note(mode, "works: it saw our own mmap and munmap; "+hooksOf(t.Backend.Hooks))
		if err := t.Close(); err != nil {
			d.note(mode, "was left attached: "+err.Error())
		}
	}
	why := "chosen: exact, since its numbers are drawn under the mmap lock"
	if chosen == tracer.EnterExit {
		why = "chosen: exact only for programs whose threads do not race for addresses"
	}
	d.check(chosen != "", "probes", yes(chosen != "", chosen+" "+why, "none"), "see the reasons above")
	if chosen != "" {
		d.check(noStacks == "", "stacks", yes(noStacks == "", "copied for calls that map memory: our own was", "not copied: "+noStacks),
			"use Linux 5.15 or later; everything else works without them")
	}
}

// hooksOf counts the functions by how they are hooked, and names those that are not.
func hooksOf(hooks map[string]string) string {
	count := map[string]int{}
	var none []string
	for name, how := range hooks {
		if strings.HasPrefix(how, "none") {
			none = append(none, name)
			continue
		}
		count[how]++
	}
	var parts []string
	for how, n := range count {
		parts = append(parts, fmt.Sprintf("%d by %s", n, how))
	}
	sort.Strings(parts)
	sort.Strings(none)
	if len(none) > 0 {
		parts = append(parts, "not hooked: "+strings.Join(none, ", "))
	}
	return strings.Join(parts, ", ")
}

// process says what a target allows.
func (d *doctor) process(ctx context.Context, pid int) {
	what := fmt.Sprintf("process %d", pid)
	p, err := symbolize.ReadProcess(pid)
	if p == nil {
		d.check(false, what, err.Error(), "give the PID of a running program (ps -e)")
		return
	}
	d.note(what, fmt.Sprintf("%s (%s), uid %d, state %c", p.Name, cmp.Or(p.Exe, "which program cannot be seen"), p.UID, p.State))
	if err != nil {
		d.check(false, "its files in /proc", err.Error(), cureRoot)
		return
	}
	d.check(p.Bits != 32, "64-bit", yes(p.Bits != 32, "yes", "no: its system calls are invisible to tracepoints"),
		"trace a 64-bit build; of this one only what comparisons with /proc/PID/maps show is known")
	_, err = os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	d.check(err == nil, "its map", yes(err == nil, "readable", fmt.Sprint(err)), cureRoot)
	d.malloc(pid)
	if !p.IsJVM {
		d.note("JVM", "it is none: threads are named by the kernel's comm")
		return
	}
	vm, err := hotspot.Attach(pid)
	if err == nil {
		d.check(true, "JVM", "HotSpot "+vm.Version().String()+": threads' names and Java frames are read from its memory, nothing is sent to it", "")
		return
	}
	d.note("JVM", "its memory does not tell the threads' names and Java frames: "+err.Error())
	if err := jvm.Check(ctx, pid); err != nil {
		d.note("attach", "thread names cannot be asked for either, comm is used: "+err.Error())
		return
	}
	d.check(true, "attach", "it can be asked for its threads' names", "")
}

// malloc says whether what malloc holds free can be told.
func (d *doctor) malloc(pid int) {
	r, err := malloc.Read(pid, malloc.Options{})
	if err != nil {
		d.note("malloc", "what it holds free is not known: "+err.Error())
		return
	}
	d.check(true, "malloc", fmt.Sprintf("glibc's, %d arenas: what they hold free is read from outside", len(r.Arenas)), "")
}
