package leak

import (
	"time"

	"vmaleak/vma"
)

// CategoryUse is the memory of one category, in bytes. Resident, Swap and Huge
// are of what was read, nil if nothing was; Unread is the committed rest.
type CategoryUse struct {
	Category  string  `json:"category"`
	Mapped    uint64  `json:"mapped"`
	Committed uint64  `json:"committed"`
	Resident  *uint64 `json:"resident"`
	Swap      *uint64 `json:"swap"`
	Huge      *uint64 `json:"huge"`
	Unread    uint64  `json:"unread"`
	Grew      *int64  `json:"grew"` // committed bytes acquired under trace: now less half-way through; nil: too short to tell
}

// Books sets what the kernel counts of a process against what the categories
// hold, in bytes: Anon = Categories + Outside + Unexplained.
type Books struct {
	Anon        *uint64    `json:"anon"`        // resident, of no file
	Categories  *uint64    `json:"categories"`  // resident, of the categories together
	Outside     *uint64    `json:"outside"`     // resident private pages of other rows: the main stack, written pages of files, what was made PROT_NONE
	Unexplained *int64     `json:"unexplained"` // negative where pages came after the kernel's count
	Unread      uint64     `json:"unread"`      // committed bytes that there was no time to look at
	OldestAt    *time.Time `json:"oldest_at"`   // when the oldest of the pages were counted
	File        *uint64    `json:"file"`
	Shmem       *uint64    `json:"shmem"`
	Swap        *uint64    `json:"swap"`
}

// use is a category in the making.
type use struct {
	mapped, committed uint64
	inMemory
}

// piece counts a part of a row, of one category.
func (b *builder) piece(category *string, length, committed uint64, m *inMemory) {
	for i := range Categories {
		if category == &Categories[i] {
			u := &b.uses[i]
			u.mapped += length
			u.committed += committed
			u.add(m)
		}
	}
}

// row counts a row by category, and says what it is for and what of it is in
// memory. One that nobody is known to have mapped may be several categories'.
func (b *builder) row(a *vma.Area, floating bool) (*string, inMemory) {
	if floating {
		category := categoryPointer(b.category(a))
		m := inMemory{unread: a.Committed()}
		b.piece(category, a.Len(), a.Committed(), &m)
		return category, m
	}
	var sum inMemory
	look := func(part vma.Range) (m inMemory) {
		if a.Prot != 0 {
			m = b.pages.of(part)
		}
		sum.add(&m)
		return m
	}
	if a.Op != 0 {
		category := categoryPointer(b.category(a))
		m := look(a.Range)
		b.piece(category, a.Len(), a.Committed(), &m)
		return category, m
	}
	var main *string
	var most uint64
	part := *a
	for part.Start < a.End {
		part.End = min(a.End, b.boundary(part.Start))
		m := look(part.Range)
		category := categoryPointer(b.category(&part))
		if part.Len() > most {
			main, most = category, part.Len()
		}
		b.piece(category, part.Len(), part.Committed(), &m)
		part.Start = part.End
	}
	return main, sum
}

// categories writes what was counted, and closes the books of the process.
func (b *builder) categories(f *Facts) {
	e := b.e
	e.Categories = []CategoryUse{}
	var sum inMemory
	for i := range b.uses {
		u := &b.uses[i]
		if u.mapped == 0 {
			continue
		}
		sum.add(&u.inMemory)
		c := CategoryUse{Category: Categories[i], Mapped: u.mapped, Committed: u.committed, Unread: u.unread}
		if b.read && (u.unread < u.committed || u.committed == 0) {
			c.Resident, c.Swap = &u.resident, &u.swap
			if !u.hugeUnknown {
				c.Huge = &u.huge
			}
		}
		e.Categories = append(e.Categories, c)
	}
	e.Books = Books{Anon: e.Totals.Resident, Unread: sum.unread, OldestAt: date(b.pages.oldest)}
	if f.Memory != nil {
		e.Books.File, e.Books.Shmem, e.Books.Swap, e.Books.Outside = f.Memory.File, f.Memory.Shmem, f.Memory.Swap, f.Memory.Outside
	}
	if !b.read {
		return
	}
	e.Books.Categories = &sum.resident
	if bk := &e.Books; bk.Anon != nil && bk.Outside != nil && bk.Unread == 0 {
		rest := int64(*bk.Anon) - int64(*bk.Outside) - int64(sum.resident)
		bk.Unexplained = &rest
	}
}
