package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"vmaleak/report"
	"vmaleak/symbolize/heapdump"
)

// found shows who holds the memory.
func (t *holdersText) found(h *heapdump.Holders, cost dumpCost, live bool) {
	t.WriteByte('\n')
	t.verdicts(h)
	if len(h.Groups) > 0 {
		fmt.Fprintf(t, "\n%9s %8s  %-9s CLASS\n", "OBJECTS", "MEMORY", "HOW")
	}
	for i, g := range h.Groups {
		if i == holdersRows {
			t.line("", "and %d groups with less", len(h.Groups)-holdersRows)
			break
		}
		memory := "?"
		if g.Bytes > 0 {
			memory = report.Size(g.Bytes)
		}
		fmt.Fprintf(t, "%9d %8s  %-9s %s\n", g.Count, memory, g.State, report.Line(javaName(g.Class), holdersWidth-30))
		if g.State == heapdump.Held {
			t.line("", "by %s", g.Owner)
			for i, step := range g.Path {
				if i < len(g.Path)-1 {
					fmt.Fprintf(t, "%*s%s\n", len(holdersIndent)+3, "", report.Line(stepText(step), holdersWidth-len(holdersIndent)-3))
				}
			}
		}
	}
	t.WriteByte('\n')
	if p := h.Pool; p != nil {
		chunks := "1 chunk"
		if p.Chunks != 1 {
			chunks = fmt.Sprintf("%d chunks", p.Chunks)
		}
		t.line("Netty", "its pool has %s of %s together: %s handed out, of which %s in buffers that are held and %s in buffers that nobody holds",
			chunks, report.Size(p.Size), report.Size(p.Allocated), report.Size(p.Held), report.Size(p.Dropped))
	}
	t.states(h)
	how := "no collection was forced"
	if live {
		how = "after a full garbage collection"
	}
	t.line("dump", "%s of %d objects, %s; the JVM stopped for %s at most; read in %s; no file is left", report.Size(uint64(cost.bytes)), h.Objects,
		how, cost.written.Round(time.Millisecond), cost.found.Round(10*time.Millisecond))
	if h.Odd+h.Unkept > 0 {
		t.line("", "left out: %d objects that do not fit their class, %d that were too many", h.Odd, h.Unkept)
	}
}

// verdicts is the answer: who holds how much, most first, and what nobody holds.
func (t *holdersText) verdicts(h *heapdump.Holders) {
	if h.Unproven != "" {
		t.line("NOT KNOWN", "who holds it: %s. The objects that stand for it are listed", h.Unproven)
		return
	}
	type owner struct {
		name  string
		bytes uint64
		n     int
		class string // the one with most
	}
	var owners []*owner
	var dropped, garbage owner
	for _, g := range h.Groups { // most bytes first
		switch g.State {
		case heapdump.Held:
			i := slices.IndexFunc(owners, func(o *owner) bool { return o.name == g.Owner })
			if i < 0 {
				i = len(owners)
				owners = append(owners, &owner{name: g.Owner, class: g.Class})
			}
			// Objects of several classes stand for the same bytes: a buffer, and its views.
			owners[i].bytes = max(owners[i].bytes, g.Bytes)
			if g.Class == owners[i].class {
				owners[i].n += g.Count
			}
		case heapdump.Dropped:
			// Of several classes that stand for the same bytes, that with most objects is the application's.
			if g.Count > dropped.n {
				dropped.n, dropped.class = g.Count, g.Class
			}
		case heapdump.Garbage:
			garbage.bytes += g.Bytes
			garbage.n += g.Count
		}
	}
	slices.SortStableFunc(owners, func(a, b *owner) int { return cmp.Compare(b.bytes, a.bytes) })
	for i, o := range owners {
		if i == 5 {
			t.line("", "and %d more owners", len(owners)-i)
			break
		}
		if o.bytes > 0 {
			t.line("HELD", "%s by %s: %d %s", report.Size(o.bytes), o.name, o.n, shortJava(o.class))
		}
	}
	t.dropped(h.Pool, h.Dropped, dropped.n, dropped.class)
	if garbage.n > 0 {
		t.line("GARBAGE", "%s: %d buffers that no GC root leads to; a garbage collection frees their memory", report.Size(garbage.bytes), garbage.n)
	}
	if p := h.Pool; p != nil && p.Size-p.Allocated >= p.Size/10 {
		t.line("FREE", "%s inside Netty's pool, which keeps its chunks to serve from them again", report.Size(p.Size-p.Allocated))
	}
	for _, o := range owners[:min(len(owners), 5)] {
		if o.bytes == 0 {
			t.line("HELD", "of a size that is not known by %s: %d %s with an address in it", o.name, o.n, shortJava(o.class))
		}
	}
	if h.Dropped == 0 && dropped.n > 0 {
		t.line("DROPPED", "of a size that is not known: %d %s with an address in it, that no GC root leads to", dropped.n, shortJava(dropped.class))
	}
	if h.Covered < h.Bytes-h.Bytes/10 {
		t.line("NO OBJECT", "stands for %s of %s: native code has it, or its owner was collected without freeing it, or malloc keeps it free",
			report.Size(h.Bytes-h.Covered), report.Size(h.Bytes))
	}
}

