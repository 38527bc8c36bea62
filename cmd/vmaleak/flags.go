package main

import (
	"fmt"
	"math"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// size is a flag in bytes: 64KiB, 1MiB, 33M, 4096.
type size uint64

func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*s), 10)
}
func (s *size) Type() string { return "SIZE" }
func (s *size) Set(text string) error {
	n, err := parseSize(text)
	*s = size(n)
	return err
}

// parseSize reads a number of bytes with an optional binary unit.
func parseSize(text string) (uint64, error) {
	digits := strings.TrimRight(text, "KMGTPkmgtpiBb ")
	unit := strings.ToUpper(strings.TrimSpace(text[len(digits):]))
	shift, ok := map[string]uint{"": 0, "B": 0, "K": 10, "KB": 10, "KIB": 10, "M": 20, "MB": 20, "MIB": 20,
		"G": 30, "GB": 30, "GIB": 30, "T": 40, "TB": 40, "TIB": 40}[unit]
	n, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || n < 0 || n*float64(uint64(1)<<shift) > math.MaxInt64 || math.IsNaN(n) {
		return 0, fmt.Errorf("%q is no size: write 64KiB, 1MiB, 33M or a number of bytes", text)
	}
	return uint64(n * float64(uint64(1)<<shift)), nil
}

// auditFlag is a duration, or off (negative).
type auditFlag time.Duration

func (a *auditFlag) String() string {
	switch {
	case *a == 0:
		return ""
	case *a < 0:
		return "off"
	}
	return time.Duration(*a).String()
}
func (a *auditFlag) Type() string { return "D" }
func (a *auditFlag) Set(text string) error {
	if text == "off" {
		*a = -1
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is neither off nor a time such as 10s", text)
	}
	*a = auditFlag(d)
	return nil
}

// version is the module's version, or the commit that was built.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				v = "devel-" + s.Value[:12]
			}
		}
	}
	return v
}
