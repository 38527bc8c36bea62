package hotspot

import (
	"fmt"
	"os"
	"strconv"
	"testing"
)

func TestZSym(t *testing.T) {
	pid, _ := strconv.Atoi(os.Getenv("ZPID"))
	vm, _ := Attach(pid)
	l, err := vm.findLocals()
	fmt.Printf("%#x %v\n", l, err)
	dump := func(at uint64, n int) []uint64 {
		b, _ := vm.raw.bytes(at, n*8)
		var w []uint64
		for i := range n {
			w = append(w, le64(b[i*8:]))
		}
		fmt.Printf("%#x: %#x\n", at, w)
		return w
	}
	for _, c := range []string{nonclassContext, classContext} {
		w := dump(l[c], 1)
		w = dump(w[0], 8)
		w = dump(w[1], 16)
		dump(w[2], 20)
	}
}
