package report

import (
	"fmt"
	"path"
	"strings"

	"vmaleak/leak"
)

// frame is f as one line of at most n columns: "at
// com.acme.Handler.channelRead(Handler.java:42)". Where that is too long the file goes
// first, which is named like the class, then the middle of the name.
func frame(f *leak.Frame, n int) string {
	name, where, short := parts(f)
	if text := name + where; width(safe(text)) <= n {
		return safe(text)
	}
	if width(safe(name+short)) <= n {
		return safe(name + short)
	}
	short = cut(short, max(n/3, 8))
	return cut(name, max(n-width(short), 8)) + short
}

// parts are the function of a frame, its place, and its place in short.
func parts(f *leak.Frame) (name, where, short string) {
	name = value(f.Function)
	switch {
	case java(f) && name == "" && f.Module == nil:
		name = "unknown method"
	case java(f), f.Kind == "native", f.Kind == "inlined":
		name = bare(name)
	}
	file := path.Base(value(f.File))
	if f.File == nil {
		file = ""
	}
	line := ""
	if f.Line != nil && *f.Line > 0 {
		line = fmt.Sprintf(":%d", *f.Line)
	}
	switch {
	case java(f) && name != "" && line != "":
		short = "(…" + line + ")"
		if file == "" {
			return name, short, short
		}
		return name, "(" + file + line + ")", short
	case java(f) && name != "" && file != "":
		return name, "(" + file + ")", ""
	case java(f) && name != "":
		return name, "", ""
	}
	at := "?"
	if f.Module != nil {
		at = path.Base(*f.Module)
	} else if f.Kind != "native" {
		at = f.Kind
	}
	if f.Offset != nil {
		at += "+" + f.Offset.String()
	}
	switch {
	case name == "":
		return at, "", ""
	case file != "":
		return name, " (" + file + line + ")", " (" + file + line + ")"
	}
	return name, " (" + at + ")", ""
}

// origins is where frames come from, each once, as a list of at most n columns.
func origins(frames []leak.Frame, n int) string {
	var b strings.Builder
	seen := map[string]bool{}
	for i := range frames {
		o := origin(&frames[i])
		if seen[o] {
			continue
		}
		seen[o] = true
		o = cut(o, 32)
		if len(seen) > 1 {
			o = ", " + o
		}
		if width(b.String())+width(o) > n-3 {
			return b.String() + ", …"
		}
		b.WriteString(o)
	}
	return b.String()
}
