package jvm

import (
	"bufio"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// NMT is what a JVM's native memory tracking says, in bytes by its own categories; "Total" is all of it.
type NMT struct{ Reserved, Committed map[string]uint64 }

const maxNMT = 256 // categories; there are about 30

// "Total: reserved=1387456KB, committed=119680KB" and
// "-                 Java Heap (reserved=131072KB, committed=131072KB)", to which 25 adds ", readonly=0KB".
var nmtLine = regexp.MustCompile(`^(?:(Total): |-\s+([A-Za-z][A-Za-z0-9 /_-]*?) \()reserved=(\d+)KB, committed=(\d+)KB`)

// NativeMemory asks for the summary of native memory tracking, which must have been on since the start
// (-XX:NativeMemoryTracking=summary or detail). It takes the JVM 1 to 7 ms, and stops no thread.
func (c *Client) NativeMemory(ctx context.Context) (*NMT, error) {
	text, err := c.Jcmd(ctx, "VM.native_memory summary scale=KB")
	if err != nil {
		return nil, err
	}
	n, err := parseNMT(string(text))
	if err != nil {
		return nil, fault(c.p.pid, ErrRefused, "VM.native_memory: %v", err)
	}
	return n, nil
}

func parseNMT(text string) (*NMT, error) {
	n := &NMT{Reserved: map[string]uint64{}, Committed: map[string]uint64{}}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() && len(n.Committed) < maxNMT {
		m := nmtLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		reserved, err := strconv.ParseUint(m[3], 10, 53) // so that it is bytes too
		if err != nil {
			return nil, fmt.Errorf("%q: %w", clip(lines.Text(), 128), err)
		}
		committed, err := strconv.ParseUint(m[4], 10, 53)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", clip(lines.Text(), 128), err)
		}
		n.Reserved[m[1]+m[2]], n.Committed[m[1]+m[2]] = reserved<<10, committed<<10
	}
	if _, ok := n.Committed["Total"]; !ok {
		return nil, fmt.Errorf("there is no total in it: %q", clip(text, 128))
	}
	return n, nil
}
