package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"vmaleak/report"
	"vmaleak/symbolize"
	"vmaleak/symbolize/heapdump"
	"vmaleak/symbolize/jvm"
)

// holdersOptions is the command line of holders.
type holdersOptions struct {
	peekOptions // which process and which of its memory
	dump, live  bool
	dir         string
	wait        time.Duration
}

func newHolders(e env) *cobra.Command {
	o := &holdersOptions{}
	cmd := &cobra.Command{
		Use:   "holders NAME|PID [--dump] [--suspect N | --range START-END | --mapping ADDR]",
		Short: "Say which Java objects stand for the memory that grows, and who holds them",
		Long: `holders goes from an address to the Java object that owns it. It asks the JVM, by
attach, and does only what is asked for:

  without --dump   counts the objects of the classes that stand for native memory,
                   twice. Each count stops the JVM while it walks its heap, some
                   0.2 s for a GiB.
  --dump           has the JVM write its heap to a disk, which stops it until it is
                   written, some 2 to 10 s for a GiB. The file is read and gone: it
                   has no name any more when reading begins. It is never written to
                   a file system in memory.

No garbage collection is forced: buffers that nobody holds are seen as long as they
have not been collected. --live forces a full one first, and shows what is left.

Which memory: as in 'vmaleak peek'.`,
		Example: "  sudo vmaleak holders james\n  sudo vmaleak holders james --dump\n  sudo vmaleak holders -p 16067 --dump --range 7f46cc4db000-7f46cd4dc000",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.pages = 1
			err := o.check(args, cmd.Flags().Changed("pid"), cmd.Flags().Changed("suspect"))
			switch {
			case err != nil:
				return usageError{asHolders(err)}
			case o.wait < 0:
				return usageError{fmt.Errorf("--wait %v is less than nothing", o.wait)}
			case o.dir != "" && !o.dump:
				return usageError{errors.New("--dir is where --dump writes: give both")}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return asHolders(holders(ctx, e, o))
		},
	}
	f := cmd.Flags()
	f.IntVarP(&o.pid, "pid", "p", 0, "the JVM to ask, `PID`")
	f.IntVar(&o.suspect, "suspect", 1, "the memory of suspect `N` of the export")
	f.StringVar(&o.addrs, "range", "", "the memory between two addresses, `START-END` in hexadecimal")
	f.StringVar(&o.mapping, "mapping", "", "the mapping that holds an address, `ADDR` in hexadecimal")
	f.StringVar(&o.export, "export", "", "an export of this process, `FILE` (default ./vmaleak-PID.json.zst if it is of this process)")
	f.DurationVar(&o.traceFor, "for", 0, "trace the process this long first, to find what grows")
	f.BoolVar(&o.dump, "dump", false, "take a heap dump: stops the JVM until it is written")
	f.BoolVar(&o.live, "live", false, "force a full garbage collection before each count and the dump")
	f.StringVar(&o.dir, "dir", "", "the `DIR`, as the JVM sees it, for the dump (default: its /tmp, /var/tmp or working directory)")
	f.DurationVar(&o.wait, "wait", 5*time.Second, "time between the two counts; 0: count once")
	o.files.add(f, "")
	return cmd
}

// asHolders says holders where the choice of memory says peek.
func asHolders(err error) error {
	if err == nil || !strings.HasPrefix(err.Error(), "peek") {
		return err
	}
	return renamed{err}
}

type renamed struct{ error }

func (r renamed) Error() string { return "holders" + strings.TrimPrefix(r.error.Error(), "peek") }
func (r renamed) Unwrap() error { return r.error }

// The JVM answers a count, and a dump, when it has walked its heap.
const (
	countTimeout = 2 * time.Minute
	dumpTimeout  = time.Hour
)

