package hotspot

import "testing"

// BenchmarkFacts is one reading of all that a trace wants to know of a JVM every two seconds: of 500 threads, with a heap of 2,048
// regions.
func BenchmarkFacts(b *testing.B) {
	for version, home := range jdks(b) {
		classes := mustCompile(b, home, "8", "../testdata/Named.java")
		p := mustRun(b, home, "-Xms2g", "-Xmx2g", "-XX:G1HeapRegionSize=1m", "-Xshare:off", "-cp", classes, "Named", "500")
		p.named(501)
		vm, err := Attach(p.pid())
		if err != nil {
			b.Fatal(err)
		}
		for name, read := range map[string]func() error{
			"regions": func() error { _, err := vm.Regions(); return err },
			"heap":    func() error { _, err := vm.HeapUsage(); return err },
			"spaces":  func() error { _, err := vm.Spaces(); return err },
			"direct":  func() error { _, err := vm.DirectMemory(); return err },
		} {
			b.Run(version+" "+name, func(b *testing.B) {
				for b.Loop() {
					if err := read(); err != nil {
						b.Fatal(err)
					}
					vm.Rest()
				}
			})
		}
	}
}
