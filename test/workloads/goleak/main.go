// Command goleak keeps a mebibyte four times a second, or with --control drops
// each. The words it speaks are those of Leaks.java.
package main

import (
	"bufio"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

const block = 1 << 20

var (
	kept   [][]byte
	leaked atomic.Int64
)

func main() {
	control := len(os.Args) > 1 && os.Args[1] == "--control"
	in := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	in.Scan() // go
	start := time.Now()
	tell := func(word string) {
		n := leaked.Load()
		fmt.Printf("%s kind=go control=%v at_ms=%d leaked=%d per_hour=%.0f thread=goleak category=other limit=0\n",
			word, control, time.Now().UnixMilli(), n, float64(n)/max(time.Since(start).Hours(), 1e-9))
	}
	go leak(control)
	go func() {
		for {
			tell("truth")
			time.Sleep(time.Second)
		}
	}()
	for in.Scan() && in.Text() != "stop" {
	}
	tell("final")
}

// leak allocates on the heap, and writes to every page.
func leak(control bool) {
	for range time.Tick(250 * time.Millisecond) {
		b := make([]byte, block)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		if !control {
			kept = append(kept, b)
			leaked.Add(block)
		}
	}
}
