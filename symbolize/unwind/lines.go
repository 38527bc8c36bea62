package unwind

import (
	"debug/dwarf"
	"sort"
	"time"
)

// Bounds of DWARF: larger ones are left alone, and an address that takes
// longer has no line.
const (
	maxDwarf      = 64 << 20  // bytes of all sections of a file
	maxAllDwarf   = 160 << 20 // of all files
	maxUnits      = 1 << 16
	maxUnitRanges = 1 << 20
	maxEntries    = 1 << 20 // entries read for one address
	maxLinesTime  = 100 * time.Millisecond
)

// lines finds source lines and inlined calls by DWARF.
type lines struct {
	im     *image
	held   int64  // bytes in memory
	all    *int64 // of all files
	opened bool
	used   bool // since rest
	data   *dwarf.Data
	units  []unitRange // by address
}

type unitRange struct {
	low, high uint64
	unit      dwarf.Offset
}

// readLines returns nil if a file has no DWARF.
func readLines(im *image, all *int64) *lines {
	for _, name := range []string{".debug_info", ".zdebug_info"} {
		if im.section(name) != nil {
			return &lines{im: im, all: all}
		}
	}
	return nil
}

// rest lets go of the sections, which are read again when an address is asked
// for, if none was since the last time. It reports whether it did.
func (l *lines) rest() bool {
	if l == nil || l.data == nil {
		return false
	}
	if l.used {
		l.used = false
		return false
	}
	*l.all -= l.held
	*l = lines{im: l.im, all: l.all}
	return true
}

// open reads the sections when an address is first asked for.
func (l *lines) open() {
	l.opened = true
	var total uint64
	read := func(name string) []byte {
		s := l.im.section(".debug_" + name)
		if s == nil {
			return nil
		}
		if total += s.Size; total > maxDwarf {
			return nil
		}
		b, err := l.im.data(s, maxDwarf)
		if err != nil {
			total = maxDwarf + 1
		}
		return b
	}
	abbrev, info, str := read("abbrev"), read("info"), read("str")
	line, ranges := read("line"), read("ranges")
	more := map[string][]byte{}
	for _, name := range []string{"addr", "line_str", "str_offsets", "rnglists"} {
		more[".debug_"+name] = read(name)
	}
	if total > maxDwarf || *l.all+int64(total) > maxAllDwarf {
		return
	}
	l.held = int64(total)
	*l.all += l.held
	l.data = parseDwarf(abbrev, info, line, ranges, str, more)
	l.readUnits()
}

func parseDwarf(abbrev, info, line, ranges, str []byte, more map[string][]byte) *dwarf.Data {
	var err error
	defer guard(&err, "read debug information")
	d, err := dwarf.New(abbrev, nil, nil, info, line, nil, ranges, str)
	for name, b := range more {
		if err == nil && len(b) > 0 {
			err = d.AddSection(name, b)
		}
	}
	if err != nil {
		return nil
	}
	return d
}

// readUnits lists the units by address.
func (l *lines) readUnits() {
	if l.data == nil {
		return
	}
	var err error
	defer guard(&err, "read debug information")
	r := l.data.Reader()
	for n := 0; n < maxUnits && len(l.units) < maxUnitRanges; n++ {
		e, err := r.Next()
		if e == nil || err != nil {
			break
		}
		if e.Tag == dwarf.TagCompileUnit || e.Tag == dwarf.TagSkeletonUnit {
			ranges, _ := l.data.Ranges(e)
			for _, at := range ranges {
				if at[1] > at[0] {
					l.units = append(l.units, unitRange{at[0], at[1], e.Offset})
				}
			}
		}
		r.SkipChildren()
	}
	sort.Slice(l.units, func(i, j int) bool { return l.units[i].low < l.units[j].low })
}

// frames names an address by its unit: the inlined calls innermost first, then
// the function. It returns nil if nothing is known.
func (l *lines) frames(addr uint64) (out []Frame) {
	if l == nil {
		return nil
	}
	if l.used = true; !l.opened {
		l.open()
	}
	i := sort.Search(len(l.units), func(i int) bool { return l.units[i].low > addr })
	if i == 0 || addr >= l.units[i-1].high {
		return nil
	}
	var err error
	defer guard(&err, "read debug information")
	s := &search{data: l.data, addr: addr, limit: deadline{time.Now().Add(maxLinesTime)}}
	return s.unit(l.units[i-1].unit)
}

