package stacks

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// truth is what the program said: its blocks by their number, each with the frames that the JVM saw.
type truth struct {
	ready  string
	chains [][]frame
	blocks map[int]block
	ended  bool
	count  int
}

type block struct {
	chain  int
	thread string
}

// frame is one Java frame, innermost first in a chain.
type frame struct {
	function string // java.util.List.of(java.lang.Object)
	line     int    // 0: it has none
}

// readTruth reads what the program prints until it ends, and closes ready when the program is.
func readTruth(r io.Reader, ready chan<- struct{}) (*truth, error) {
	t := &truth{blocks: map[int]block{}}
	lines := bufio.NewReader(r)
	for {
		text, err := lines.ReadString('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return t, err
		}
		words := strings.Fields(text)
		switch {
		case len(words) == 0:
		case words[0] == "ready":
			t.ready = strings.Join(words[1:], " ")
			close(ready)
		case words[0] == "chain" && len(words) > 2:
			chain := make([]frame, 0, len(words)-2)
			for _, w := range words[2:] {
				f, err := parseFrame(w)
				if err != nil {
					return t, err
				}
				chain = append(chain, f)
			}
			if words[1] != strconv.Itoa(len(t.chains)) {
				return t, fmt.Errorf("chain %s after %d others", words[1], len(t.chains))
			}
			t.chains = append(t.chains, chain)
		case words[0] == "block" && len(words) == 4:
			n, err := strconv.Atoi(words[1])
			if err != nil {
				return t, err
			}
			chain, err := strconv.Atoi(words[2])
			if err != nil || chain >= len(t.chains) {
				return t, fmt.Errorf("%q: %w", text, err)
			}
			t.blocks[n] = block{chain, words[3]}
		case words[0] == "end" && len(words) == 2:
			if t.count, err = strconv.Atoi(words[1]); err != nil {
				return t, err
			}
			t.ended = true
		default:
			return t, fmt.Errorf("the program said %q", text)
		}
	}
}

// parseFrame reads class.method|descriptor|line.
func parseFrame(text string) (frame, error) {
	parts := strings.Split(text, "|")
	if len(parts) != 3 {
		return frame{}, fmt.Errorf("frame %q", text)
	}
	dot := strings.LastIndexByte(parts[0], '.')
	if dot < 0 {
		return frame{}, fmt.Errorf("frame %q", text)
	}
	line, err := strconv.Atoi(parts[2])
	if err != nil {
		return frame{}, fmt.Errorf("frame %q: %w", text, err)
	}
	return frame{mask(parts[0][:dot]) + parts[0][dot:] + parameters(parts[1]), max(line, 0)}, nil
}

// mask replaces what is different in each run in the name of a hidden class, here Name/0x0000….
func mask(class string) string {
	name, _, hidden := strings.Cut(class, "/0x")
	if !hidden {
		return class
	}
	if i := strings.LastIndex(name, "$$Lambda$"); i > 0 {
		name = name[:i] + "$$Lambda"
	}
	return name + "/<hidden>"
}

var primitives = map[byte]string{
	'B': "byte", 'C': "char", 'D': "double", 'F': "float", 'I': "int", 'J': "long", 'S': "short", 'Z': "boolean",
}

// parameters turns (ILjava/lang/String;)V into (int,java.lang.String).
func parameters(descriptor string) string {
	var types []string
	for rest := descriptor[1:]; rest != "" && rest[0] != ')'; {
		element := strings.TrimLeft(rest, "[")
		dimensions := len(rest) - len(element)
		name, after := primitives[element[0]], element[1:]
		if element[0] == 'L' {
			name, after, _ = strings.Cut(element[1:], ";")
			name = strings.ReplaceAll(name, "/", ".")
		}
		types = append(types, name+strings.Repeat("[]", dimensions))
		rest = after
	}
	return "(" + strings.Join(types, ",") + ")"
}
