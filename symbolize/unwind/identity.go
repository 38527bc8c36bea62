package unwind

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path"
	"strconv"
)

// idOf is the hash of what a stack is called and how it ends. What differs between
// hosts and processes is left out: paths of modules, the place of a frame that has
// a name, and what the VM's compiler has made of the same calls: which of Java's frames it
// inlined, and its own code between them.
func idOf(s *Stack) string {
	h := sha256.New()
	text := func(parts ...string) {
		for _, s := range parts {
			_, _ = io.WriteString(h, strconv.Itoa(len(s))+":"+s) // a hash never fails
		}
	}
	text(string(s.Status), s.Reason)
	for _, f := range s.Frames {
		kind := f.Kind
		switch {
		case kind == Stub:
			continue
		case kind == Inlined && f.Module == "":
			kind = Java
		}
		text(string(kind), f.Function, f.File, strconv.Itoa(f.Line))
		if f.Module != "" {
			text(path.Base(f.Module))
		}
		if f.Function == "" {
			text(f.BuildID, strconv.FormatUint(f.Offset, 16))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
