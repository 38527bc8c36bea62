package content

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func mustDates(tb testing.TB, find func(*dateFinder)) Dates {
	tb.Helper()
	d := &dateFinder{from: window.From, to: window.To, zone: time.FixedZone("there", 3600), control: map[string]int{}}
	find(d)
	return d.dates()
}

func TestDatesInText(t *testing.T) {
	s, ms := fmt.Sprint(noon.Unix()), fmt.Sprint(noon.UnixMilli())
	for _, c := range []struct {
		text, form string
		at         time.Time
	}{
		{"t=" + s + ";", Digits10, noon},
		{"<" + ms + ".1@petal>", Digits13, noon},
		{s + " at the very start may be the end of a longer number", "", time.Time{}},
		{"x" + s, "", time.Time{}}, // at the very end too
		{"x" + s + "0 has 11 digits", "", time.Time{}},
		{"x1000000000 is of 2001", "", time.Time{}},
		{"Date: Wed, 25 Nov 2026 13:00:00 +0100\r\n", MailDate, noon},
		{"Date: Wed, 25 Nov 2026 12:00:00 GMT\r\n", MailDate, noon},
		{"2026-11-25T12:00:00Z", ISODate, noon},
		{"2026-11-25T12:00:00.000+00:00", ISODate, noon},
		{"2026-11-25 13:00:00,000 INFO in the zone that is given", ISODate, noon},
		{"2026-11-25T11:00:00-0100", ISODate, noon},
		{"2026-13-45T99:00:00Z", "", time.Time{}},
	} {
		got := mustDates(t, func(d *dateFinder) { d.text(0x1000, []byte(c.text)) })
		switch {
		case c.form == "" && got.Count == 0:
		case c.form == "" || len(got.Forms) != 1 || got.Forms[0].Form != c.form || !got.First.Equal(c.at) || got.Count != 1:
			t.Errorf("%q: %+v, want %q of %v", c.text, got, c.form, c.at)
		}
	}
}

func TestWrittenDatesOfOtherTimesAreCountedApart(t *testing.T) {
	got := mustDates(t, func(d *dateFinder) { d.text(0, []byte("Mon, 01 Mar 2021 03:01:10 +0000 and 2019-01-01T00:00:00Z")) })
	o := got.Outside
	if got.Count != 0 || o == nil || o.Count != 2 || o.First.Year() != 2019 || o.Last.Year() != 2021 {
		t.Errorf("%+v %+v", got, o)
	}
}

func TestDatesInBinary(t *testing.T) {
	for _, c := range []struct {
		form string
		put  func(p []byte, at time.Time)
		size int
	}{
		{Millis + littleEndian, func(p []byte, at time.Time) { binary.LittleEndian.PutUint64(p, uint64(at.UnixMilli())) }, 8},
		{Millis + bigEndian, func(p []byte, at time.Time) { binary.BigEndian.PutUint64(p[3:], uint64(at.UnixMilli())) }, 11},
		{Seconds8 + littleEndian, func(p []byte, at time.Time) { binary.LittleEndian.PutUint64(p, uint64(at.Unix())) }, 8},
		{Seconds8 + bigEndian, func(p []byte, at time.Time) { binary.BigEndian.PutUint64(p, uint64(at.Unix())) }, 8},
		{Seconds4 + littleEndian, func(p []byte, at time.Time) { binary.LittleEndian.PutUint64(p, uint64(at.Unix())|0x77<<32) }, 8},
		{Seconds4 + bigEndian, func(p []byte, at time.Time) { binary.BigEndian.PutUint64(p, 0x77<<32|uint64(at.Unix())) }, 8},
	} {
		p := make([]byte, 4096)
		for i := range 20 {
			c.put(p[i*64+16:], noon.Add(time.Duration(i)*time.Minute))
		}
		got := mustDates(t, func(d *dateFinder) { d.binary(0x1000, p) })
		if len(got.Forms) != 1 || got.Forms[0].Form != c.form || got.Count != 20 || !got.First.Equal(noon) || !got.Last.Equal(noon.Add(19*time.Minute)) {
			t.Errorf("%s: %+v", c.form, got)
		}
	}
}

func TestChanceIsNoDate(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	p := make([]byte, 1<<20)
	for i := 0; i < len(p); i += 4 { // seconds of the last four years, evenly
		binary.LittleEndian.PutUint32(p[i:], uint32(noon.Unix())-uint32(r.Uint64N(4*365*86400))+86400)
	}
	if got := mustDates(t, func(d *dateFinder) { d.binary(0, p) }); got.Count != 0 {
		t.Errorf("%+v", got.Forms)
	}
	text := []byte("jury and jolly i am here again, just because it is text, jrap")
	if got := mustDates(t, func(d *dateFinder) { d.binary(0, text) }); got.Count != 0 {
		t.Errorf("text is read as numbers: %+v", got.Forms)
	}
}
