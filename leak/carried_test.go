package leak

import (
	"testing"
	"time"

	"vmaleak/vma"
)

func TestVirtualThreadsCountToTheirOwnPool(t *testing.T) {
	b := newBench(t, Options{Stack: numbered, Warmup: time.Second})
	carrier := "ForkJoinPool-1-worker-4"
	facts := []ThreadFacts{{Thread: tid(1), Name: &carrier, Alive: true}, {Thread: tid(2), Name: &carrier, Alive: true}}
	b.with(1, func() { b.mmap(tid(1), 0x100000, 4*page, rw) })
	at := uint64(0x10000000)
	for i := range uint32(40) {
		ticket := vma.Ticket + i
		b.with(ticket, func() { b.mmap(tid(1+int(i%2)), at, 300*page, rw) })
		if i%10 == 0 {
			b.mprotect(tid(1), at, 100*page, 0)
		}
		b.now = b.now.Add(time.Second)
		b.l.Resolve(ticket, 2)
		at += 400 * page
	}
	e := b.entry(facts...)
	if len(e.Pools) != 2 {
		t.Fatalf("pools are %+v", e.Pools)
	}
	task, own := e.Pools[0], e.Pools[1]
	if task.Name != "task-2" || !task.Virtual || task.Threads != 2 || task.Mappings != 40 || task.Outstanding != 40*300*page || task.Committed != 11600*page {
		t.Errorf("the pool of the virtual threads is %+v", task)
	}
	if task.Growth.PerHour == nil || len(task.Stacks) != 1 || id(task.Stacks[0].Stack) != "2" || task.Stacks[0].Committed != task.Committed {
		t.Errorf("it grows by %+v with the stacks %+v", task.Growth, task.Stacks)
	}
	if own.Name != "ForkJoinPool-1-worker-#" || own.Virtual || own.Threads != 1 || own.Outstanding != 4*page || own.Growth.PerHour != nil {
		t.Errorf("the carriers' pool is %+v", own)
	}
	th := e.Threads[0]
	if th.Outstanding != 20*300*page+4*page || len(th.Carried) != 1 || th.Carried[0].Pool != "task-2" || th.Carried[0].Outstanding != 20*300*page || th.Growth == nil {
		t.Errorf("a carrier is %+v", th)
	}
	b.munmap(tid(2), 0x10000000, 40*400*page)
	b.munmap(tid(2), 0x100000, 4*page)
	e = b.entry(ThreadFacts{Thread: tid(9), Alive: true})
	if len(e.Threads) != 1 || len(e.Pools) != 0 || e.ThreadsGone != (ThreadsGone{2, 40*300*page + 4*page, 40*300*page + 4*page}) {
		t.Errorf("threads %+v, pools %+v, gone %+v", e.Threads, e.Pools, e.ThreadsGone)
	}
}

func TestTasksOfOneThreadAreBounded(t *testing.T) {
	name := func(n uint32) *Stack {
		st := numbered(1)
		st.ID = string(rune('a' + n))
		st.Task = &st.ID
		return st
	}
	b := newBench(t, Options{Stack: name})
	for i := range uint32(3 * maxCarried) {
		b.with(i+1, func() { b.mmap(tid(1), 0x100000+uint64(i)*8*page, 4*page, rw) })
	}
	if e := b.entry(); len(e.Threads[0].Carried) != maxCarried || len(e.Pools) != maxCarried+1 {
		t.Errorf("%d tasks, %d pools", len(e.Threads[0].Carried), len(e.Pools))
	}
	b.munmap(tid(1), 0x100000, 3*maxCarried*8*page)
	want(t, "outstanding", b.entry().Totals.Outstanding, 0)
}

func TestStacksWithEqualFramesOfTwoPools(t *testing.T) {
	b := newBench(t, Options{Stack: func(n uint32) *Stack {
		st := numbered(n%2 + 2)
		st.ID = "same"
		return st
	}})
	b.with(1, func() { b.mmap(tid(1), 0x100000, 4*page, rw) })
	b.with(2, func() { b.mmap(tid(1), 0x200000, 8*page, rw) })
	e := b.entry()
	if len(e.Stacks) != 1 || e.Stacks[0].Task != nil {
		t.Errorf("stacks %+v", e.Stacks)
	}
	if len(e.Pools) != 2 || e.Pools[0].Name != "task-2" || e.Pools[0].Outstanding != 8*page || e.Pools[1].Name != "task-3" {
		t.Errorf("pools %+v", e.Pools)
	}
	if len(e.Accounts) != 2 || id(e.Accounts[0].Task) != "task-2" || id(e.Accounts[1].Task) != "task-3" {
		t.Errorf("accounts %+v", e.Accounts)
	}
}
