package tracer

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"vmaleak/bpf"
)

// states is the counters of all spaces, shared with the kernel half: read by
// plain loads, since a bpf(2) call on the hot path makes tracepoint programs
// of preemptible kernels miss events.
type states struct {
	mem []byte
	all []bpf.SpaceState
}

func openStates(m *ebpf.Map) (*states, error) {
	size := int(m.ValueSize()) * int(m.MaxEntries())
	page := unix.Getpagesize()
	mem, err := unix.Mmap(m.FD(), 0, (size+page-1)/page*page, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the counters of the kernel half: %w", err)
	}
	return &states{mem, unsafe.Slice((*bpf.SpaceState)(unsafe.Pointer(&mem[0])), m.MaxEntries())}, nil
}

func (s *states) close() error {
	if s == nil || s.mem == nil {
		return nil
	}
	mem := s.mem
	s.mem, s.all = nil, nil
	return unix.Munmap(mem)
}

// quiet returns the last number drawn if every number drawn has been reported
// at this instant, in that order: completed first.
func quiet(st *bpf.SpaceState) (seq uint64, ok bool) {
	completed := atomic.LoadUint64(&st.Completed)
	seq = atomic.LoadUint64(&st.Lockseq)
	return seq, completed == seq
}

// losses is the numbers of st that the kernel half knows to be lost.
func losses(st *bpf.SpaceState) uint64 {
	return atomic.LoadUint64(&st.Dropped) + atomic.LoadUint64(&st.Missed)
}
