package chat

import (
	"strconv"
	"time"
)

// ISOTime returns a time in milliseconds since 1970 as documents have it in their attributes. In the
// browser it costs less than to ask for it.
func ISOTime(at int64) string {
	t := time.UnixMilli(at).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	pad := func(n, digits int) string {
		s := strconv.Itoa(n)
		for len(s) < digits {
			s = "0" + s
		}
		return s
	}
	return pad(year, 4) + "-" + pad(int(month), 2) + "-" + pad(day, 2) + "T" + pad(hour, 2) + ":" + pad(minute, 2) + ":" + pad(second, 2) +
		"." + pad(t.Nanosecond()/1e6, 3) + "Z"
}
