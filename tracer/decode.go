package tracer

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vmaleak/bpf"
	"vmaleak/vma"
)

// eventFromBPF views a ring sample as the record that it is.
func eventFromBPF(sample []byte) (*bpf.Event, error) {
	if len(sample) < int(unsafe.Sizeof(bpf.Event{})) {
		return nil, fmt.Errorf("the ring holds a record of %d bytes: the two halves are of different versions; run make generate build", len(sample))
	}
	return (*bpf.Event)(unsafe.Pointer(&sample[0])), nil
}

// clockTick is the unit of start times in /proc: USER_HZ is 100 on every Linux that BPF runs on.
const clockTick = int64(time.Second) / 100

// record converts the wire's event. Times become Unix times, start times clock ticks.
func (t *Tracer) record(e *bpf.Event) record {
	return record{
		ev: vma.Event{
			Seq: e.Seq, Time: int64(e.TimeNs) + t.boot, Op: vma.Op(e.Op),
			Addr: e.Addr, Len: e.Len, NewLen: e.NewLen, Target: e.Target, Ret: e.Ret,
			Prot: e.Prot, Flags: e.Flags,
			Thread: vma.Thread{TID: e.Tid, Start: e.StartNs / uint64(clockTick)},
		},
		tgid: e.Tgid,
	}
}

// syncClock measures the distance between the kernel's monotonic clock and Unix time.
func (t *Tracer) syncClock() {
	var ts unix.Timespec
	before := time.Now().UnixNano()
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) == nil {
		t.boot = (before+time.Now().UnixNano())/2 - ts.Nano()
	}
}
