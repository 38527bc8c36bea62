package netty

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmaleak/leak"
)

// TestChunksThatMakeNoSystemCall is the blind spot: after a burst malloc serves chunks out of its arenas, where
// memory that is writable already makes no system call. --malloc finds every chunk, with its stack.
func TestChunksThatMakeNoSystemCall(t *testing.T) {
	for _, version := range []string{"17", "25"} {
		t.Run(version, func(t *testing.T) {
			java, classPath := needAll(t, version)
			server, port := startServerWith(t, nil, java, classPath, "--warm-burst", "40")
			trace, export := startTrace(t, server.Process.Pid, "--malloc", "8MiB")
			client := start(t, java, "-cp", classPath, "NettyLoad", "--port", port, "--rate", "400", "--seconds", "35")
			client.wait(t)
			trace.interrupt(t)
			trace.wait(t)
			if err := server.Process.Signal(unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
			server.until(t, "it has told its chunks", func() bool { return strings.Contains(server.output(), "\nfinal ") })
			var chunks uint64
			if _, after, ok := strings.Cut(server.output(), "\nchunks "); !ok {
				t.Fatalf("the server does not tell its chunks:\n%s", server.output())
			} else if _, err := fmt.Sscan(after, &chunks); err != nil || chunks < 10 {
				t.Fatalf("the server tells of %d chunks: %v", chunks, err)
			}
			_, e := mustExport(t, export)
			checkBlocks(t, e, chunks)
			if r := e.MallocRegime; r == nil {
				t.Error("that blocks come from arenas is not said")
			}
		})
	}
}

// checkBlocks wants so many chunks, of the workers and from Netty, and a suspect that is just them.
func checkBlocks(tb testing.TB, e *leak.Entry, chunks uint64) {
	tb.Helper()
	k := e.Blocks
	if k == nil || !k.Exact {
		tb.Fatalf("the books of blocks are not exact: %+v", k)
	}
	stacks := map[string]string{}
	for i := range e.Stacks {
		stacks[e.Stacks[i].ID] = frames(&e.Stacks[i])
	}
	var live uint64
	for _, a := range k.Accounts {
		if a.Live == 0 {
			continue
		}
		if a.Name == nil || !worker.MatchString(*a.Name) || a.Size == nil || *a.Size < 16<<20 || *a.Size > 16<<20+4096 {
			tb.Errorf("%d blocks are of %s and of %v bytes", a.Live, said(a.Name), a.Size)
			continue
		}
		live += a.Live
		if a.Stack == nil || !strings.Contains(stacks[*a.Stack], "io.netty.buffer.PoolArena") {
			tb.Errorf("%d chunks have no stack of Netty's: %v", a.Live, a.Stack)
		}
	}
	if live != chunks || k.Live != chunks {
		tb.Errorf("%d blocks live, %d of them chunks; Netty has %d", k.Live, live, chunks)
	}
	var inArenas uint64
	for _, s := range e.Suspects {
		if s.Blocks && s.Pool != nil && *s.Pool == pool {
			inArenas += s.Mappings
		}
	}
	if inArenas == 0 || inArenas > chunks {
		tb.Errorf("of %d chunks %d are suspected of %d suspects", chunks, inArenas, len(e.Suspects))
	}
	tb.Logf("%d chunks; the mappings outstanding are %d bytes", live, e.Totals.Outstanding)
}
