package hotspot

import (
	"fmt"
	"testing"
)

func BenchmarkThreads(b *testing.B) {
	for _, args := range [][]string{{"-XX:+UseSerialGC"}, {"-XX:+UseZGC"}} {
		for _, count := range []int{500, 2000} {
			b.Run(fmt.Sprint(args[0], " ", count), func(b *testing.B) {
				home, ok := jdks(b)["25"]
				if !ok {
					skip(b, "needs a JDK 25")
				}
				classes := mustCompile(b, home, "8", "../testdata/Named.java")
				p := mustRun(b, home, append(args, "-Xmx96m", "-cp", classes, "Named", fmt.Sprint(count))...)
				p.named(count + 1)
				vm, err := Attach(p.pid())
				if err != nil {
					b.Fatal(err)
				}
				b.Run("all", func(b *testing.B) {
					for b.Loop() {
						if threads, err := vm.Threads(); err != nil || len(threads) < count {
							b.Fatal(len(threads), err)
						}
					}
				})
				b.Run("one", func(b *testing.B) {
					for b.Loop() {
						if _, ok := vm.JavaThread(p.pid() + 1); !ok { // the main thread
							b.Fatal("no main thread")
						}
					}
				})
				stack := make([]byte, 8<<10)
				b.Run("mounts", func(b *testing.B) { // each stack of a JVM is asked
					for b.Loop() {
						if vm.Mounts(stack) {
							b.Fatal("zeros carry another")
						}
					}
				})
			})
		}
	}
}
