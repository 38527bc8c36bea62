package hotspot

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	for version, home := range jdks(t) {
		t.Run(version, func(t *testing.T) {
			args := []string{"-Xmx96m", "-XX:MaxDirectMemorySize=12345678", "-XX:+DisableAttachMechanism", "-XX:HeapDumpPath=/a b", "-Xrs"}
			out, err := exec.Command(filepath.Join(home, "bin/java"), append(args, "-XX:+PrintFlagsFinal", "-version")...).Output()
			if err != nil {
				t.Fatal(err)
			}
			classes := mustCompile(t, home, "8", "../testdata/Named.java")
			p := mustRun(t, home, append(args, "-cp", classes, "Named", "1")...)
			p.named(2)
			vm, err := Attach(p.pid())
			if err != nil {
				t.Fatal(err)
			}
			// "     intx CICompilerCount           = 2       {product} {ergonomic}"
			rows := regexp.MustCompile(`(?m)^ +(\w+) (\w+) += (.*?) +\{[^}]*\} *(\{[^}]*\})?$`).FindAllStringSubmatch(string(out), -1)
			kinds := map[string]int{}
			for _, row := range rows {
				kind, name, want := row[1], row[2], strings.TrimSpace(row[3])
				got, ok := vm.Flag(name)
				if !ok {
					t.Errorf("no flag %s", name)
				}
				if kind == "double" {
					got, want = strings.TrimRight(got, ".0"), strings.TrimRight(want, ".0")
				}
				if got != want && name != "PrintFlagsFinal" && name != "SharedBaseAddress" { // where it is mapped
					t.Errorf("%s %s is %q, want %q", kind, name, got, want)
				}
				kinds[kind]++
			}
			for _, kind := range []string{"bool", "intx", "uintx", "double", "ccstr"} {
				if kinds[kind] == 0 {
					t.Errorf("no flag of kind %s among %d", kind, len(rows))
				}
			}
			for name, want := range map[string]string{"MaxDirectMemorySize": "12345678", "DisableAttachMechanism": "true", "HeapDumpPath": "/a b", "ReduceSignalUsage": "true"} {
				if got, ok := vm.Flag(name); !ok || got != want {
					t.Errorf("%s is %q (%v), want %q", name, got, ok, want)
				}
			}
			if got, ok := vm.Flag("NoSuchFlag"); ok {
				t.Errorf("a flag that does not exist is %q", got)
			}
		})
	}
}
