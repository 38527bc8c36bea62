package strace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"vmaleak/vma"
)

// Pmap is a table of pmap -X or -XX: a process's areas at one time.
type Pmap struct {
	PID     int      // of the line above the header; 0 unknown
	Command string   // of the same line
	Columns []string // names of the numeric columns as in the header, Size first
	Rows    []PmapRow
	Bad     int // lines that are no rows, header or sums
}

// PmapRow is one area.
type PmapRow struct {
	vma.Range        // End by Size
	Perm      string // "rw-p"
	Offset    uint64
	Device    string
	Inode     uint64
	Values    []uint64 // bytes by Pmap.Columns (pmap writes KB); THPeligible and the like are numbers, times 1024 too
	Flags     string   // VmFlags of -XX
	Mapping   string   // the file's name without its folder, [heap], "" for nameless memory
}

// Value is the bytes in a column ("Rss"), and whether the table has it.
func (p *Pmap) Value(r *PmapRow, column string) (uint64, bool) {
	for i, c := range p.Columns {
		if c == column && i < len(r.Values) {
			return r.Values[i], true
		}
	}
	return 0, false
}

// maxRows bounds a table: a process has 65,530 areas unless told otherwise.
const maxRows = 4 << 20

// ParsePmap reads a table of pmap -X or -XX. Without a header, as a row cut
// from a table, the columns are called Size, Rss and Pss, which every pmap
// writes first; others have no name. An error is one of the reader's, or says
// that nothing in the text is a row.
func ParsePmap(r io.Reader) (*Pmap, error) {
	p := &Pmap{Columns: []string{"Size", "Rss", "Pss"}}
	l := newLines(r, headSize)
	hasFlags := false
	for {
		b, ok := l.next()
		if !ok {
			break
		}
		words := bytes.Fields(b)
		switch {
		case len(words) == 0 || words[0][0] == '=':
		case isPmapHeader(b):
			p.Columns, hasFlags = nil, false
			for _, w := range words[5:] {
				switch name := string(w); name {
				case "VmFlags":
					hasFlags = true
				case "Mapping":
				default:
					p.Columns = append(p.Columns, name)
				}
			}
		default:
			row, ok := parsePmapRow(b, len(p.Columns), hasFlags)
			switch {
			case ok && len(p.Rows) < maxRows:
				p.Rows = append(p.Rows, row)
			case ok:
				return nil, fmt.Errorf("parse pmap: more than %d rows", maxRows)
			case string(words[len(words)-1]) == "KB": // sums
			case p.PID == 0 && len(p.Rows) == 0 && p.title(b):
			default:
				p.Bad++
			}
		}
	}
	if l.err != nil {
		return nil, fmt.Errorf("read pmap: %w", l.err)
	}
	if len(p.Rows) == 0 {
		return nil, errors.New("parse pmap: no row of `pmap -X` or `pmap -XX` in it: make it with `pmap -X PID`")
	}
	return p, nil
}

// title reads "25900:   java -jar james.jar".
func (p *Pmap) title(b []byte) bool {
	n, j := digits(b, spaces(b, 0))
	if n == 0 || n >= maxPID || j >= len(b) || b[j] != ':' {
		return false
	}
	p.PID = int(n)
	p.Command = strings.ToValidUTF8(string(bytes.TrimSpace(b[j+1:])), "\ufffd")
	return true
}

// pmapFields are the parts of a row up to Size.
type pmapFields struct {
	start, offset, inode, size uint64
	perm, device, rest         []byte
}

func parsePmapFields(b []byte) (f pmapFields, ok bool) {
	word := func() []byte {
		i := spaces(b, 0)
		j := i
		for j < len(b) && b[j] != ' ' && b[j] != '\t' {
			j++
		}
		w := b[i:j]
		b = b[j:]
		return w
	}
	var err [4]error
	f.start, err[0] = strconv.ParseUint(string(clip(word())), 16, 64)
	f.perm = word()
	f.offset, err[1] = strconv.ParseUint(string(clip(word())), 16, 64)
	f.device = word()
	f.inode, err[2] = strconv.ParseUint(string(clip(word())), 10, 64)
	f.rest = b
	f.size, err[3] = strconv.ParseUint(string(clip(word())), 10, 53)
	if err != [4]error{} || len(f.perm) != 4 || f.perm[3] != 'p' && f.perm[3] != 's' || bytes.IndexByte(f.device, ':') < 0 ||
		len(f.device) > 20 || f.size == 0 || f.start%4096 != 0 || f.start+f.size<<10 < f.start {
		return f, false
	}
	return f, true
}

// clip bounds a word that should be a number.
func clip(b []byte) []byte { return b[:min(len(b), 32)] }

func parsePmapRow(b []byte, columns int, hasFlags bool) (row PmapRow, ok bool) {
	f, ok := parsePmapFields(b)
	if !ok {
		return row, false
	}
	row = PmapRow{Range: vma.Range{Start: f.start, End: f.start + f.size<<10}, Perm: string(f.perm),
		Offset: f.offset, Device: string(f.device), Inode: f.inode, Values: make([]uint64, 0, columns)}
	rest := f.rest
	for len(row.Values) < columns {
		i := spaces(rest, 0)
		n, j := digits(rest, i)
		if j == i || j < len(rest) && rest[j] != ' ' && rest[j] != '\t' || n >= 1<<53 {
			break
		}
		row.Values = append(row.Values, n<<10)
		rest = rest[j:]
	}
	rest = bytes.TrimLeft(rest, " \t")
	if hasFlags {
		n := 0
		for n+2 <= len(rest) && isFlag(rest[n:]) {
			n += 3
		}
		n = min(n, len(rest))
		row.Flags = string(bytes.TrimSpace(rest[:n]))
		rest = rest[n:]
	}
	row.Mapping = strings.ToValidUTF8(string(bytes.TrimSpace(rest)), "\ufffd")
	return row, true
}

// isFlag reports whether b begins with two letters and a space, as VmFlags are written.
func isFlag(b []byte) bool {
	lower := func(c byte) bool { return c-'a' < 26 || isDigit(c) }
	return lower(b[0]) && lower(b[1]) && (len(b) == 2 || b[2] == ' ')
}