func holders(ctx context.Context, e env, o *holdersOptions) error {
	if err := o.files.canWrite(); err != nil {
		return err
	}
	p, err := o.process()
	if err != nil {
		return err
	}
	if !p.IsJVM {
		return fmt.Errorf("holders: process %d (%s) is no HotSpot JVM: there are no Java objects in it; peek shows what is in its memory", p.PID, p.Name)
	}
	c, err := o.memory(ctx, e, p)
	if err != nil {
		return err
	}
	client, err := jvm.Dial(ctx, p.PID, jvm.Options{Start: true, Timeout: countTimeout})
	if err != nil {
		return err
	}
	defer client.Close()
	t := &holdersText{}
	t.head(p, c)
	counts, err := countTwice(ctx, client, o)
	if err != nil {
		return err
	}
	rows := rowsOf(counts)
	t.counts(counts, rows, c, o)
	doc := newHoldersDocument(p, c, rows, o)
	if err := t.show(e, doc, o); err != nil || !o.dump {
		return errors.Join(err, doc.save(e, &o.files))
	}
	found, cost, err := dumpHeap(ctx, e, p.PID, counts[len(counts)-1].Bytes, c, o)
	if err != nil {
		return err
	}
	t.found(found, cost, o.live)
	doc.Heap = newHoldersHeap(found, cost)
	return errors.Join(t.show(e, doc, o), doc.save(e, &o.files))
}

// show prints what has been written since it was last called.
func (t *holdersText) show(e env, doc *holdersDocument, o *holdersOptions) error {
	doc.text = append(doc.text, t.Bytes()...)
	if _, err := t.WriteTo(o.files.talk(e)); err != nil {
		return fmt.Errorf("write what was found: %w", err)
	}
	return nil
}

// memory is what is asked about.
func (o *holdersOptions) memory(ctx context.Context, e env, p *symbolize.Process) (*choice, error) {
	known, err := o.known(ctx, e, p)
	if err != nil {
		return nil, err
	}
	space, err := readSpace(p.PID)
	if err != nil {
		return nil, err
	}
	return o.choose(p, space, known)
}

// count is a histogram, and how long the JVM took for it.
type count struct {
	*jvm.Histogram
	took time.Duration
}

func countTwice(ctx context.Context, client *jvm.Client, o *holdersOptions) ([]count, error) {
	var counts []count
	for {
		began := time.Now()
		h, err := client.Histogram(ctx, o.live)
		if err != nil {
			return nil, err
		}
		counts = append(counts, count{h, time.Since(began)})
		if len(counts) == 2 || o.wait == 0 {
			return counts, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("holders: stopped between the two counts: %w", ctx.Err())
		case <-time.After(o.wait):
		}
	}
}

// dumpCost is what a dump has cost.
type dumpCost struct {
	bytes          int64
	written, found time.Duration
}

func dumpHeap(ctx context.Context, e env, pid int, heap uint64, c *choice, o *holdersOptions) (*heapdump.Holders, dumpCost, error) {
	var cost dumpCost
	client, err := jvm.Dial(ctx, pid, jvm.Options{Start: true, Timeout: dumpTimeout})
	if err != nil {
		return nil, cost, err
	}
	defer client.Close()
	e.say("the JVM is asked to write its heap, %s, and stops until that is done: %s", report.Size(heap), dumpTime(heap))
	began := time.Now()
	f, err := client.HeapDump(ctx, jvm.HeapDumpOptions{Live: o.live, Bytes: heap, Dir: o.dir})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, cost, fmt.Errorf("holders: interrupted: nothing is left of the dump; a JVM that was writing it runs on when that is done: %w", ctx.Err())
	case err != nil:
		return nil, cost, err
	}
	defer f.Close()
	cost.written = time.Since(began)
	st, err := f.Stat()
	if err != nil {
		return nil, cost, fmt.Errorf("read the heap dump: %w", err)
	}
	cost.bytes = st.Size()
	opt := heapdump.Options{}
	for _, r := range c.ranges() {
		opt.Ranges = append(opt.Ranges, heapdump.Range(r))
	}
	began = time.Now()
	found, err := heapdump.Find(ctx, f, st.Size(), opt)
	cost.found = time.Since(began)
	return found, cost, err
}

// dumpTime is how long a heap takes to be written, by what was measured: 70 to 500 MB a second.
func dumpTime(heap uint64) string {
	seconds := func(perSecond uint64) time.Duration { return time.Duration(heap/(perSecond>>10)) * time.Second >> 10 }
	least, most := seconds(500<<20), seconds(70<<20)
	if most < time.Second {
		return "less than a second"
	}
	return fmt.Sprintf("about %v to %v", least.Round(100*time.Millisecond), most.Round(100*time.Millisecond))
}
