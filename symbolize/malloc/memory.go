package malloc

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// request is bytes to be read at an address. ok: all of them were.
type request struct {
	addr uint64
	buf  []byte
	ok   bool
}

// memory is what is known of a process's memory from outside.
type memory interface {
	// read fills the requests; one of which a byte cannot be read is not ok.
	read(requests []request) error
	// present reports of each page from addr on whether it is in memory.
	present(addr uint64, pages []bool) error
}

const maxVector = 1024 // IOV_MAX

// process is the memory of a running process. Its descriptor of pagemap belongs to one address space.
type process struct {
	pid     int
	pagemap *os.File
	buf     []byte
	local   []unix.Iovec
	remote  []unix.RemoteIovec
}

func openProcess(pid int) (*process, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/pagemap")
	if err != nil {
		return nil, gone(fmt.Errorf("find out which pages of process %d are in memory: %w", pid, err))
	}
	return &process{pid: pid, pagemap: f}, nil
}

// gone makes an error that means the end of the process recognisable.
func gone(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return err
}

func (p *process) read(requests []request) error {
	for len(requests) > 0 {
		n, err := p.some(requests[:min(len(requests), maxVector)])
		if err != nil {
			return err
		}
		requests = requests[n:]
	}
	return nil
}

// some reads up to the first request that fails, and returns how many are settled.
func (p *process) some(requests []request) (int, error) {
	p.local, p.remote = p.local[:0], p.remote[:0]
	for i := range requests {
		r := &requests[i]
		r.ok = false
		p.local = append(p.local, unix.Iovec{Base: &r.buf[0], Len: uint64(len(r.buf))})
		p.remote = append(p.remote, unix.RemoteIovec{Base: uintptr(r.addr), Len: len(r.buf)})
	}
	n, err := unix.ProcessVMReadv(p.pid, p.local, p.remote, 0)
	if err != nil && !errors.Is(err, unix.EFAULT) {
		return 0, gone(fmt.Errorf("read memory of process %d: %w", p.pid, err))
	}
	for i := range requests {
		if n < len(requests[i].buf) {
			return i + 1, nil // this one is not there
		}
		requests[i].ok = true
		n -= len(requests[i].buf)
	}
	return len(requests), nil
}

const (
	pagePresent = 1 << 63 // of an entry of pagemap
	pagemapRead = 16384   // entries read at once
)

func (p *process) present(addr uint64, pages []bool) error {
	if addr >= 1<<56 {
		return fmt.Errorf("page %#x: out of range", addr)
	}
	if p.buf == nil {
		p.buf = make([]byte, 8*pagemapRead)
	}
	for at := 0; at < len(pages); {
		some := pages[at:min(at+pagemapRead, len(pages))]
		n, err := p.pagemap.ReadAt(p.buf[:8*len(some)], int64(addr/pageSize+uint64(at))*8)
		if n < 8 {
			return gone(fmt.Errorf("read pagemap of process %d: %w", p.pid, errors.Join(err, unix.ESRCH)))
		}
		for i := range n / 8 {
			some[i] = le64(p.buf[8*i:])&pagePresent != 0
		}
		at += n / 8
	}
	return nil
}
