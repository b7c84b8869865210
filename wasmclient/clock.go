//go:build js && wasm

package main

import (
	"syscall/js"
	"time"

	"setu/wasmclient/chat"
)

// clock formats times for the user's language and time zone. In the browser Go's local time has one
// offset for the whole year, so the browser's functions are used.
type clock struct {
	date    js.Value
	time    js.Value      // format: hour and minute
	day     js.Value      // format: weekday, day and month
	dayYear js.Value      // format: day, month and year
	full    js.Value      // format: date and time in full
	offsets map[int64]int // results of offset, by quarter of an hour
	last    [2]moment     // what was written last: of the time by the minute, of the full time by the second
}

// moment is a time as it was written.
type moment struct {
	at   int64
	text string
}

func newClock() *clock {
	format := func(options map[string]any) js.Value {
		return window.Get("Intl").Get("DateTimeFormat").New(js.Undefined(), options)
	}
	return &clock{
		date:    window.Get("Date"),
		time:    format(map[string]any{"hour": "numeric", "minute": "2-digit"}),
		day:     format(map[string]any{"weekday": "long", "day": "numeric", "month": "long"}),
		dayYear: format(map[string]any{"day": "numeric", "month": "long", "year": "numeric"}),
		full:    format(map[string]any{"dateStyle": "full", "timeStyle": "medium"}),
		offsets: make(map[int64]int),
	}
}

// offset returns the minutes by which local time is ahead of UTC at a time in milliseconds since
// 1970. It changes at quarters of an hour only, so it is cached by that.
func (c *clock) offset(at int64) int {
	quarter := at / (15 * 60 * 1000)
	if minutes, ok := c.offsets[quarter]; ok {
		return minutes
	}
	minutes := 0
	if v := c.date.New(float64(at)).Call("getTimezoneOffset"); !v.IsNaN() {
		minutes = -v.Int()
	}
	c.offsets[quarter] = minutes
	return minutes
}

func (c *clock) write(format js.Value, at int64) (text string) {
	tryJS(func() { text = format.Call("format", float64(at)).String() })
	return text
}

// short returns the time of day, and long all of it. Messages that come together have the same ones.
func (c *clock) short(at int64) string { return c.again(&c.last[0], c.time, at, 60_000) }
func (c *clock) long(at int64) string  { return c.again(&c.last[1], c.full, at, 1000) }

func (c *clock) again(last *moment, format js.Value, at, within int64) string {
	if last.text == "" || last.at != at/within {
		*last = moment{at / within, c.write(format, at)}
	}
	return last.text
}

// moment returns the time of day, and the day before it if that is not today.
func (c *clock) moment(t *chat.Timeline, at int64, now time.Time) string {
	day, time := c.dayName(t, at, now), c.short(at)
	switch day {
	case "Today":
		return time
	case "Yesterday":
		return "yesterday, " + time
	}
	return day + ", " + time
}

// dayName returns the name of the day of a time: "Today", "Yesterday" or a date, with the year if
// the day is not recent.
func (c *clock) dayName(t *chat.Timeline, at int64, now time.Time) string {
	switch t.DayOf(now.UnixMilli()) - t.DayOf(at) {
	case 0:
		return "Today"
	case 1:
		return "Yesterday"
	}
	if age := now.UnixMilli() - at; age < 300*24*60*60*1000 && age > 0 {
		return c.write(c.day, at)
	}
	return c.write(c.dayYear, at)
}
