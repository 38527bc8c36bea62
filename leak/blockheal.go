package leak

import (
	"time"

	"vmaleak/vma"
)

// HealBlocks makes good the loss of records: live is all blocks that live, by
// whoever knows. What is not among them is gone; what was not known is booked, without a stack.
func (s *Space) HealBlocks(live []Block, at time.Time) {
	if s.endedBy != "" {
		return
	}
	k := s.blockBooks()
	k.tracedAt = max(at.UnixNano(), k.tracedAt)
	there := make(map[uint64]bool, len(live))
	for i := range live {
		there[live[i].ID] = true
	}
	for id := range k.live { // first: it makes room for accounts
		if !there[id] {
			k.healed++
			k.gone(s, id, vma.Thread{}, true)
		}
	}
	for _, b := range k.live {
		if b.mixed && b.account != nil {
			k.unbook(b)
			k.book(b, b.stack)
		}
	}
	for i := range live {
		if k.live[live[i].ID] == nil {
			k.healed++
			k.give(s, &live[i])
		}
	}
	k.mark(k.tracedAt)
}

// unbook takes a block out of its account, as if it had never been there.
func (k *blocks) unbook(b *block) {
	a := b.account
	a.count--
	a.bytes -= b.size
	a.given--
	a.givenBytes -= b.size
	a.track.add(k.tracedAt, int64(a.bytes), a.count)
	b.account = nil
}
