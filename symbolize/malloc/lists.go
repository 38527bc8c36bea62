package malloc

// list is the walk of one list of free blocks.
type list struct {
	a      *arena
	fast   int    // number of a fast list, -1 of a bin
	near   bool   // its blocks are small: the next one is often in the same page
	head   uint64 // of a bin: itself, seen as a block; of a fast list 0
	at     uint64 // the block to be read next; head: the end
	anew   bool   // at is to be read first
	prev   uint64 // the block read before, or head
	before uint64 // the one before that; 0: not known
	blocks []block
	bytes  uint64
	best   []block // the most that an earlier attempt found
	failed int
	absent int    // of failed: a block was not in memory
	stuck  int    // after how many blocks it went one back the last time: there it does not do so again
	why    string // why it ended early

	// What was read last of the process's memory, from base on: the next block is often near.
	base uint64
	page []byte
}

// Why a list was not read to its end.
const (
	changing = "its lists change faster than they can be read"
	swapped  = "blocks that are not in memory are not read"
	tooMany  = "it has more free blocks than are looked at"
	tooLong  = "there was no time to read all its lists"
)

const (
	headerBytes = 32 // of a free block: sizes and links
	maxFailed   = 64 // how often a walk may go back
)

// bin is the walk of bin i; 0 is the one whose blocks have not been sorted yet.
func (a *arena) bin(i int) *list {
	self := a.bins + uint64(16*i) - 16
	return &list{a: a, fast: -1, near: i > 0 && i <= smallBins, head: self, prev: self, at: a.word(16 * i)}
}

// fastList is the walk of fast list i.
func (a *arena) fastList(i int) *list {
	return &list{a: a, fast: i, near: true, at: a.word(a.fastWord(i))}
}

func (a *arena) fastWord(i int) int { return 8*i - topBefore - fastBytes }

// done reports whether the walk is over.
func (l *list) done() bool { return l.why != "" || !l.anew && l.at == l.head }

// anchor is where the link to the list's first block is.
func (l *list) anchor() uint64 {
	if l.fast >= 0 {
		return l.a.bins + uint64(l.a.fastWord(l.fast))
	}
	return l.head + 16
}

// window is the memory to be read for the next block: its header, or its page if that may hold more of the list.
func (l *list) window() (from, n uint64) {
	from = l.at &^ (pageSize - 1)
	if !l.near || l.at-from > pageSize-headerBytes {
		return l.at, headerBytes
	}
	return from, pageSize
}

// advance goes as far as what was read last leads.
func (l *list) advance() {
	for !l.done() && l.at >= l.base && l.at-l.base+headerBytes <= uint64(len(l.page)) {
		header := l.page[l.at-l.base:][:headerBytes]
		size := le64(header[8:])
		b := block{l.at, size &^ 7}
		next, ok := l.next(size, le64(header[16:]), le64(header[24:]))
		if !ok || !l.a.owns(b) || l.bytes+b.size > l.a.system {
			l.back()
			return
		}
		l.blocks, l.bytes = append(l.blocks, b), l.bytes+b.size
		l.before, l.prev, l.at = l.prev, l.at, next
	}
}

// next checks a block's header and returns the block after it.
func (l *list) next(size, next, prev uint64) (uint64, bool) {
	const prevInUse, mapped = 1, 2
	if l.fast < 0 { // neighbours that are free would have been merged with it
		fits := size&(prevInUse|mapped) == prevInUse && prev == l.prev
		return next, fits && (next == l.head || l.a.owns(block{next, minBlock}))
	}
	if int(size>>4)-2 != l.fast {
		return 0, false
	}
	// Since 2.32 a link is masked with its own place. Only one of both readings leads into the arena.
	for _, link := range [...]uint64{next ^ (l.at+16)>>12, next} {
		if link == 0 || l.a.owns(block{link, minBlock}) {
			return link, true
		}
	}
	return 0, false
}

// back goes one block back, or to the head, since what was read does not fit: the list has changed.
func (l *list) back() {
	l.page = nil
	if l.failed++; l.failed > maxFailed {
		l.why = changing
		return
	}
	if n := len(l.blocks); l.fast < 0 && l.before != 0 && l.prev != l.head && n != l.stuck {
		l.stuck = n
		last := l.blocks[len(l.blocks)-1]
		l.blocks, l.bytes = l.blocks[:len(l.blocks)-1], l.bytes-last.size
		l.at, l.prev, l.before = l.prev, l.before, 0
		return
	}
	if len(l.blocks) > len(l.best) {
		l.blocks, l.best = l.best, l.blocks
	}
	l.stuck = 0
	l.anew, l.prev, l.before, l.blocks, l.bytes = true, l.head, 0, l.blocks[:0], 0
}
