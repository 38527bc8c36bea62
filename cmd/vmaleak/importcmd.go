package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vmaleak/report"
	"vmaleak/strace"
)

// importOptions is the command line of import.
type importOptions struct {
	strace, jstack, pmap, log []string // files whose kind the user gave
	date, tz, limit           string
	files                     files
	text                      report.TextOptions
	minSize                   size
}

func newImport(e env) *cobra.Command {
	o := &importOptions{text: report.TextOptions{Width: 80}}
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Make the report of a trace from old logs: strace, jstack, pmap -X, application logs",
		Long: `import reads the logs of the manual way and makes of them the ledger that a
trace would have made. Files are recognised by their content; gzip and zstd are
unpacked. No privileges are needed.`,
		Example: "  vmaleak import strace.txt jstack.txt\n  vmaleak import --date 2021-03-01 trace.25900.gz trace.25901.gz app.log --json leak.json",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args)+len(o.strace)+len(o.jstack)+len(o.pmap)+len(o.log) == 0 {
				return usageError{errors.New("import: no file; give the log of strace -f -tt -e trace=brk,mmap,munmap,mremap,mprotect, and thread dumps, pmap tables and application logs if there are any")}
			}
			o.text.MinSize = uint64(o.minSize)
			return importFiles(e, o, args)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.strace, "strace", nil, "`FILE` is an strace log")
	f.StringArrayVar(&o.jstack, "jstack", nil, "`FILE` holds thread dumps")
	f.StringArrayVar(&o.pmap, "pmap", nil, "`FILE` is a table of pmap -X")
	f.StringArrayVar(&o.log, "log", nil, "`FILE` is an application's log")
	f.StringVar(&o.date, "date", "", "`DAY` of the strace log's first line, where its times have none (2021-03-01)")
	f.StringVar(&o.tz, "tz", "", "`ZONE` of the log's times (Europe/Paris; default: this host's)")
	f.StringVar(&o.limit, "limit", "", "the limit that was in force, `direct=SIZE`")
	o.files.add(f, "")
	f.IntVarP(&o.text.Top, "top", "T", 10, "rows shown for each process")
	f.VarP(&o.minSize, "min-size", "z", "show only what holds at least `SIZE`")
	return cmd
}

func importFiles(e env, o *importOptions, args []string) error {
	im, err := newImporter(e, o)
	if err != nil {
		return usageError{err}
	}
	if err := o.files.canWrite(); err != nil {
		return err
	}
	if err := im.sort(args); err != nil {
		return err
	}
	for _, step := range []func() error{im.readDumps, im.readStrace, im.readPmaps, im.readLogs} {
		if err := step(); err != nil {
			return err
		}
	}
	snap, err := im.snapshot()
	if err != nil {
		return err
	}
	out := o.files.talk(e)
	if err := report.Text(out, snap, o.text); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	for _, n := range im.notes {
		fmt.Fprintln(out, n)
	}
	return o.files.write(e.stdout, snap, o.text)
}

// sort recognises the files of the command line.
func (im *importer) sort(args []string) error {
	im.files = map[strace.FileKind][]string{strace.StraceFile: im.o.strace, strace.JstackFile: im.o.jstack,
		strace.PmapFile: im.o.pmap, strace.LogFile: im.o.log}
	for _, name := range args {
		f, kind, err := strace.Open(name)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("import %s: %w", name, err)
		}
		if kind == strace.Unknown {
			return fmt.Errorf("import %s: neither an strace log, a thread dump, a table of pmap -X nor an application log with errors about direct memory; say which by --strace, --jstack, --pmap or --log", name)
		}
		im.files[kind] = append(im.files[kind], name)
	}
	if len(im.files[strace.StraceFile]) == 0 {
		return errors.New("import: none of the files is an strace log, and only that holds the calls; record one with strace -f -tt -T -e trace=brk,mmap,munmap,mremap,mprotect -p PID -o FILE, or use vmaleak trace")
	}
	return nil
}

func newImporter(e env, o *importOptions) (*importer, error) {
	im := &importer{env: e, o: o, loc: time.Local, names: map[uint32]string{}}
	var err error
	if o.tz != "" {
		if im.loc, err = time.LoadLocation(o.tz); err != nil {
			return nil, fmt.Errorf("import --tz %s: %w", o.tz, err)
		}
	}
	if o.date != "" {
		if im.date, err = time.ParseInLocation(time.DateOnly, o.date, im.loc); err != nil {
			return nil, fmt.Errorf("import --date %s: not a day such as 2021-03-01", o.date)
		}
	}
	if o.limit != "" {
		name, value, ok := strings.Cut(o.limit, "=")
		if !ok || name != "direct" {
			return nil, fmt.Errorf("import --limit %s: write direct=2G", o.limit)
		}
		if im.limit, err = parseSize(value); err != nil {
			return nil, fmt.Errorf("import --limit: %w", err)
		}
	}
	return im, o.files.check()
}
