package stacks

import (
	"os"
	"testing"
	"time"
)

// mode is a way to start the JVM.
type mode struct {
	name  string
	flags []string
	jdk   string // the only one that has it; empty: both
	soak  bool   // only run in a soak
}

var modes = []mode{
	{name: "default"},
	{name: "interpreted", flags: []string{"-Xint"}},
	{name: "C1", flags: []string{"-XX:TieredStopAtLevel=1"}, soak: true},
	{name: "C2", flags: []string{"-XX:-TieredCompilation"}, soak: true},
	{name: "ZGC", flags: []string{"-XX:+UseZGC"}, soak: true},
	{name: "Shenandoah", flags: []string{"-XX:+UseShenandoahGC"}, soak: true},
	{name: "Serial", flags: []string{"-XX:+UseSerialGC"}, soak: true},
	{name: "Parallel", flags: []string{"-XX:+UseParallelGC"}, soak: true},
	{name: "compact headers", flags: []string{"-XX:+UseCompactObjectHeaders"}, jdk: "25", soak: true},
}

var soak = os.Getenv("VMALEAK_SOAK") != ""

// eachMode runs a test in every mode of a JDK; a short run leaves most of them to the soak.
func eachMode(t *testing.T, jdk string, run func(t *testing.T, home string, flags []string)) {
	home := needAll(t, jdk)
	for _, m := range modes {
		if m.jdk != "" && m.jdk != jdk || m.soak && !soak {
			continue
		}
		t.Run("JDK "+jdk+" "+m.name, func(t *testing.T) { run(t, home, m.flags) })
	}
}

func seconds(short, long string) string {
	if soak {
		return "seconds=" + long
	}
	return "seconds=" + short
}

func TestEveryStackIsTheOneThatTheJVMSaw(t *testing.T) {
	for _, jdk := range []string{"17", "25"} {
		eachMode(t, jdk, func(t *testing.T, home string, flags []string) {
			told, rec := mustRun(t, home, flags, []string{seconds("4", "30"), "rate=150", "run=real"})
			compare(told, rec).check(t)
		})
	}
}

// A virtual thread's callers are in the heap only until it returns to them. So each lingers under its block, as one
// that goes on calling does; where it has returned none the less, the stack has to say so.
func TestCallersOfAVirtualThreadAreFoundInTheHeap(t *testing.T) {
	parks := "parks=1,5"
	if soak {
		parks = "parks=1,5,20,100"
	}
	eachMode(t, "25", func(t *testing.T, home string, flags []string) {
		flags = append([]string{"--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED", "-Djdk.virtualThreadScheduler.parallelism=4"}, flags...)
		told, rec := mustRun(t, home, flags, []string{seconds("4", "30"), "rate=60", "linger=50", "run=virtual", parks})
		got := compare(told, rec)
		got.checkVirtual(t)
	})
}

// Threads that return at once are mostly too fast to be followed into the heap: never is a frame missing unsaid.
func TestAVirtualThreadThatReturnsAtOnceIsNeverCutSilently(t *testing.T) {
	home := needAll(t, "25")
	told, rec := mustRun(t, home, nil, []string{seconds("4", "30"), "rate=200", "run=virtual", "parks=1,7"})
	got := compare(told, rec)
	t.Log(got)
	if got.wrong > 0 || got.missing > 0 || got.blocks == 0 {
		t.Error(got.text())
	}
}

func TestTenThousandStacksAtTwoThousandASecond(t *testing.T) {
	if !soak {
		t.Skip("measures this machine: make soak runs it")
	}
	for _, jdk := range []string{"17", "25"} {
		t.Run("JDK "+jdk, func(t *testing.T) {
			told, rec := mustRun(t, needAll(t, jdk), nil, []string{"seconds=12", "rate=2000", "max=10000", "run=plain,lambda,reflect,handle,recurse-3,recurse-60"})
			got := compare(told, rec)
			got.check(t)
			t.Logf("%.0f a second", float64(got.blocks)/time.Duration(rec.last-rec.first).Seconds())
			if got.blocks != 10000 {
				t.Errorf("the program has made %d blocks only: the machine is too busy", got.blocks)
			}
		})
	}
}
