package jvm

import (
	"bytes"
	"context"
	"strconv"
	"strings"
)

// Histogram is the objects of the Java heap by class, at one instant.
type Histogram struct {
	Classes          []ClassCount // as the JVM orders them
	Instances, Bytes uint64       // of all classes, those cut off included
	Bad              int          // lines that could not be read
}

// ClassCount is the instances of one class, and their bytes in the Java heap. The name is the JVM's, untrusted: "[B",
// "java.lang.String".
type ClassCount struct {
	Class            string
	Instances, Bytes uint64
}

// maxClasses bounds the classes that are kept of a histogram.
const maxClasses = 1 << 18

// Histogram counts the objects in the Java heap. It stops the application while the heap is walked, some 0.2 s for a GiB. With
// live, the JVM does a full garbage collection first, and counts what is left; else garbage that has not been collected is counted, too.
func (c *Client) Histogram(ctx context.Context, live bool) (*Histogram, error) {
	which := "-all"
	if live {
		which = "-live"
	}
	text, err := c.Command(ctx, "inspectheap", which)
	if err != nil {
		return nil, err
	}
	return parseHistogram(text), nil
}

// parseHistogram reads lines as "   3:          1741         747224  [I (java.base@17.0.15)", and at the end
// "Total        120345        9876543".
func parseHistogram(text []byte) *Histogram {
	h := &Histogram{}
	for line := range bytes.Lines(text) {
		words := strings.Fields(string(line[:min(len(line), 1024)]))
		numbered := len(words) >= 4 && strings.HasSuffix(words[0], ":")
		if !numbered && (len(words) != 3 || words[0] != "Total") {
			continue // a heading, a rule or an empty line
		}
		instances, err1 := strconv.ParseUint(words[1], 10, 63)
		size, err2 := strconv.ParseUint(words[2], 10, 63)
		switch {
		case err1 != nil || err2 != nil:
			if numbered && strings.Trim(words[0], "0123456789") == ":" {
				h.Bad++
			}
		case !numbered:
			h.Instances, h.Bytes = instances, size
		case len(h.Classes) < maxClasses:
			h.Classes = append(h.Classes, ClassCount{javaString(words[3]), instances, size})
		}
	}
	return h
}
