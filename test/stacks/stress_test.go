package stacks

import "testing"

func TestEveryKindOfStack(t *testing.T) {
	for _, version := range []string{"17", "25"} {
		home := needAll(t, version)
		for name, flags := range map[string][]string{"default": nil, "interpreted": {"-Xint"}} {
			t.Run("JDK "+version+" "+name, func(t *testing.T) {
				told, rec := mustRun(t, home, flags, []string{"seconds=5", "rate=200"})
				compare(told, rec).check(t)
			})
		}
	}
}
