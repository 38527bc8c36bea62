package hotspot

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"testing"
)

func TestZDump(t *testing.T) {
	pid, _ := strconv.Atoi(os.Getenv("ZPID"))
	vm, err := Attach(pid)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for k, f := range vm.table.fields {
		out = append(out, fmt.Sprintf("F %s.%s %s static=%v %#x", k.typ, k.name, f.typ, f.static, f.value))
	}
	for k, f := range vm.table.sizes {
		out = append(out, fmt.Sprintf("T %s : %s size=%d", k, vm.table.supers[k], f))
	}
	for k, f := range vm.table.ints {
		out = append(out, fmt.Sprintf("C %s = %d", k, f))
	}
	sort.Strings(out)
	fd, _ := os.Create(os.Getenv("ZOUT"))
	for _, l := range out {
		fmt.Fprintln(fd, l)
	}
	fd.Close()
}
