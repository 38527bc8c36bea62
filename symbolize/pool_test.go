package symbolize

import (
	"testing"
	"unicode/utf8"
)

func TestPool(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"WorkerPetalGroup-9-5", "WorkerPetalGroup-9-#"},
		{"C2 CompilerThread0", "C2 CompilerThread#"},
		{"C1 CompilerThread12", "C1 CompilerThread#"},
		{"GC Thread#3", "GC Thread#"},
		{"G1 Conc#0", "G1 Conc#"},
		{"http-nio-8080-exec-12", "http-nio-8080-exec-#"},
		{"pool-2-thread-7", "pool-2-thread-#"},
		{"ForkJoinPool-1-worker-3", "ForkJoinPool-1-worker-#"},
		{"ForkJoinPool.commonPool-worker-7", "ForkJoinPool.commonPool-worker-#"},
		{"Thread-12", "Thread-#"},
		{"Thread-", "Thread-"},
		{"nioEventLoopGroup-3-1", "nioEventLoopGroup-3-#"},
		{"elasticsearch[node1][search][T#5]", "elasticsearch[node1][search][T#]"},
		{"RMI TCP Connection(5)-idle", "RMI TCP Connection(#)-idle"},
		{"I/O dispatcher 5", "I/O dispatcher #"},
		{"kafka-producer-network-thread | producer-1", "kafka-producer-network-thread | producer-#"},
		{"qtp1627960023-45", "qtp1627960023-#"},
		{"Camel (camel-1) thread #3 - timer://foo", "Camel (camel-1) thread # - timer://foo"},
		{"HikariPool-1 housekeeper", "HikariPool-# housekeeper"},
		{"G1 Service", "G1 Service"},
		{"G1 Main Marker", "G1 Main Marker"},
		{"VM Thread", "VM Thread"},
		{"main", "main"},
		{"WorkerPetalGrou", "WorkerPetalGrou"},
		{"Arbeiter-größe-3", "Arbeiter-größe-#"},
		{"äß7", "äß#"},
		{"12", "#"},
		{"#", "#"},
		{"#1", "#"},
		{"a1b", "a1b"},
		{"Reader-07", "Reader-#"},
		{"", ""},
	} {
		if got := Pool(c.name); got != c.want {
			t.Errorf("Pool(%q) = %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzPool(f *testing.F) {
	f.Add("pool-2-thread-7")
	f.Add("\xff1\xfe2")
	f.Fuzz(func(t *testing.T, name string) {
		got := Pool(name)
		if len(got) > len(name) {
			t.Errorf("Pool(%q) = %q is longer", name, got)
		}
		if utf8.ValidString(name) && !utf8.ValidString(got) {
			t.Errorf("Pool(%q) = %q is not UTF-8", name, got)
		}
	})
}