// search looks one address up in one unit.
type search struct {
	data  *dwarf.Data
	addr  uint64
	limit deadline
	read  int
	files []*dwarf.LineFile
}

func (s *search) unit(at dwarf.Offset) []Frame {
	r := s.data.Reader()
	r.Seek(at)
	unit, err := r.Next()
	if err != nil || unit == nil {
		return nil
	}
	file, line := s.line(unit)
	calls := s.calls(r)
	if len(calls) == 0 {
		if file == "" {
			return nil
		}
		return []Frame{{File: file, Line: line}}
	}
	var out []Frame
	for i := len(calls) - 1; i >= 0; i-- {
		out = append(out, Frame{Function: s.name(calls[i], 0), File: file, Line: line})
		file, line = s.site(calls[i])
	}
	return out
}

// calls are the entries that hold the address, outermost first: a function and
// the calls that are inlined there.
func (s *search) calls(r *dwarf.Reader) (calls []*dwarf.Entry) {
	for depth, found := 0, 0; ; {
		e, err := r.Next()
		if s.tired() || err != nil || e == nil {
			return calls
		}
		if e.Tag == 0 {
			if depth--; depth < 0 || len(calls) > 0 && depth <= found {
				return calls
			}
			continue
		}
		enter := false
		switch e.Tag {
		case dwarf.TagNamespace, dwarf.TagStructType, dwarf.TagClassType, dwarf.TagModule:
			enter = len(calls) == 0
		case dwarf.TagLexDwarfBlock:
			enter = !ranged(e) || s.holds(e)
		case dwarf.TagSubprogram, dwarf.TagInlinedSubroutine:
			inlined := e.Tag == dwarf.TagInlinedSubroutine
			if inlined != (len(calls) > 0) || len(calls) == maxInlined || !s.holds(e) {
				break
			}
			if !inlined {
				found = depth
			}
			calls = append(calls, e)
			if enter = true; !e.Children && !inlined {
				return calls
			}
		}
		if enter && e.Children {
			depth++
		} else {
			r.SkipChildren()
		}
	}
}

// tired reports whether the search has done enough.
func (s *search) tired() bool {
	s.read++
	return s.read > maxEntries || s.read&255 == 0 && s.limit.passed()
}

// line finds the source line of the address. The table's sequences are in no order.
func (s *search) line(unit *dwarf.Entry) (file string, line int) {
	r, err := s.data.LineReader(unit)
	if err != nil || r == nil {
		return "", 0
	}
	s.files = r.Files()
	var last, e dwarf.LineEntry
	for inside := false; r.Next(&e) == nil && !s.tired(); last, inside = e, !e.EndSequence {
		if inside && last.Address <= s.addr && s.addr < e.Address && last.File != nil {
			return last.File.Name, last.Line
		}
	}
	return "", 0
}

func ranged(e *dwarf.Entry) bool {
	return e.Val(dwarf.AttrLowpc) != nil || e.Val(dwarf.AttrRanges) != nil
}

func (s *search) holds(e *dwarf.Entry) bool {
	if !ranged(e) {
		return false
	}
	ranges, err := s.data.Ranges(e)
	if err != nil {
		return false
	}
	for _, at := range ranges {
		if s.addr >= at[0] && s.addr < at[1] {
			return true
		}
	}
	return false
}

// name returns an entry's own name, or that of the one it stands for.
func (s *search) name(e *dwarf.Entry, depth int) string {
	if name, ok := e.Val(dwarf.AttrLinkageName).(string); ok && readable(name) != name {
		return readable(name) // of C, the linker's name may be an alias
	}
	for _, attr := range []dwarf.Attr{dwarf.AttrAbstractOrigin, dwarf.AttrSpecification} {
		if at, ok := e.Val(attr).(dwarf.Offset); ok && depth < 8 {
			r := s.data.Reader()
			r.Seek(at)
			if origin, err := r.Next(); err == nil && origin != nil {
				if name := s.name(origin, depth+1); name != "" {
					return name
				}
			}
		}
	}
	name, _ := e.Val(dwarf.AttrName).(string)
	return name
}

// site returns where an inlined call stands.
func (s *search) site(e *dwarf.Entry) (string, int) {
	file, _ := e.Val(dwarf.AttrCallFile).(int64)
	line, _ := e.Val(dwarf.AttrCallLine).(int64)
	if file < 0 || file >= int64(len(s.files)) || s.files[file] == nil {
		return "", 0
	}
	return s.files[file].Name, int(line)
}
