package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vmaleak/leak"
)

// The table of categories: all columns but the name have fixed widths.
var useHead = [...]string{"MAPPED", "COMMIT", "RES", "SWAP", "FREE"}

// memory writes what the memory of a process is for, and closes its books: everything that the kernel counts has a line.
func (t *screen) memory(e *leak.Entry) {
	t.categories(e)
	for _, line := range []string{books(e), group(e), jvm(e), counters(e)} {
		if line != "" {
			t.line(line)
		}
	}
}

// categories writes one row for each category, most committed bytes first.
func (t *screen) categories(e *leak.Entry) {
	if len(e.Categories) == 0 || len(e.Categories) == 1 && e.Categories[0].Category == leak.Other {
		return
	}
	row := func(name string, cells ...string) {
		t.WriteString(left(" "+name, 16))
		for _, c := range cells {
			t.WriteString(" " + right(c, 7))
		}
		t.WriteByte('\n')
	}
	row("MEMORY", useHead[:]...)
	uses := slices.Clone(e.Categories)
	slices.SortStableFunc(uses, func(a, b leak.CategoryUse) int { return cmp.Compare(b.Committed, a.Committed) })
	for i := range uses {
		u := &uses[i]
		free := "-"
		if f := freeOf(e, u.Category); f != nil {
			free = size(*f)
		}
		row(u.Category, size(u.Mapped), size(u.Committed), sizeOr(u.Resident), sizeOr(u.Swap), free)
	}
	if m := e.Malloc; m != nil && m.UnknownBecause != nil {
		t.line("  free inside malloc's arenas: not known: " + cut(*m.UnknownBecause, 200))
	}
}

// freeOf is what malloc holds free in a category, nil if that is not known or is not malloc's.
func freeOf(e *leak.Entry, category string) *uint64 {
	if e.Malloc == nil {
		return nil
	}
	for i := range e.Malloc.Uses {
		if u := &e.Malloc.Uses[i]; u.Category == category {
			return &u.Free
		}
	}
	return nil
}

// books says how what the kernel counts for the process is made up.
func books(e *leak.Entry) string {
	b := &e.Books
	if b.Anon == nil {
		return ""
	}
	text := "resident " + size(*b.Anon) + " anonymous"
	if b.Categories != nil {
		text += " = categories " + size(*b.Categories)
		if b.Outside != nil {
			text += " + other rows " + size(*b.Outside)
		}
		if n := b.Unexplained; n != nil {
			text += " + unexplained " + signed(*n)
		}
	}
	if b.Unread > 0 {
		text += fmt.Sprintf(" (%s committed were not looked at yet)", size(b.Unread))
	}
	for _, part := range []struct {
		n    *uint64
		what string
	}{{b.File, "file"}, {b.Shmem, "shared"}, {b.Swap, "swapped"}} {
		if part.n != nil {
			text += fmt.Sprintf("; %s %s", part.what, size(*part.n))
		}
	}
	return text
}

// signed is a number of bytes that may be negative.
func signed(n int64) string {
	if n < 0 {
		return "-" + size(uint64(-n))
	}
	return size(uint64(n))
}

// group says how the memory of the control group is made up.
func group(e *leak.Entry) string {
	c := e.CGroup
	if c == nil || c.Current == nil {
		return ""
	}
	text := "cgroup " + cut(c.Path, 60) + " " + size(*c.Current)
	if c.Max != nil {
		text += " of " + size(*c.Max)
	}
	sep, rest := " = ", int64(*c.Current)
	for _, part := range []struct {
		n    *uint64
		what string
	}{{c.Anon, "anon"}, {c.File, "file"}, {c.Kernel, "kernel"}, {c.Sock, "sock"}} {
		if part.n != nil {
			text += sep + part.what + " " + size(*part.n)
			sep, rest = " + ", rest-int64(*part.n)
		}
	}
	if sep == " + " {
		text += " + rest " + signed(rest)
	}
	if c.Shmem != nil && *c.Shmem > 0 {
		text += fmt.Sprintf(" (shared memory, of file: %s)", size(*c.Shmem))
	}
	if c.OOMKill != nil && *c.OOMKill > 0 {
		text += fmt.Sprintf("; %s were killed for want of memory", plural(*c.OOMKill, "process"))
	}
	return text
}

// jvm says how the virtual machine uses what it manages itself.
func jvm(e *leak.Entry) string {
	j := e.JVM
	if j == nil {
		return ""
	}
	var parts []string
	if h := j.Heap; h != nil && h.Used != nil {
		text := "heap " + size(*h.Used)
		if h.Max != nil {
			text += " of " + size(*h.Max)
		}
		parts = append(parts, text)
	}
	for _, s := range []struct {
		of   *leak.JVMSpace
		what string
	}{{j.Metaspace, "metaspace"}, {j.ClassSpace, "class space"}, {j.CodeCache, "code"}} {
		if s.of == nil {
			continue
		}
		if n := cmp.Or(s.of.Used, s.of.Committed); n != nil {
			parts = append(parts, s.what+" "+size(*n))
		}
	}
	if j.Threads != nil {
		parts = append(parts, plural(*j.Threads, "Java thread"))
	}
	if len(parts) == 0 {
		return ""
	}
	text := "JVM: " + strings.Join(parts, ", ")
	if len(j.NMT) > 0 {
		text += "; native memory tracking:"
		kinds := slices.SortedFunc(maps.Keys(j.NMT), func(a, b string) int {
			return cmp.Or(cmp.Compare(j.NMT[b], j.NMT[a]), cmp.Compare(a, b))
		})
		for i, k := range kinds[:min(len(kinds), 8)] {
			if i > 0 {
				text += ","
			}
			text += " " + cut(k, 30) + " " + size(j.NMT[k])
		}
	} else if j.NMTStatus != nil {
		text += "; native memory tracking " + cut(*j.NMTStatus, 160)
	}
	return text
}

// counters says what the program itself counts.
func counters(e *leak.Entry) string {
	var parts []string
	for i := range e.Counters {
		c := &e.Counters[i]
		text := cut(c.Name, 80) + " " + sizeOr(c.Used)
		if c.Limit != nil {
			text += " of " + size(*c.Limit)
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return ""
	}
	return "counted by the program: " + strings.Join(parts, ", ")
}
