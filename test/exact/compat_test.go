package exact

import (
	"errors"
	"os/exec"
	"testing"
)

// hasInt80 asks the workload, which ends with code 4 where 32-bit calls are not answered.
func hasInt80(tb testing.TB) bool {
	tb.Helper()
	err := exec.Command(must[string](tb)(buildStress()), "--mode", "compat", "--calls", "8", "--quiet", "0").Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 4 {
		return false
	}
	if err != nil {
		tb.Fatalf("stress --mode compat: %v", err)
	}
	return true
}
