package hotspot

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// listed is what the VM itself says of its code: the names of compilations by id.
func listed(tb testing.TB, pid, major int) map[uint32]string {
	tb.Helper()
	jcmd, err := exec.LookPath("jcmd")
	if err != nil {
		skip(tb, "needs jcmd in PATH")
	}
	out, err := exec.Command(jcmd, strconv.Itoa(pid), "Compiler.codelist").CombinedOutput()
	if err != nil {
		tb.Fatalf("jcmd: %v: %s", err, out)
	}
	names := map[uint32]string{}
	for _, line := range strings.Split(string(out), "\n") {
		// id level state class.method(descriptor) [addresses]
		var id uint32
		var level, state int
		var name string
		if n, _ := fmt.Sscan(line, &id, &level, &state, &name); n != 4 {
			continue
		}
		open := strings.IndexByte(name, '(')
		if open < 0 {
			tb.Fatalf("codelist says %q", line)
		}
		types, err := parameters(name[open:])
		if err != nil {
			tb.Fatalf("codelist says %q: %v", line, err)
		}
		names[id] = printable(masked(name[:open], major) + types)
	}
	return names
}

var (
	printedLambda = regexp.MustCompile(`(\$\$Lambda)(\$[0-9]+)?/0x[0-9a-f]+`)
	printedHidden = regexp.MustCompile(`/0x[0-9a-f]+`)
)

// masked turns what the VM prints for classes that it names itself into what we print. Before 15 the address is printed, but
// it is no part of the class's name.
func masked(name string, major int) string {
	name = printedLambda.ReplaceAllString(name, "$1"+hiddenMask)
	if major < 15 {
		return printedHidden.ReplaceAllString(name, "")
	}
	return printedHidden.ReplaceAllString(name, hiddenMask)
}

// checkAgainstList compares the names of all compilations with what the VM itself says. They come and go meanwhile: what was
// there before and after must be there in between.
func checkAgainstList(t *testing.T, vm *VM, pid int) {
	before := listed(t, pid, vm.Version().Major)
	if err := vm.Resync(); err != nil {
		t.Fatal(err)
	}
	names := map[uint32]string{}
	vm.eachBlob(t, func(b *blob) {
		if b.isNmethod() {
			frames, err := vm.Expand(b.physical(b.codeBegin))
			if errors.Is(err, ErrGone) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			names[b.compileID] = printable(frames[len(frames)-1].Function)
		}
	})
	after := listed(t, pid, vm.Version().Major)
	compared := 0
	for id, name := range before {
		if after[id] == name {
			compared++
			if names[id] != name {
				t.Errorf("compilation %d is %s, named %q", id, name, names[id])
			}
		}
	}
	t.Logf("%d names of %d equal those of Compiler.codelist", compared, len(names))
	if compared < 50 {
		t.Error("that is too little to be true")
	}
}

// printable leaves out what jcmd does not print right: characters of two units.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xffff || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}
