package tracer

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"vmaleak/vma"
)

// probe follows ourselves for a moment and expects to see a mapping come and go.
func (t *Tracer) probe() error {
	h := t.h
	p := &prober{want: uint64(unix.Getpagesize()) * 37}
	t.h = p
	defer func() { t.h = h }()
	pid := os.Getpid()
	if err := t.Follow(pid); err != nil {
		return err
	}
	mem, err := unix.Mmap(-1, 0, int(p.want), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("map a probe page: %w", err)
	}
	if err := unix.Munmap(mem); err != nil {
		return fmt.Errorf("unmap a probe page: %w", err)
	}
	for deadline := time.Now().Add(2 * time.Second); !p.seen() && time.Now().Before(deadline); {
		if err := t.Poll(time.Now().Add(5 * time.Millisecond)); err != nil {
			return err
		}
	}
	t.unfollow(pid)
	if t.opt.Stacks && t.Backend.NoStacks == "" && p.want >= t.opt.StackMin && p.stacks == 0 {
		t.Backend.NoStacks = "the stack of a call of our own did not arrive"
	}
	if !p.seen() {
		return fmt.Errorf("check %s on ourselves: of an mmap and a munmap it saw %d and %d", t.Backend.Mode, p.mmaps, p.munmaps)
	}
	return nil
}

// prober is the Handler of the self-test.
type prober struct {
	want           uint64
	mmaps, munmaps int
	stacks         int
}

func (*prober) Block(*Space, *Block)          {}
func (*prober) Open(*Space)                   {}
func (*prober) End(*Space, time.Time, string) {}
func (p *prober) Stack(_ *Space, _ uint32, raw *Stack) {
	if len(raw.Mem) > 0 {
		p.stacks++
	}
}
func (p *prober) Apply(_ *Space, ev *vma.Event, _ *vma.Delta) {
	switch {
	case ev.Len != p.want || ev.Failed():
	case ev.Op == vma.OpMmap:
		p.mmaps++
	case ev.Op == vma.OpMunmap:
		p.munmaps++
	}
}

func (p *prober) seen() bool { return p.mmaps > 0 && p.munmaps > 0 }
