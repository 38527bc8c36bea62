package tracer

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"vmaleak/bpf"
	"vmaleak/vma"
)

// BlockHandler is told of blocks of malloc, on the goroutine that calls Poll.
type BlockHandler interface {
	// Block tells of one call of s, which is open. The block must not be kept.
	Block(s *Space, b *Block)
}

// Block is what one call of malloc's family did. Blocks have ids, unique in
// their space, since an address is used again: so the order of calls does not matter.
type Block struct {
	ID        uint64    // of the block that the call gave, 0 if none is followed
	Gone      [2]uint64 // blocks that are no more: given to free or realloc; found missing where ID is now. 0 = none
	Addr      uint64
	Size      uint64 // that was asked for; of a free: of the block
	Failed    bool   // the call was refused
	Untracked bool   // there is a block, but no room to follow it
	Time      int64  // Unix time in nanoseconds, when the call began
	Thread    vma.Thread
	Stack     uint32 // a ticket, a Stack* reason, or 0: of the call
}

// BlockCounters counts what of a space's blocks was not followed.
type BlockCounters struct {
	Dropped   uint64 // records that found the ring full: Live tells what they would have
	Untracked uint64 // blocks for which there was no room, see Options.Live
	Missed    uint64 // calls whose return was not seen
}

// block hands the record of a block to the handler.
func (t *Tracer) block(s *Space, e *bpf.Event) error {
	b := Block{Addr: e.Addr, Size: e.Len, Gone: [2]uint64{e.Target}, Time: int64(e.TimeNs) + t.boot,
		Thread: vma.Thread{TID: e.Tid, Start: e.StartNs / uint64(clockTick)}}
	if e.Op == bpf.OpBlock {
		b.ID, b.Gone[1] = e.NewLen, uint64(e.Ret)
		b.Failed, b.Untracked = e.Flags == bpf.BlockFailed, e.Flags == bpf.BlockUntracked
	}
	switch {
	case e.Stack > bpf.StackTaken:
		b.Stack = uint32(e.Stack - bpf.StackTaken)
	case e.Stack == bpf.StackTaken:
		var err error
		if b.Stack, err = t.claimStack(s, e); err != nil {
			return err
		}
	}
	if !s.opened || t.opt.Blocks == nil {
		s.early++
		return nil
	}
	t.opt.Blocks.Block(s, &b)
	return nil
}

// tableBatch is how many blocks are taken out of the table at once.
const tableBatch = 1 << 12

// eachBlock calls f with each followed block of s that lives.
func (t *Tracer) eachBlock(s *Space, f func(k *bpf.BlockKey, b *bpf.Block)) error {
	table := t.coll.Maps[mapBlocks]
	if table == nil {
		return nil
	}
	var cursor ebpf.MapBatchCursor
	keys, values := make([]bpf.BlockKey, tableBatch), make([]bpf.Block, tableBatch)
	for {
		n, err := table.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read the table of blocks: %w", err)
		}
		for i := range keys[:n] {
			if keys[i].Mm == s.state.Mm && values[i].Gen == s.gen {
				f(&keys[i], &values[i])
			}
		}
		if err != nil {
			return nil
		}
	}
}

// Live is the blocks of s that live and are followed, without stacks, as the
// kernel half knows them: what is missing after a loss of records. What has been told of before
// the call and is not listed is gone; what is listed and was not told of may be told of yet.
func (t *Tracer) Live(s *Space) ([]Block, error) {
	var live []Block
	err := t.eachBlock(s, func(k *bpf.BlockKey, b *bpf.Block) {
		live = append(live, Block{ID: b.Id, Addr: k.Addr, Size: b.Size, Time: int64(b.TimeNs) + t.boot,
			Thread: vma.Thread{TID: b.Tid, Start: b.StartNs / uint64(clockTick)}})
	})
	return live, err
}

// leaveMalloc empties the table of an ended space's blocks, and takes the probes off its
// processes where they have ended.
func (t *Tracer) leaveMalloc(s *Space) {
	followed := false
	for _, pid := range s.PIDs {
		p := t.malloc.byPID[pid]
		if p == nil {
			continue
		}
		followed = true
		if s.exits[pid] && s.endedBy != "exec" {
			_ = p.close() // the process is gone, and with it the probes
			delete(t.malloc.byPID, pid)
		}
	}
	if !followed {
		return
	}
	var keys []bpf.BlockKey
	if err := t.eachBlock(s, func(k *bpf.BlockKey, _ *bpf.Block) { keys = append(keys, *k) }); err != nil {
		return // they are told from those of another space by its generation
	}
	for _, k := range keys {
		_ = t.coll.Maps[mapBlocks].Delete(k) // or it is gone already
	}
}

// MallocSince is since when blocks of the process are followed; zero if they are not.
func (t *Tracer) MallocSince(pid int) time.Time {
	if p := t.malloc.byPID[pid]; p != nil {
		return p.since
	}
	return time.Time{}
}