// dropped says what nobody can free any more: by objects that are still in the heap, and by Netty's books, which do not forget.
func (t *holdersText) dropped(p *heapdump.Pool, bytes uint64, n int, class string) {
	var parts []string
	if bytes > 0 {
		parts = append(parts, fmt.Sprintf("no GC root leads to %d %s, and nothing frees their memory", n, shortJava(class)))
	}
	if p != nil && p.Lost() > p.Dropped {
		// A thread's caches hold a few MiB at most: what is a tenth of the pool, or more, they do not explain.
		if lost := p.Lost() - p.Dropped; lost >= max(p.Allocated/10, 1<<20) {
			parts = append(parts, fmt.Sprintf("Netty's pool has handed out %s of which no buffer is left in the heap (threads' caches may have a few MiB of it)",
				report.Size(lost)))
			bytes += lost
		}
	}
	if len(parts) > 0 {
		t.line("DROPPED", "%s without release: %s", report.Size(bytes), strings.Join(parts, "; "))
	}
}

// states explains the words that were used.
func (t *holdersText) states(h *heapdump.Holders) {
	for _, s := range []struct {
		state heapdump.State
		text  string
	}{
		{heapdump.ByPool, "the pool's own books refer to it for as long as it is mapped: that is no owner"},
		{heapdump.ByCleaner, "only what frees the memory, once its buffer is gone, refers to it: that is no owner"},
		{heapdump.View, "shows memory of another buffer, which counts in its place"},
		{heapdump.Released, "given back to the pool: the object waits to be used again"},
	} {
		if slices.ContainsFunc(h.Groups, func(g heapdump.Group) bool { return g.State == s.state }) {
			t.line(string(s.state), "%s", s.text)
		}
	}
}

// stepText is a step of a path: "java.util.HashMap.table", "java.util.HashMap$Node[] element".
func stepText(s heapdump.Step) string {
	text := javaName(s.Class)
	switch s.Field {
	case "":
	case "[]":
		text += " element"
	default:
		text += "." + s.Field
	}
	if s.Times > 1 {
		text += fmt.Sprintf(" (%d in a row)", s.Times)
	}
	return text
}

var primitives = map[byte]string{'Z': "boolean", 'C': "char", 'F': "float", 'D': "double", 'B': "byte", 'S': "short", 'I': "int", 'J': "long"}

// javaName is a class as it is written in Java: "java.lang.Object[]" for "[Ljava.lang.Object;".
func javaName(class string) string {
	element := strings.TrimLeft(class, "[")
	dims := len(class) - len(element)
	switch {
	case dims == 0 || element == "":
		return class
	case strings.HasPrefix(element, "L"):
		element = strings.TrimSuffix(element[1:], ";")
	case primitives[element[0]] != "":
		element = primitives[element[0]]
	}
	return element + strings.Repeat("[]", min(dims, 8))
}

// shortJava is a class without its package.
func shortJava(class string) string {
	name := javaName(class)
	return name[strings.LastIndexByte(name, '.')+1:]
}
