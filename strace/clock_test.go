package strace

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func mustZone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestTimesOfDayBecomeDates(t *testing.T) {
	berlin := mustZone(t, "Europe/Berlin")
	date := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	for name, tt := range map[string]struct {
		o           Options
		times, want string
	}{
		"one day":           {Options{Date: date(2021, 3, 1)}, "10:00:00 11:00:00", "01 10:00:00, 01 11:00:00"},
		"several midnights": {Options{Date: date(2021, 2, 28)}, "22:48:40 00:32:43 23:59:59.9 00:00:00.1 12:00:00 08:22:40", "28 22:48:40, 01 00:32:43, 01 23:59:59, 02 00:00:00, 02 12:00:00, 03 08:22:40"},
		"a line begun before midnight and written after":  {Options{Date: date(2021, 3, 1)}, "23:59:59 00:00:00.1 23:59:59.9 00:00:00.2", "01 23:59:59, 02 00:00:00, 01 23:59:59, 02 00:00:00"},
		"a clock set back by half an hour is no midnight": {Options{Date: date(2021, 3, 1)}, "10:00:00 09:30:00 09:40:00", "01 10:00:00, 01 09:30:00, 01 09:40:00"},
		"summer time ends": {Options{Date: date(2021, 10, 31), Location: berlin}, "01:59:59 02:00:00 02:59:59 02:00:00 02:59:59 03:00:00",
			"30 23:59:59, 31 00:00:00, 31 00:59:59, 31 01:00:00, 31 01:59:59, 31 02:00:00"},
		"summer time begins":    {Options{Date: date(2021, 3, 28), Location: berlin}, "01:59:59 03:00:00", "28 00:59:59, 28 01:00:00"},
		"a zone, past midnight": {Options{Date: date(2021, 3, 1), Location: berlin}, "23:30:00 00:30:00", "01 22:30:00, 01 23:30:00"},
		"undated":               {Options{}, "23:30:00 00:30:00", "02 23:30:00, 03 00:30:00"},
	} {
		t.Run(name, func(t *testing.T) {
			var lines []string
			for _, at := range strings.Fields(tt.times) {
				lines = append(lines, "1 "+at+" munmap(0x1000, 4096) = 0")
			}
			recs, stats := mustScan(t, tt.o, lines...)
			var got []string
			for _, rec := range recs {
				got = append(got, time.Unix(0, rec.Start).UTC().Format("02 15:04:05"))
			}
			if text := strings.Join(got, ", "); text != tt.want {
				t.Errorf("got  %s\nwant %s", text, tt.want)
			}
			if stats.Undated != tt.o.Date.IsZero() {
				t.Errorf("undated %v", stats.Undated)
			}
		})
	}
}

func TestRelativeTimesAddUpFromTheDate(t *testing.T) {
	start := time.Date(2021, 3, 1, 22, 0, 0, 0, time.UTC)
	recs, stats := mustScan(t, Options{Date: start}, "1      0.000000 munmap(0x1000, 4096) = 0", "1      3.500000 munmap(0x1000, 4096) = 0", "1      1.250000 munmap(0x1000, 4096) = 0")
	if got := time.Unix(0, recs[2].Start).Sub(start); got != 4750*time.Millisecond || !stats.Relative || stats.Undated {
		t.Errorf("%v, %+v", got, stats)
	}
}

func TestALogWithoutTimesSaysSo(t *testing.T) {
	recs, stats := mustScan(t, Options{}, "1 munmap(0x1000, 4096) = 0 <0.000012>")
	if !stats.Untimed || stats.Undated || recs[0].Event.Time != 0 || recs[0].Duration != 12*time.Microsecond {
		t.Errorf("%+v %+v", recs[0], stats)
	}
}

func TestPrecisionIsThatOfTheCoarsestStamp(t *testing.T) {
	for digits, want := range map[string]time.Duration{"": time.Second, ".123": time.Millisecond, ".123456": time.Microsecond, ".123456789": 1} {
		_, stats := mustScan(t, Options{}, fmt.Sprintf("1 12:00:00%s munmap(0x1000, 4096) = 0", digits))
		if stats.Precision != want {
			t.Errorf("%q: %v", digits, stats.Precision)
		}
	}
}
