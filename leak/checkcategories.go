package leak

import (
	"fmt"
	"slices"
)

// checkCategories holds the categories and the books of a process to their
// sums. An export of an older program has none.
func (e *Entry) checkCategories() error {
	if len(e.Categories) == 0 {
		return nil
	}
	var mapped, committed, resident, unread uint64
	last := -1
	for i := range e.Categories {
		c := &e.Categories[i]
		at := slices.Index(Categories[:], c.Category)
		if at <= last {
			return fmt.Errorf("category %q is no category, or not in order", c.Category)
		}
		last = at
		mapped += c.Mapped
		committed += c.Committed
		unread += c.Unread
		switch {
		case c.Committed > c.Mapped || c.Unread > c.Committed:
			return fmt.Errorf("category %s: %d of %d bytes committed, %d of these unread", c.Category, c.Committed, c.Mapped, c.Unread)
		case (c.Resident == nil) != (c.Swap == nil) || c.Huge != nil && c.Resident == nil:
			return fmt.Errorf("category %s: some of its pages are known, some not", c.Category)
		case c.Resident == nil && c.Unread != c.Committed:
			return fmt.Errorf("category %s: %d of %d bytes unread, yet what is resident is not known", c.Category, c.Unread, c.Committed)
		case c.Resident == nil:
			continue
		}
		resident += *c.Resident
		if *c.Resident+*c.Swap > c.Committed-c.Unread || c.Huge != nil && *c.Huge > *c.Resident {
			return fmt.Errorf("category %s: more in memory than its %d bytes that were read", c.Category, c.Committed-c.Unread)
		}
	}
	if t := &e.Totals; mapped != t.Mapped || committed != t.Committed {
		return fmt.Errorf("categories are %d bytes, %d committed; totals %d and %d", mapped, committed, t.Mapped, t.Committed)
	}
	b := &e.Books
	if b.Categories != nil && *b.Categories != resident || b.Unread != unread {
		return fmt.Errorf("categories hold %d bytes in memory, %d unread; the books say otherwise", resident, unread)
	}
	if b.Unexplained != nil {
		if b.Anon == nil || b.Categories == nil || b.Outside == nil {
			return fmt.Errorf("%d bytes are unexplained, of what is not known", *b.Unexplained)
		}
		if sum := int64(*b.Categories) + int64(*b.Outside) + *b.Unexplained; sum != int64(*b.Anon) {
			return fmt.Errorf("the books add up to %d bytes, not to the %d of the process", sum, *b.Anon)
		}
	}
	return nil
}

// checkPages returns an error if m has more in memory than it is long.
func (m *Mapping) checkPages() error {
	switch {
	case (m.Resident == nil) != (m.Swap == nil) || m.Huge != nil && m.Resident == nil:
		return fmt.Errorf("some of its pages are known, some not")
	case m.Resident != nil && *m.Resident+*m.Swap > m.Length:
		return fmt.Errorf("%d bytes resident and %d in swap of %d", *m.Resident, *m.Swap, m.Length)
	case m.Huge != nil && *m.Huge > *m.Resident:
		return fmt.Errorf("%d bytes of huge pages of %d resident", *m.Huge, *m.Resident)
	}
	return nil
}
