package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"rsc.io/script"

	"vmaleak/leak"
	"vmaleak/report"
)

// readDocument is an export's JSON, unpacked.
func readDocument(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	case bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		return io.ReadAll(z)
	}
	return b, nil
}

// checkExport holds an export against the schema and the sum rules.
func checkExport(name string) (*leak.Snapshot, error) {
	doc, err := readDocument(name)
	if err != nil {
		return nil, err
	}
	if err := report.Validate(doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	snap, err := report.ReadJSON(bytes.NewReader(doc))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return snap, snap.CheckValid()
}

// valid checks exports; a pattern stands for every file that it matches.
func valid(s *script.State, args []string) error {
	for _, pattern := range args {
		names, err := filepath.Glob(s.Path(pattern))
		if err != nil || len(names) == 0 {
			return fmt.Errorf("no file %s", pattern)
		}
		for _, name := range names {
			if _, err := checkExport(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// field checks one value: "processes.0.exited". A number of a list may be "*":
// one of them. A value of "?" is anything but null.
func field(s *script.State, args []string) error {
	if len(args) != 3 {
		return script.ErrUsage
	}
	names, _ := filepath.Glob(s.Path(args[0]))
	if len(names) != 1 {
		return fmt.Errorf("%s: %d files", args[0], len(names))
	}
	doc, err := readDocument(names[0])
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return err
	}
	var found []string
	walk(v, strings.Split(args[1], "."), &found)
	for _, got := range found {
		if got == args[2] || args[2] == "?" && got != "null" {
			return nil
		}
	}
	return fmt.Errorf("%s: %s is %q, want %s", args[0], args[1], found, args[2])
}

func walk(v any, path []string, found *[]string) {
	if len(path) == 0 {
		switch v := v.(type) {
		case string:
			*found = append(*found, v)
		default:
			b, _ := json.Marshal(v) // it was JSON
			*found = append(*found, string(b))
		}
		return
	}
	switch v := v.(type) {
	case map[string]any:
		if path[0] == "len" {
			*found = append(*found, strconv.Itoa(len(v)))
		} else if in, ok := v[path[0]]; ok {
			walk(in, path[1:], found)
		}
	case []any:
		if path[0] == "len" {
			*found = append(*found, strconv.Itoa(len(v)))
		}
		for i, in := range v {
			if path[0] == "*" || path[0] == strconv.Itoa(i) {
				walk(in, path[1:], found)
			}
		}
	}
}

// absent checks that no file is left.
func absent(s *script.State, args []string) error {
	var errs []error
	for _, pattern := range args {
		names, err := filepath.Glob(s.Path(pattern))
		errs = append(errs, err)
		if len(names) > 0 {
			errs = append(errs, fmt.Errorf("still there: %v", names))
		}
	}
	return errors.Join(errs...)
}
