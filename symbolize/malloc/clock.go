package malloc

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// clock is the time that a reading takes: of the processor, or a tenth of all if that is more. So a busy host
// neither cuts a reading short nor lets it last for ever.
type clock struct {
	began time.Time
	cpu   time.Duration
}

// startClock starts a clock and binds the goroutine to its thread until stop.
func startClock() *clock {
	runtime.LockOSThread()
	return &clock{time.Now(), threadTime()}
}

func (c *clock) stop() { runtime.UnlockOSThread() }

func (c *clock) used() time.Duration { return max(threadTime()-c.cpu, time.Since(c.began)/10) }

func threadTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
