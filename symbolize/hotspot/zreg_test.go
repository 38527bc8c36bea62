package hotspot

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestZReg(t *testing.T) {
	pid, _ := strconv.Atoi(os.Getenv("ZPID"))
	vm, err := Attach(pid)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("ZSTRIP") != "" {
		vm.locals = map[string]uint64{}
	}
	for range 3 {
		b := time.Now()
		r, err := vm.Regions()
		fmt.Println(time.Since(b), err)
		if os.Getenv("ZQ") == "" {
			for _, x := range r {
				fmt.Printf("[%016x - %016x] %8d K %s %d\n", x.Start, x.End, (x.End-x.Start)/1024, x.Purpose, x.TID)
			}
			fmt.Println(vm.graph.wanted, len(vm.graph.newest), fmt.Sprintf("%#x %#x", vm.graph.low, vm.graph.high))
			os.Setenv("ZQ", "1")
		}
	}
}
