package symbolize

import (
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of start times in /proc/PID/stat: USER_HZ is 100 on every
// architecture this project supports.
const tick = time.Second / 100

// bootTicks is the age of the host in ticks, rounded down, by the same clock
// as start times in /proc/PID/stat (CLOCK_BOOTTIME, in our time namespace).
func bootTicks() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return uint64(ts.Nano()) / uint64(tick)
}

// bootTime is the wall-clock time of the host's start as of now. It moves when
// the wall clock is set.
func bootTime() time.Time {
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(boot.Nano()))
}

// timeOf is the wall-clock time of a start time, exact to one tick.
func timeOf(boot time.Time, ticks uint64) time.Time {
	return boot.Add(time.Duration(ticks) * tick).Round(tick).UTC()
}
