package report

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// size is n in at most five characters: "0", "512B", "16K", "384M", "11.3G".
func size(n uint64) string {
	const units = "KMGTPE"
	if n < 1000 {
		if n == 0 {
			return "0"
		}
		return fmt.Sprintf("%dB", n)
	}
	v, u := float64(n)/1024, 0
	for v >= 999.5 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	if v < 9.95 || u >= 2 && v < 99.95 {
		return fmt.Sprintf("%.1f%c", v, units[u])
	}
	return fmt.Sprintf("%.0f%c", v, units[u])
}

// sizeOr is size, or a question mark.
func sizeOr(n *uint64) string {
	if n == nil {
		return "?"
	}
	return size(*n)
}

// rate is a growth for a column: "~" where it may be noise.
func rate(perHour *int64) string {
	switch {
	case perHour == nil:
		return "~"
	case *perHour < 0:
		return "-" + size(uint64(-*perHour))
	}
	return size(uint64(*perHour))
}

// mebibytes is n in the unit in which it reads well: "147 MiB", "1536.4 MiB".
func mebibytes(n uint64, decimals int) string {
	switch v := float64(n); {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.*f KiB", decimals, v/(1<<10))
	case n < 10<<30:
		return fmt.Sprintf("%.*f MiB", decimals, v/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// exact is n with thousands separated: "16,781,312".
func exact(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count is n in at most five characters.
func count(n uint64) string {
	switch {
	case n < 100_000:
		return strconv.FormatUint(n, 10)
	case n < 10_000_000:
		return fmt.Sprintf("%dk", n/1000)
	case n < 10_000_000_000:
		return fmt.Sprintf("%dm", n/1_000_000)
	}
	return "many"
}

// plural is "1 step" or "12 steps".
func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return exact(n) + " " + what + "s"
}

// about is a duration as it is said: "52 min", "1h45m", "40 s", "250 ms".
func about(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 100*time.Second:
		return fmt.Sprintf("%d s", int(math.Round(d.Seconds())))
	case d < 100*time.Minute:
		return fmt.Sprintf("%d min", int(math.Round(d.Minutes())))
	case d < 48*time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// clock is the time of day of at, or its date if that is more than a day before now.
func clock(at, now *time.Time) string {
	switch {
	case at == nil:
		return "-"
	case now != nil && now.Sub(*at) > 24*time.Hour:
		return at.Format("2 Jan")
	}
	return at.Format("15:04:05")
}
