package content

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// The forms in which dates are looked for.
const (
	Digits10 = "10 digits (seconds)"
	Digits13 = "13 digits (milliseconds)"
	MailDate = `"Mon, 01 Mar 2021 03:01:10 +0000"`
	ISODate  = `"2021-03-01T03:01:10"`
	Millis   = "milliseconds, 8 bytes"
	Seconds8 = "seconds, 8 bytes"
	Seconds4 = "seconds, 4 bytes"
)

// Stamp is one date that was found.
type Stamp struct {
	Addr uint64
	At   time.Time
	form string
}

// Fine reports whether the date is exact to the millisecond; others may be a second too early.
func (s *Stamp) Fine() bool {
	return s.form == Digits13 || s.form == Millis+littleEndian || s.form == Millis+bigEndian
}

// DateForm counts the dates of one form.
type DateForm struct {
	Form  string    `json:"form"`
	Count int       `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Dates is the dates within the window that was asked for. From Low to High is their middle half. Outside counts dates
// written as text that lie beyond the window. Binary forms are told from chance by how often values of other times occur.
type Dates struct {
	Forms   []DateForm `json:"forms"` // most first
	Count   int        `json:"count"`
	First   time.Time  `json:"first"`
	Last    time.Time  `json:"last"`
	Low     time.Time  `json:"low"`
	High    time.Time  `json:"high"`
	Outside *DateForm  `json:"outside"`
	Stamps  []Stamp    `json:"-"`
}

// maxStamps bounds the dates that are kept.
const maxStamps = 1 << 18

// dateFinder collects dates of one sample.
type dateFinder struct {
	from, to time.Time
	zone     *time.Location // of text that names none
	stamps   []Stamp
	control  map[string]int // values of as long a window before
	outside  DateForm
}

func (d *dateFinder) add(addr uint64, at time.Time, form string) {
	if len(d.stamps) < maxStamps {
		d.stamps = append(d.stamps, Stamp{addr, at, form})
	}
}

// number takes a number of seconds or milliseconds, which is a date if it lies in the window.
func (d *dateFinder) number(addr, n uint64, unit time.Duration, form string) {
	if n > 1<<52 {
		return
	}
	var at time.Time
	if unit == time.Second {
		at = time.Unix(int64(n), 0)
	} else {
		at = time.UnixMilli(int64(n))
	}
	window := d.to.Sub(d.from)
	switch {
	case !at.Before(d.from) && at.Before(d.to):
		d.add(addr, at, form)
	case !at.Before(d.from.Add(-window)) && at.Before(d.from):
		d.control[form]++
	}
}

// written takes a date of a text, which needs no window to be one.
func (d *dateFinder) written(addr uint64, at time.Time, form string) {
	if !at.Before(d.from) && at.Before(d.to) {
		d.add(addr, at, form)
		return
	}
	o := &d.outside
	if o.Count++; o.Count == 1 || at.Before(o.First) {
		o.First = at
	}
	if o.Count == 1 || at.After(o.Last) {
		o.Last = at
	}
}

var (
	mailDate = regexp.MustCompile(`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), {1,2}\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d (?:[+-]\d{4}|GMT|UTC)`)
	isoDate  = regexp.MustCompile(`^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?`)
)

// text looks for dates in text, and for runs of 10 and 13 digits.
func (d *dateFinder) text(addr uint64, p []byte) {
	for i := 2; i+6 <= len(p); i++ { // each date has hh:mm:ss
		if p[i] == ':' && p[i+3] == ':' && isDigit(p[i-1]) {
			d.around(addr, p, i)
		}
	}
	for i := 0; i < len(p); i++ {
		if !isDigit(p[i]) {
			continue
		}
		end := i + 1
		for end < len(p) && isDigit(p[end]) {
			end++
		}
		if whole := i > 0 && end < len(p); whole && (end-i == 10 || end-i == 13) {
			n, err := strconv.ParseUint(string(p[i:end]), 10, 64)
			switch {
			case err != nil:
			case end-i == 10:
				d.number(addr+uint64(i), n, time.Second, Digits10)
			default:
				d.number(addr+uint64(i), n, time.Millisecond, Digits13)
			}
		}
		i = end
	}
}

// around takes the date whose first colon is at i.
func (d *dateFinder) around(addr uint64, p []byte, i int) {
	const longest = 64
	for _, before := range [...]int{19, 18} { // a day of two digits, or of one
		if start := i - before; start >= 0 {
			s := string(mailDate.Find(p[start:min(start+longest, len(p))]))
			if t, ok := parseDate(s, time.UTC, "Mon, _2 Jan 2006 15:04:05 -0700", "Mon, _2 Jan 2006 15:04:05 MST"); ok {
				d.written(addr+uint64(start), t, MailDate)
				return
			}
		}
	}
	if start := i - 13; start >= 0 {
		s := bytes.Replace(isoDate.Find(p[start:min(start+longest, len(p))]), []byte(" "), []byte("T"), 1)
		s = bytes.Replace(s, []byte(","), []byte("."), 1)
		if t, ok := parseDate(string(s), d.zone, "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05"); ok {
			d.written(addr+uint64(start), t, ISODate)
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func parseDate(s string, zone *time.Location, layouts ...string) (time.Time, bool) {
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// binary looks for numbers of 4 and 8 bytes: of milliseconds anywhere, of seconds where they are aligned. Words that are
// text are none.
func (d *dateFinder) binary(addr uint64, p []byte) {
	for i := 0; i+4 <= len(p); i++ {
		if i+8 <= len(p) && (p[i] == 0 || p[i+7] == 0) {
			little, big := binary.LittleEndian.Uint64(p[i:]), binary.BigEndian.Uint64(p[i:])
			d.number(addr+uint64(i), little, time.Millisecond, Millis+littleEndian)
			d.number(addr+uint64(i), big, time.Millisecond, Millis+bigEndian)
			if i%4 == 0 {
				d.number(addr+uint64(i), little, time.Second, Seconds8+littleEndian)
				d.number(addr+uint64(i), big, time.Second, Seconds8+bigEndian)
			}
		}
		if i%4 != 0 || isASCII(p[i]) && isASCII(p[i+1]) && isASCII(p[i+2]) && isASCII(p[i+3]) {
			continue
		}
		if !isZero(p, i+4) { // else it was taken for a number of 8 bytes
			d.number(addr+uint64(i), uint64(binary.LittleEndian.Uint32(p[i:])), time.Second, Seconds4+littleEndian)
		}
		if !isZero(p, i-4) {
			d.number(addr+uint64(i), uint64(binary.BigEndian.Uint32(p[i:])), time.Second, Seconds4+bigEndian)
		}
	}
}

const (
	littleEndian = " (little-endian)"
	bigEndian    = " (big-endian)"
)

// isZero reports whether there are four bytes at i, all zero.
func isZero(p []byte, i int) bool {
	return i >= 0 && i+4 <= len(p) && binary.LittleEndian.Uint32(p[i:]) == 0
}

// minBinary is how often a binary form must occur; aligned seconds of 8 bytes and less are easily something else.
const minBinary = 8

// dates is the result: forms that may be chance are left out.
func (d *dateFinder) dates() Dates {
	count := map[string]int{}
	for _, s := range d.stamps {
		count[s.form]++
	}
	out := Dates{Forms: []DateForm{}}
	forms := map[string]*DateForm{}
	for _, s := range d.stamps {
		if isChance(s.form, count[s.form], d.control[s.form]) {
			continue
		}
		out.Stamps = append(out.Stamps, s)
		f := forms[s.form]
		if f == nil {
			f = &DateForm{Form: s.form, First: s.At, Last: s.At}
			forms[s.form] = f
		}
		f.Count++
		if s.At.Before(f.First) {
			f.First = s.At
		}
		if s.At.After(f.Last) {
			f.Last = s.At
		}
	}
	for _, f := range forms {
		out.Forms = append(out.Forms, *f)
	}
	slices.SortFunc(out.Forms, func(a, b DateForm) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Form, b.Form))
	})
	if d.outside.Count > 0 {
		o := d.outside
		out.Outside = &o
	}
	slices.SortFunc(out.Stamps, func(a, b Stamp) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Addr, b.Addr))
	})
	if n := len(out.Stamps); n > 0 {
		out.Count = n
		out.First, out.Last = out.Stamps[0].At, out.Stamps[n-1].At
		out.Low, out.High = out.Stamps[n/4].At, out.Stamps[n-1-n/4].At
	}
	return out
}

// isChance: numbers of the time before the window are as frequent, or there are few.
func isChance(form string, found, control int) bool {
	switch form {
	case MailDate, ISODate:
		return false
	case Digits10, Digits13:
		return found <= control
	case Millis + littleEndian, Millis + bigEndian:
		return found < 2 || found <= 2*control
	}
	return found < minBinary || found <= 4*control
}
