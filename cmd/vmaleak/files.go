package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"vmaleak/leak"
	"vmaleak/report"
)

// files are the places where a command writes its results: -o by extension,
// --json as JSON whatever the name; "-" is stdout.
type files struct{ outputs, jsons []string }

func (f *files) add(fs *pflag.FlagSet, when string) {
	fs.StringArrayVarP(&f.outputs, "output", "o", nil, "write the result to `FILE`"+when+" (.json or .txt, also with .gz or .zst; - is JSON on stdout)")
	fs.StringArrayVar(&f.jsons, "json", nil, "write the export as JSON to `FILE`"+when+" (- is stdout)")
}

// names are all of them.
func (f *files) names() []string { return slices.Concat(f.jsons, f.outputs) }

// none reports whether there are none.
func (f *files) none() bool { return len(f.jsons)+len(f.outputs) == 0 }

// talk is where text for people goes: stdout, unless a document goes there.
func (f *files) talk(e env) io.Writer {
	if slices.Contains(f.names(), "-") {
		return e.stderr
	}
	return e.stdout
}

// check finds names that could not be written whatever the disk is like.
func (f *files) check() error {
	stdout := 0
	for _, name := range f.names() {
		if name == "" {
			return errors.New("the name of a file to write is empty")
		}
		if name == "-" {
			stdout++
		}
	}
	if stdout > 1 {
		return errors.New("only one document can go to stdout: give - once")
	}
	for _, name := range f.outputs {
		if name != "-" && formatOf(name) == "" {
			return fmt.Errorf("-o %s: no format is known by this extension; use .json or .txt (also with .gz or .zst), or --json %s", name, name)
		}
	}
	return nil
}

// canWrite finds out whether the files can be written, and leaves nothing there.
func (f *files) canWrite() error {
	for _, name := range f.names() {
		if name == "-" {
			continue
		}
		if err := report.CanWrite(name); err != nil {
			return err
		}
	}
	return nil
}

// write writes every file. One that fails does not keep the others from being written.
func (f *files) write(stdout io.Writer, snap *leak.Snapshot, text report.TextOptions) error {
	text.Live, text.Width = false, 80
	var errs []error
	for _, name := range f.jsons {
		errs = append(errs, writeJSON(stdout, name, snap))
	}
	for _, name := range f.outputs {
		if formatOf(name) == "txt" {
			errs = append(errs, report.WriteText(name, snap, text, fileOptions()))
		} else {
			errs = append(errs, writeJSON(stdout, name, snap))
		}
	}
	return errors.Join(errs...)
}

func writeJSON(stdout io.Writer, name string, snap *leak.Snapshot) error {
	if name == "-" {
		return report.JSON(stdout, snap)
	}
	return report.WriteFile(name, snap, fileOptions())
}

// formatOf is the format that a file's name asks for, "" if none is known.
func formatOf(name string) string {
	base := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	switch filepath.Ext(base) {
	case ".json":
		return "json"
	case ".txt":
		return "txt"
	}
	return ""
}

// fileOptions makes files belong to the user who called sudo.
func fileOptions() report.FileOptions {
	var o report.FileOptions
	uid, err1 := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, err2 := strconv.Atoi(os.Getenv("SUDO_GID"))
	if os.Geteuid() == 0 && err1 == nil && err2 == nil {
		o.UID, o.GID = uid, gid
	}
	return o
}
