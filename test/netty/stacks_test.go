package netty

import (
	"bytes"
	"strings"
	"testing"

	"vmaleak/leak"
	"vmaleak/report"
)

// checkStacks wants to know of every chunk where Netty made it, with lines, down to the
// thread's start, and by whose call: a reader's, or that of the handler which keeps buffers.
func checkStacks(tb testing.TB, snap *leak.Snapshot, e *leak.Entry) {
	tb.Helper()
	const (
		reader  = "io.netty.channel.nio.AbstractNioByteChannel$NioByteUnsafe.read("
		handler = "NettyLeak$Echo.channelRead("
		arena   = "io.netty.buffer.PoolArena"
	)
	byID := map[string]*leak.Stack{}
	for i := range e.Stacks {
		byID[e.Stacks[i].ID] = &e.Stacks[i]
	}
	callers := map[string]int{}
	for i := range e.Mappings {
		m := &e.Mappings[i]
		if m.Length != chunk || m.TID == nil {
			continue
		}
		if m.Stack == nil || byID[*m.Stack] == nil {
			tb.Errorf("the chunk at %v has no stack", *m.Start)
			continue
		}
		s := byID[*m.Stack]
		found := map[string]bool{}
		for _, f := range s.Frames {
			for _, want := range []string{reader, handler, arena} {
				if f.Function != nil && strings.HasPrefix(*f.Function, want) && f.File != nil && f.Line != nil && *f.Line > 0 {
					found[want] = true
				}
			}
		}
		outermost := s.Frames[len(s.Frames)-1]
		if s.Status != "complete" || !found[arena] || !found[reader] || outermost.Kind != "native" {
			tb.Errorf("the stack of the chunk at %v is %s and lacks frames:\n%s", *m.Start, s.Status, frames(s))
		}
		if found[handler] {
			callers[handler]++
		} else {
			callers[reader]++
		}
	}
	tb.Logf("chunks by who asked for them: %v; of the stacks %+v", callers, e.Events.Stacks)
	wanted := []string{"where " + pool + " got its memory", "AbstractNioByteChannel$NioByteUnsafe.read(", "PoolArena.java:"}
	if callers[handler] >= callers[reader] { // whose buffer fills a chunk is a matter of sizes and of luck
		wanted = append(wanted, "NettyLeak.java:")
	}
	if e.Effects.Dumps != 0 {
		tb.Errorf("the JVM was asked %d times for its threads", e.Effects.Dumps)
	}
	var text bytes.Buffer
	if err := report.Text(&text, snap, report.TextOptions{Width: 120}); err != nil {
		tb.Fatal(err)
	}
	for _, want := range wanted {
		if !strings.Contains(text.String(), want) {
			tb.Errorf("the report does not hold %q:\n%s", want, text.String())
		}
	}
}

func frames(s *leak.Stack) string {
	var b strings.Builder
	for _, f := range s.Frames {
		b.WriteString("\t" + f.Kind + " " + said(f.Function) + "\n")
	}
	return b.String()
}
