package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"vmaleak/leak"
	"vmaleak/report"
)

func newReport(e env) *cobra.Command {
	var format, out string
	opt := report.TextOptions{Width: 80}
	var minSize size
	cmd := &cobra.Command{
		Use: "report EXPORT", Short: "Show an export again, as text or JSON",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("report: give one export, or - for stdin; these are %d", len(args))}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			opt.MinSize = uint64(minSize)
			if format != "text" && format != "json" {
				return usageError{fmt.Errorf("report --format %q is not built: there are text and json", format)}
			}
			snap, err := readExport(args[0])
			if err != nil {
				return err
			}
			switch format {
			case "text":
				if out != "" && out != "-" {
					return report.WriteText(out, snap, opt, fileOptions())
				}
				return report.Text(e.stdout, snap, opt)
			case "json":
				if out != "" && out != "-" {
					return report.WriteFile(out, snap, fileOptions())
				}
				return report.JSON(e.stdout, snap)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&format, "format", "text", "text or json")
	f.StringVarP(&out, "output", "o", "", "write to `FILE` instead of stdout")
	f.IntVarP(&opt.Top, "top", "T", 10, "rows shown for each process")
	f.BoolVar(&opt.FullStacks, "full-stacks", false, "show every frame of a stack")
	f.VarP(&minSize, "min-size", "z", "show only what holds at least `SIZE`")
	return cmd
}

func readExport(name string) (*leak.Snapshot, error) {
	if name == "-" {
		snap, err := report.ReadJSON(os.Stdin)
		if err != nil {
			return nil, fmt.Errorf("read the export from stdin: %w", err)
		}
		return snap, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the export: %w", err)
	}
	defer f.Close()
	snap, err := report.ReadJSON(f)
	if err != nil {
		return nil, fmt.Errorf("read the export %s: %w", name, err)
	}
	return snap, nil
}
