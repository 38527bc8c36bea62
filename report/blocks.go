package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"vmaleak/leak"
)

// How many pools of blocks are shown, and places of each.
const (
	blockPools  = 3
	blockPlaces = 2
)

// blocks writes the blocks of malloc: inside mappings, so that no sum above has them.
func (t *screen) blocks(e *leak.Entry) {
	k := e.Blocks
	if k == nil {
		return
	}
	if k.Since == nil {
		t.line("blocks of malloc are not followed: " + cut(value(k.Because), 400))
		return
	}
	text := fmt.Sprintf("blocks of malloc from %s on: %s live, %s; %s given, %s freed", size(k.MinSize), exact(k.Live),
		size(k.Bytes), exact(k.Given), exact(k.Freed))
	if k.FreedByOther > 0 {
		text += fmt.Sprintf(", %s of them by other threads", exact(k.FreedByOther))
	}
	if k.Failed > 0 {
		text += fmt.Sprintf("; %s refused", exact(k.Failed))
	}
	if k.Growth.PerHour != nil {
		text += fmt.Sprintf("; grows %s/h", mebibytes(uint64(max(*k.Growth.PerHour, 0)), 0))
	}
	t.line(text)
	if k.Because != nil {
		t.line(" not exact: " + cut(*k.Because, 400))
	}
	if n := k.Inherited; n != nil {
		t.line(fmt.Sprintf(" and about %s, %s, of its parent from before the fork: which of them live is not known", plural(n.Count, "block"), size(n.Bytes)))
	}
	if text := blockCost(k, cmp.Or(e.EndedAt, t.s.EndedAt)); text != "" {
		t.line(" " + text)
	}
}

// blocksFrom writes where the pools that hold most asked for their blocks.
func (t *screen) blocksFrom(e *leak.Entry) {
	k := e.Blocks
	if k == nil {
		return
	}
	byID := make(map[string]*leak.Stack, len(e.Stacks))
	for i := range e.Stacks {
		byID[e.Stacks[i].ID] = &e.Stacks[i]
	}
	pools := poolsOfBlocks(k)
	for i := range pools[:min(len(pools), blockPools)] {
		p := &pools[i]
		if p.Committed == 0 || p.Committed < t.o.MinSize {
			break
		}
		t.poolBlocks(e, p, places(p, byID, judgeOf(e), t.o.FullStacks))
	}
}

// poolsOfBlocks is the accounts of blocks by pool, as if they were mappings: most bytes first.
func poolsOfBlocks(k *leak.Blocks) []leak.Pool {
	var pools []leak.Pool
	index := map[string]int{}
	for i := range k.Accounts {
		a := &k.Accounts[i]
		name := value(a.Pool)
		at, ok := index[name]
		if !ok {
			at = len(pools)
			index[name] = at
			pools = append(pools, leak.Pool{Name: name, Size: a.Size})
		}
		p := &pools[at]
		p.Committed += a.Bytes
		p.Mappings += a.Live
		p.Released += a.FreedBytes
		p.Stacks = append(p.Stacks, leak.PoolStack{Stack: a.Stack, Outstanding: a.Bytes, Committed: a.Bytes, Mappings: a.Live,
			Released: a.FreedBytes, LastAt: a.LastAt})
	}
	slices.SortStableFunc(pools, func(a, b leak.Pool) int {
		return cmp.Or(cmp.Compare(b.Committed, a.Committed), cmp.Compare(a.Name, b.Name))
	})
	return pools
}

// poolBlocks writes the places where the threads of one pool asked for the blocks that live.
func (t *screen) poolBlocks(e *leak.Entry, p *leak.Pool, places []place) {
	t.WriteByte('\n')
	t.line(fmt.Sprintf("%s: %s, %s, live; %s freed", poolName(p.Name), plural(p.Mappings, "block"), size(p.Committed), size(p.Released)))
	shown := uint64(0)
	for i := range places[:min(len(places), blockPlaces)] {
		at := &places[i]
		if i > 0 && at.Committed < p.Committed/100 {
			break
		}
		shown += at.Committed
		text := fmt.Sprintf(" %s in %s, %s freed, last %s", size(at.Committed), plural(at.Mappings, "block"), size(at.Released),
			clock(at.LastAt, cmp.Or(e.EndedAt, t.s.EndedAt)))
		if at.stack == nil {
			t.line(text + ", without a stack")
			continue
		}
		if at.alike > 1 {
			text += fmt.Sprintf(", %d accounts alike", at.alike)
		}
		t.line(text)
		t.stack(at)
	}
	if rest := p.Committed - min(shown, p.Committed); rest > 0 {
		t.line(fmt.Sprintf(" and %s elsewhere", size(rest)))
	}
}

// blockCost says what following blocks costs the target, "" if nothing was called.
func blockCost(k *leak.Blocks, until *time.Time) string {
	if k.Since == nil || until == nil || k.Cost.Calls == 0 {
		return ""
	}
	watched := until.Sub(*k.Since).Seconds()
	if watched <= 0 {
		return ""
	}
	perSecond := float64(k.Cost.Calls) / watched
	text := fmt.Sprintf("cost: %s calls/s of any size stop at a probe", exact(uint64(perSecond+0.5)))
	if k.Cost.CallNS == nil || k.Cost.TrackedNS == nil {
		return text
	}
	followed := min(k.Given+k.Freed, k.Cost.Calls)
	ns := float64(k.Cost.Calls-followed)*float64(*k.Cost.CallNS) + float64(followed)*float64(*k.Cost.TrackedNS)
	return text + fmt.Sprintf(", about %s each (%s if followed): %.2g %% of one processor", micros(*k.Cost.CallNS),
		micros(*k.Cost.TrackedNS), ns/1e9/watched*100)
}

// micros is a short time.
func micros(ns int64) string { return fmt.Sprintf("%.1f µs", float64(ns)/1e3) }

// regime says that growth is seen late, and what sees it.
func (t *screen) regime(e *leak.Entry) {
	r := e.MallocRegime
	if r == nil {
		return
	}
	text := "arena reuse: growth is seen late"
	switch {
	case r.Threshold != nil:
		text += fmt.Sprintf(": blocks of up to %s at least come from malloc's arenas, since %s", size(*r.Threshold), clock(r.Since, cmp.Or(e.EndedAt, t.s.EndedAt)))
		if r.Reusable != nil {
			text += fmt.Sprintf("; %s are free in them", size(*r.Reusable))
		}
	case r.Reusable != nil:
		text += fmt.Sprintf(": %s are free in malloc's arenas, and what comes from there makes no system call", size(*r.Reusable))
	}
	if e.Blocks == nil {
		text += "; --malloc SIZE sees each block"
	}
	t.line(text)
}
