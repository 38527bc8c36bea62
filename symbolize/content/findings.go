package content

import (
	"cmp"
	"slices"
	"time"
)

// Options say what is plausible in a sample.
type Options struct {
	PageSize int            // 4096 if 0
	From, To time.Time      // dates are expected in [From, To)
	Zone     *time.Location // of dates in text that name none; nil is UTC
}

// Count is how often something was found.
type Count struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// View is the beginning of a page that is worth a look.
type View struct {
	Kind  string `json:"kind"`
	Addr  uint64 `json:"addr"`
	Bytes []byte `json:"bytes"`
}

// Findings is what was recognized in a sample. Kinds add up to Pages. Entropy is the mean of pages that are not zero, in bits
// per byte. Strings, Records' and Views' bytes are the target's own: secret, and not safe for a terminal.
type Findings struct {
	Pages   int      `json:"pages"`
	Kinds   []Count  `json:"kinds"`   // pages by kind, most first
	Entropy float64  `json:"entropy"` // 0 if all is zero
	Magics  []Count  `json:"magics"`  // records that begin as a known format does
	Dates   Dates    `json:"dates"`
	Strings []String `json:"strings"`
	Dropped int      `json:"strings_dropped"` // were too many to be counted
	Record  *Record  `json:"record"`
	Views   []View   `json:"views"`
}

// Analyze tells what is in blocks, which are in order of their addresses and whole pages.
func Analyze(blocks []Block, o Options) *Findings {
	if o.PageSize == 0 {
		o.PageSize = 4096
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	f := &Findings{}
	pages := cutPages(blocks, o.PageSize)
	kinds, magics := map[string]int{}, map[string]int{}
	dates := &dateFinder{from: o.From, to: o.To, zone: o.Zone, control: map[string]int{}}
	nonzero := 0
	for i := range pages {
		p := &pages[i]
		p.kind = kindOf(p.Data)
		kinds[p.kind]++
		if p.kind == Zero {
			continue
		}
		nonzero++
		f.Entropy += measurePage(p.Data).entropy
		if p.kind != Compressed {
			dates.binary(p.Addr, p.Data)
			eachMagic(p.Data, func(_ int, name string) { magics[name]++ })
		} else if name := firstMagic(p.Data); name != "" {
			magics[name]++
		}
	}
	f.Pages, f.Kinds, f.Magics = len(pages), counts(kinds), counts(magics)
	f.Entropy /= float64(max(nonzero, 1))
	pieces := join(pages)
	strings := &stringFinder{found: map[string]*String{}}
	for _, b := range pieces {
		dates.text(b.Addr, b.Data)
		strings.text(b.Data)
	}
	f.Dates, f.Strings, f.Dropped, f.Record = dates.dates(), strings.top(), strings.Dropped, findRecord(pieces)
	f.Views = views(f, pages)
	return f
}

// page is a Block of one page.
type page struct {
	Block
	kind  string
	first bool // of its block
}

func cutPages(blocks []Block, size int) []page {
	var pages []page
	for _, b := range blocks {
		for i := 0; i < len(b.Data); i += size {
			pages = append(pages, page{Block: Block{b.Addr + uint64(i), b.Data[i:min(i+size, len(b.Data))], b.Cut && i == 0}, first: i == 0})
		}
	}
	return pages
}

// join is the pages that may hold text and records, those that follow one another in a block as one.
func join(pages []page) (pieces []Block) {
	var last *Block
	cut := false
	for _, p := range pages {
		cut = cut || p.Cut
		if p.kind == Zero || p.kind == Compressed {
			last = nil
			continue
		}
		if last != nil && last.Addr+uint64(len(last.Data)) == p.Addr && !p.first {
			last.Data = last.Data[:len(last.Data)+len(p.Data)]
			continue
		}
		p.Cut, cut = cut, false
		pieces = append(pieces, p.Block)
		last = &pieces[len(pieces)-1]
	}
	return pieces
}

// counts is a list of a map, most first.
func counts(m map[string]int) []Count {
	out := []Count{}
	for name, n := range m {
		out = append(out, Count{name, n})
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return out
}

const (
	maxViews   = 2
	viewLength = 512
)

// views picks, of each of the most common kinds, the page with most dates, and shows where its record or its content begins.
func views(f *Findings, pages []page) []View {
	dated := map[uint64]int{}
	for _, s := range f.Dates.Stamps {
		dated[s.Addr/4096]++
	}
	out := []View{}
	for _, k := range f.Kinds {
		if k.Name == Zero || len(out) == maxViews || len(out) > 0 && (k.Name == Sparse || k.Count*20 < f.Pages) {
			continue
		}
		var best *page
		for i := range pages {
			p := &pages[i]
			if p.kind == k.Name && (best == nil || dated[p.Addr/4096] > dated[best.Addr/4096]) {
				best = p
			}
		}
		first := 0
		for first < len(best.Data) && best.Data[first] == 0 {
			first++
		}
		first &^= 15
		out = append(out, View{k.Name, best.Addr + uint64(first), slices.Clone(best.Data[first:min(first+viewLength, len(best.Data))])})
	}
	return out
}
