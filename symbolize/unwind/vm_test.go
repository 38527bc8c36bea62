package unwind

import (
	"errors"
	"testing"
	"time"

	"vmaleak/symbolize/hotspot"
)

func TestVMThatIsSlowAndFailsDoesNotTakeAllTheTime(t *testing.T) {
	tries := 0
	attachVM = func(int) (*hotspot.VM, error) {
		tries++
		for began := time.Now(); time.Since(began) < vmAgain; { // as a table without end does
		}
		return nil, errors.New("the table has no end")
	}
	t.Cleanup(func() { attachVM = hotspot.Attach })
	v := &virtualMachine{}
	areas := []area{{name: "/x/libjvm.so"}}
	began := time.Now()
	for time.Since(began) < 10*vmAgain {
		if v.attach(areas); !v.later {
			t.Fatal("it is given up, or read")
		}
	}
	if tries > 2 {
		t.Errorf("%d attempts in the time of 10", tries)
	}
	v.tried = v.tried.Add(-8 * v.took)
	if v.attach(areas); tries < 2 {
		t.Error("it is not tried again")
	}
}
