package leak

import (
	"fmt"
	"time"
)

// MallocFacts is what glibc's malloc of a process holds free, as it was read from outside.
type MallocFacts struct {
	At             time.Time // when
	Arenas         []Arena   // the main one first
	UnknownBecause string    // why nothing was read: another malloc, or no right to. Then there are no arenas
}

// Malloc is what malloc holds free of the memory that it got: freed by the program, and not given back.
type Malloc struct {
	At             *time.Time  `json:"at"`
	UnknownBecause *string     `json:"unknown_because"` // nothing is known then, and the lists are empty
	Uses           []MallocUse `json:"uses"`            // by category: malloc-arena and brk-heap, where they are
	Arenas         []Arena     `json:"arenas"`
}

// MallocUse is the sum of the arenas of one category.
type MallocUse struct {
	Category     string  `json:"category"`
	Arenas       int     `json:"arenas"`
	Committed    uint64  `json:"committed"`
	Free         uint64  `json:"free"`
	FreeResident uint64  `json:"free_resident"`
	KeptResident uint64  `json:"kept_resident"`
	Incomplete   *string `json:"incomplete"` // why the sums are lower bounds
}

// malloc writes what is known of malloc's arenas.
func (b *builder) malloc(f *MallocFacts) {
	if f == nil {
		return
	}
	m := &Malloc{At: b.date(f.At), UnknownBecause: text(f.UnknownBecause), Uses: []MallocUse{}, Arenas: []Arena{}}
	b.e.Malloc = m
	for _, a := range f.Arenas {
		a.Incomplete = cleaned(a.Incomplete)
		a.Heaps = append([]Addr{}, a.Heaps...)
		m.Arenas = append(m.Arenas, a)
		m.use(a.category()).add(&a)
	}
}

// cleaned is s as valid UTF-8.
func cleaned(s *string) *string {
	if s == nil {
		return nil
	}
	return text(*s)
}

// category is the category of the arena's memory.
func (a *Arena) category() string {
	if a.Kind == MainArena {
		return BrkHeap
	}
	return MallocArena
}

// use is the sum of a category, made when it is first asked for.
func (m *Malloc) use(category string) *MallocUse {
	for i := range m.Uses {
		if m.Uses[i].Category == category {
			return &m.Uses[i]
		}
	}
	m.Uses = append(m.Uses, MallocUse{Category: category})
	return &m.Uses[len(m.Uses)-1]
}

func (u *MallocUse) add(a *Arena) {
	u.Arenas++
	u.Committed += a.Committed
	u.Free += a.Free
	u.FreeResident += a.FreeResident
	u.KeptResident += a.KeptResident
	if a.Incomplete != nil {
		u.Incomplete = a.Incomplete
	}
}

// check returns an error if the figures cannot be.
func (m *Malloc) check() error {
	if m == nil {
		return nil
	}
	if m.Uses == nil || m.Arenas == nil {
		return fmt.Errorf("malloc: a list is null")
	}
	var arenas int
	for i := range m.Uses {
		u := &m.Uses[i]
		if arenas += u.Arenas; u.Category != MallocArena && u.Category != BrkHeap {
			return fmt.Errorf("malloc: arenas of category %q", u.Category)
		}
	}
	if arenas != len(m.Arenas) {
		return fmt.Errorf("malloc: %d arenas by category, %d in all", arenas, len(m.Arenas))
	}
	for i := range m.Arenas {
		if a := &m.Arenas[i]; a.Heaps == nil || a.FreeResident+a.KeptResident > a.Free {
			return fmt.Errorf("malloc: arena %d has more free pages than free bytes, or no list of heaps", i)
		}
	}
	return nil
}
